"""API keys: recognised, issued, listed, rotated with overlap, revoked."""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, TypeVar

from node.engine.work import Desk
from node.services.access.credentials import Caller, CallerRole
from node.services.access.tokens import issue_credential, parse_token, recognise_token
from node.services.context import Context, WriteWork
from node.services.pending import Pending
from node.services.refusals import NodeCode, NodeRefusal
from node.store.rows_access import Credential, ExpireCredential, PutCredential, RevokeCredential
from protocol.errors import Code, Refusal
from protocol.fields import later
from protocol.identifiers import Ledger
from protocol.ledger.state import PARTNERS
from protocol.ledger.view import Need, Overlay

REMEMBERED_MAX: Final = 256
REMEMBERED_SECONDS: Final = 5.0
"""How long a revoked credential may still be honoured by another process on the same store."""

OVERLAP_HOURS: Final = 24
OVERLAP_HOURS_MAX: Final = 30 * 24

KeyState: TypeAlias = Literal["active", "expired", "revoked"]

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRequest:
    """Issue a key for `role`: a person, a system, or the `partner` whose ledger is named."""

    role: CallerRole
    name: str
    expires_at: str | None = None
    partner: Ledger | None = None
    per_minute: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyView:
    """A key of a credential; a credential that is being rotated has two. `id` is the same in both, and in the log."""

    id: str
    key: str
    role: str
    name: str
    state: KeyState
    created_at: str
    expires_at: str | None
    revoked_at: str | None
    issued_by: str | None
    partner: str | None
    per_minute: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyList:
    """Every key that was ever issued, oldest first."""

    credentials: tuple[KeyView, ...]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class IssuedKey:
    """A new key: `token` is shown this once. `old_until` is when the keys before it end, if there are any."""

    id: str
    role: str
    name: str
    token: str
    expires_at: str | None
    old_until: str | None


class CredentialsService:
    """Recognises callers by their API keys, and keeps these."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._clock = context.clock
        self._remembered: dict[str, tuple[float, tuple[Credential, ...]]] = {}
        self._callers: dict[str, tuple[float, Caller]] = {}
        self._changes = 0
        self._lock = threading.Lock()

    def remembered(self, token: str) -> Caller | None:
        """Return the caller if the store need not be asked, else None; raise `unauthorized` for what is no token."""
        until, known = self._callers.get(token, (float("-inf"), None))
        if self._clock.monotonic() <= until:
            return known
        parts = parse_token(token)
        with self._lock:
            loaded_at, rows = self._remembered.get(parts.id, (float("-inf"), ()))
        if self._clock.monotonic() - loaded_at > REMEMBERED_SECONDS:
            return None
        caller = recognise_token(rows, parts, now=self._context.now)
        self._keep(token, caller, credential_id=parts.id, rows=rows)
        return caller

    def has_recognised(self, token: str) -> bool:
        """Return whether `token` was recognised here before, however long ago; the store is not asked."""
        parts = parse_token(token)
        with self._lock:
            _, rows = self._remembered.get(parts.id, (float("-inf"), ()))
        try:
            recognise_token(rows, parts, now=self._context.now)
        except NodeRefusal:
            return False
        return True

    def recognise(self, token: str) -> Caller:
        """Return who holds `token`, or raise `unauthorized`: unknown, at its end, revoked or another role's."""
        parts = parse_token(token)
        changes = self._changes
        rows = tuple(self.find(parts.id))
        if rows:
            self._remember(parts.id, rows, changes=changes)
        return recognise_token(rows, parts, now=self._context.now)

    def issue(self, role: CallerRole, *, name: str) -> Pending[str]:
        """Make a key for `role` and return its token, which is shown this once."""
        return self.make(KeyRequest(role=role, name=name), by=None).then(lambda made: made.token)

    def make(self, request: KeyRequest, *, by: str | None) -> Pending[IssuedKey]:
        """Make the credential that `request` describes; `by` is that of whoever asks.

        Raises `partner_unknown`, or `request_invalid` where role and partner do not fit or the end has passed.
        """
        self._check(request)
        issued = issue_credential(
            request.role,
            name=request.name,
            now=self._context.now,
            randomness=self._context.randomness,
            expires_at=request.expires_at,
            issued_by=by,
            partner=request.partner,
            per_minute=request.per_minute,
        )
        if self.find(issued.row.prefix):
            # An id is one credential's: who proposed and who approved are told apart by it.
            return self.make(request, by=by)
        future = self._context.writer.submit(WriteWork([issued.row]))
        made = IssuedKey(
            id=issued.row.prefix,
            role=request.role.value,
            name=request.name,
            token=issued.token,
            expires_at=request.expires_at,
            old_until=None,
        )
        return Pending(future, lambda _: made)

    def rotate(self, credential_id: str, *, overlap_hours: int, by: str) -> Pending[IssuedKey]:
        """Make another key of a credential; those before it end after `overlap_hours`. Raises `credential_unknown`."""
        now = self._context.now
        until = later(now, seconds=overlap_hours * 3_600)
        rows = [row for row in self.find(credential_id) if row.holds(now)]
        if not rows:
            raise _none(credential_id)
        last = max(rows, key=lambda row: row.created_at)
        issued = issue_credential(
            CallerRole(last.role),
            name=last.name,
            now=now,
            randomness=self._context.randomness,
            credential_id=credential_id,
            expires_at=last.expires_at,
            issued_by=by,
            partner=last.partner,
            per_minute=last.per_minute,
        )
        ends = [ExpireCredential(row.id, until) for row in rows]
        future = self._context.writer.submit(_RotateWork(self._context, issued.row, ends))
        made = IssuedKey(
            id=credential_id,
            role=last.role,
            name=last.name,
            token=issued.token,
            expires_at=last.expires_at,
            old_until=until,
        )
        return Pending(future, lambda _: self._forgotten(credential_id, made))

    def revoke(self, credential_id: str) -> Pending[KeyList]:
        """End all keys of a credential at once, or raise `credential_unknown` or `credential_last`."""
        if not self.find(credential_id):
            raise _none(credential_id)
        future = self._context.writer.submit(_RevokeWork(self._context, credential_id))
        return Pending(future, lambda _: self._after_revoking(credential_id))

    def all(self) -> KeyList:
        """Return every key that was ever issued, oldest first; secrets are nowhere."""
        return self._listed(self._context.reader.all_credentials())

    def find(self, credential_id: str) -> list[Credential]:
        """Return the keys, revoked ones too, of a credential."""
        return self._context.reader.credentials(credential_id)

    def _check(self, request: KeyRequest) -> None:
        if request.role is CallerRole.MEMBER:
            raise _invalid("a member's token is its brand's: see oidc_issuer in node.toml")
        if (request.role is CallerRole.PARTNER) is not (request.partner is not None):
            raise _invalid("a credential of the role partner names its ledger, and no other does")
        if request.partner is not None and self._context.reader.record(PARTNERS, request.partner) is None:
            raise Refusal(Code.PARTNER_UNKNOWN, f"there is no partner {request.partner}")
        if request.expires_at is not None and request.expires_at <= self._context.now:
            raise _invalid("the credential would have ended already")

    def _after_revoking(self, credential_id: str) -> KeyList:
        self._forgotten(credential_id, None)
        return self._listed(self.find(credential_id))

    def _listed(self, rows: list[Credential]) -> KeyList:
        now = self._context.now
        return KeyList(credentials=tuple(_view(row, now) for row in rows))

    def _forgotten(self, credential_id: str, made: _T) -> _T:
        with self._lock:
            self._changes += 1
            self._remembered.pop(credential_id, None)
            self._callers.clear()
        return made

    def _keep(self, token: str, caller: Caller, *, credential_id: str, rows: tuple[Credential, ...]) -> None:
        """Remember whose a token is as long as its rows are, unless one of them has an end that could come before."""
        if any(each.expires_at is not None for each in rows):
            return
        with self._lock:
            loaded_at, current = self._remembered.get(credential_id, (0.0, ()))
            # Revoked meanwhile, it is remembered no longer.
            if current is rows:
                if len(self._callers) >= REMEMBERED_MAX:
                    self._callers.clear()
                self._callers[token] = (loaded_at + REMEMBERED_SECONDS, caller)

    def _remember(self, credential_id: str, rows: tuple[Credential, ...], *, changes: int) -> None:
        """Remember what was read after so many `changes`, unless there has been another one: it may be old already."""
        with self._lock:
            if changes != self._changes:
                return
            if len(self._remembered) >= REMEMBERED_MAX:
                self._remembered.clear()
            self._remembered[credential_id] = (self._clock.monotonic(), rows)


class _RotateWork:
    """Adds a key to a credential that still holds when it is written: it may have been revoked meanwhile."""

    def __init__(self, context: Context, issued: PutCredential, ends: Sequence[ExpireCredential]) -> None:
        self._context = context
        self._issued = issued
        self._ends = ends

    def needs(self, _view: Overlay) -> Iterator[Need]:
        """Read nothing of the ledger."""
        return iter(())

    def run(self, desk: Desk) -> None:
        """Write the key, or raise `credential_unknown`."""
        now, name = self._context.now, self._issued.prefix
        revoked = {write.id for write in desk.staged() if isinstance(write, RevokeCredential)}
        if not any(row.holds(now) and row.id not in revoked for row in self._context.reader.credentials(name)):
            raise _none(name)
        desk.stage(self._issued)
        for end in self._ends:
            desk.stage(end)


class _RevokeWork:
    """Ends every key that a credential has when this is written: one more may have been made meanwhile."""

    def __init__(self, context: Context, credential_id: str) -> None:
        self._context = context
        self._credential_id = credential_id

    def needs(self, _view: Overlay) -> Iterator[Need]:
        """Read nothing of the ledger."""
        return iter(())

    def run(self, desk: Desk) -> None:
        """End them, or raise `credential_last`."""
        name, now = self._credential_id, self._context.now
        if not self._others_administer(desk):
            raise NodeRefusal(NodeCode.CREDENTIAL_LAST, "nobody could issue a credential any more")
        keys = [row.id for row in self._context.reader.credentials(name)]
        keys += [write.id for write in desk.staged() if isinstance(write, PutCredential) and write.prefix == name]
        for key in keys:
            desk.stage(RevokeCredential(key, now))

    def _others_administer(self, desk: Desk) -> bool:
        """Return whether an administrator would be left, counting what this commit has done to them so far."""
        now, role = self._context.now, CallerRole.ADMINISTRATOR.value
        revoked = {write.id for write in desk.staged() if isinstance(write, RevokeCredential)}
        rows = self._context.reader.all_credentials()
        holding = {row.prefix for row in rows if row.role == role and row.holds(now) and row.id not in revoked}
        made = (write for write in desk.staged() if isinstance(write, PutCredential) and write.id not in revoked)
        holding |= {write.prefix for write in made if write.role == role}
        return not holding or bool(holding - {self._credential_id})


def _view(row: Credential, now: str) -> KeyView:
    state: KeyState = "active" if row.holds(now) else "expired"
    return KeyView(
        id=row.prefix,
        key=row.id,
        role=row.role,
        name=row.name,
        state="revoked" if row.revoked_at else state,
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        issued_by=row.issued_by,
        partner=row.partner,
        per_minute=row.per_minute,
    )


def _none(credential_id: str) -> NodeRefusal:
    return NodeRefusal(NodeCode.CREDENTIAL_UNKNOWN, f"there is no credential {credential_id} that holds")


def _invalid(reason: str) -> NodeRefusal:
    return NodeRefusal(NodeCode.REQUEST_INVALID, reason)
