"""Credentials of those who call a node: who they are, what they may do, and how a token is recognised.

A token is `ts_<role>_<id>_<secret>`: the prefix lets scanners find a leaked one, the id finds the row, and the secret
is 256 random bits. At rest there is only SHA-256 of the secret. That is enough here, and a password hash would be
wrong: nobody can try 2^256 secrets however fast the hash, and every request pays for it.
"""

import base64
import hmac
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum, unique
from hashlib import sha256
from typing import Final

from node.ports import Randomness
from node.services.answers import Pending
from node.services.context import Context, WriteWork
from node.services.refusals import NodeCode, NodeRefusal
from node.store.rows import Credential, PutCredential, RevokeCredential
from protocol.identifiers import id_from_random

ID_BYTES: Final = 4
SECRET_BYTES: Final = 32
REMEMBERED_MAX: Final = 256
REMEMBERED_SECONDS: Final = 5.0
"""How long a revoked credential may still be honoured by another process on the same store."""

_TOKEN: Final = re.compile(r"ts_([a-z]{1,16})_([0-9a-f]{8})_([A-Za-z0-9_-]{43})")


@unique
class CallerRole(StrEnum):
    """Who calls a node."""

    OPERATOR = "operator"
    BACKEND = "backend"
    AUDITOR = "auditor"


@unique
class Scope(StrEnum):
    """What a route asks its caller to be allowed."""

    ACCOUNTS = "accounts"
    TRANSACTIONS = "transactions"
    HOLDS = "holds"
    LINKS = "links"
    CONVERSIONS = "conversions"
    INCOMING_READ = "incoming:read"
    PARTNERS_READ = "partners:read"
    PARTNERS_WRITE = "partners:write"
    SETTLEMENT_READ = "settlement:read"
    SETTLEMENT_WRITE = "settlement:write"
    RECEIPTS = "receipts"
    LOG_READ = "log:read"
    METRICS = "metrics"
    NODE = "node"


_BACKEND: Final = frozenset(
    {
        Scope.ACCOUNTS,
        Scope.TRANSACTIONS,
        Scope.HOLDS,
        Scope.LINKS,
        Scope.CONVERSIONS,
        Scope.PARTNERS_READ,
        Scope.RECEIPTS,
    }
)

SCOPES: Final[Mapping[CallerRole, frozenset[Scope]]] = {
    CallerRole.OPERATOR: frozenset(Scope),
    CallerRole.BACKEND: _BACKEND,
    CallerRole.AUDITOR: frozenset({Scope.PARTNERS_READ, Scope.SETTLEMENT_READ, Scope.RECEIPTS, Scope.LOG_READ}),
}
"""What each role may do; what is not here is refused."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who was recognised by a token."""

    id: str
    role: CallerRole

    def require(self, scope: Scope) -> None:
        """Raise `forbidden` unless the caller's role has `scope`."""
        if scope not in SCOPES[self.role]:
            raise NodeRefusal(NodeCode.FORBIDDEN, f"a credential of the role {self.role} may not do this")


@dataclass(frozen=True, slots=True, repr=False)
class Issued:
    """A new credential: the row to keep, and the token that is shown once."""

    row: PutCredential
    token: str


def issue_credential(role: CallerRole, *, name: str, now: str, randomness: Randomness) -> Issued:
    """Return a new credential for `role`."""
    credential_id = randomness.token(ID_BYTES).hex()
    secret = base64.urlsafe_b64encode(randomness.token(SECRET_BYTES)).decode("ascii").rstrip("=")
    token = f"ts_{role}_{credential_id}_{secret}"
    return Issued(_row(role, name=name, prefix=credential_id, secret=secret, now=now, randomness=randomness), token)


def adopt_token(token: str, *, name: str, now: str, randomness: Randomness) -> Issued:
    """Return the credential of a token that was made before and not kept yet, or raise `unauthorized`."""
    role, prefix, secret = _parts(token)
    return Issued(_row(role, name=name, prefix=prefix, secret=secret, now=now, randomness=randomness), token)


def _row(role: CallerRole, *, name: str, prefix: str, secret: str, now: str, randomness: Randomness) -> PutCredential:
    row_id = id_from_random(randomness.token(16))
    return PutCredential(id=row_id, role=role, name=name, prefix=prefix, hash=_hash(secret), created_at=now)


def _hash(secret: str) -> str:
    return sha256(secret.encode("ascii")).hexdigest()


def _parts(token: str) -> tuple[CallerRole, str, str]:
    match = _TOKEN.fullmatch(token)
    if match is None or match[1] not in {role.value for role in CallerRole}:
        raise _unknown()
    return CallerRole(match[1]), match[2], match[3]


def _unknown() -> NodeRefusal:
    return NodeRefusal(NodeCode.UNAUTHORIZED, "the request carries no credential that this node knows")


class CredentialsService:
    """Recognises callers by their tokens."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._clock = context.clock
        self._remembered: dict[str, tuple[float, tuple[Credential, ...]]] = {}
        self._lock = threading.Lock()

    def remembered(self, token: str) -> Caller | None:
        """Return the caller if the store need not be asked, else None; raise `unauthorized` for what is no token."""
        role, prefix, secret = _parts(token)
        with self._lock:
            loaded_at, rows = self._remembered.get(prefix, (float("-inf"), ()))
        if self._clock.monotonic() - loaded_at > REMEMBERED_SECONDS:
            return None
        return _recognise(rows, role, secret)

    def recognise(self, token: str) -> Caller:
        """Return who holds `token`, or raise `unauthorized`: unknown, revoked or another role's."""
        role, prefix, secret = _parts(token)
        rows = tuple(self.find(prefix))
        if rows:
            self._remember(prefix, rows)
        return _recognise(rows, role, secret)

    def issue(self, role: CallerRole, *, name: str) -> Pending[str]:
        """Make a credential and return its token, which is shown this once."""
        issued = issue_credential(role, name=name, now=self._context.now, randomness=self._context.randomness)
        future = self._context.writer.submit(WriteWork([issued.row]))
        return Pending(future, lambda _: issued.token)

    def revoke(self, prefix: str) -> Pending[None]:
        """End the credentials whose tokens carry the id `prefix`."""
        works = [RevokeCredential(row.id, self._context.now) for row in self.find(prefix)]
        future = self._context.writer.submit(WriteWork(works))
        return Pending(future, lambda _: self._forget(prefix))

    def _forget(self, prefix: str) -> None:
        with self._lock:
            self._remembered.pop(prefix, None)

    def find(self, prefix: str) -> list[Credential]:
        """Return the credentials, revoked ones too, whose tokens carry the id `prefix`."""
        return self._context.reader.credentials(prefix)

    def _remember(self, prefix: str, rows: tuple[Credential, ...]) -> None:
        with self._lock:
            if len(self._remembered) >= REMEMBERED_MAX:
                self._remembered.clear()
            self._remembered[prefix] = (self._clock.monotonic(), rows)


def _recognise(rows: tuple[Credential, ...], role: CallerRole, secret: str) -> Caller:
    offered = _hash(secret)
    found: Caller | None = None
    for row in rows:
        # Every row is compared to its end, so that time tells nothing about a hash.
        if hmac.compare_digest(row.hash, offered) and row.role == role and row.revoked_at is None:
            found = Caller(row.prefix, role)
    if found is None:
        raise _unknown()
    return found
