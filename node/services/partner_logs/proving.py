"""Whether all that a partner has signed about its log is of one log: proved by what it publishes (specs/witness.md).

Each checkpoint that came with an envelope, and what this node cosigned as a witness, is held against the checkpoint
that the partner publishes to everybody, by its tiles. Where the tiles lead to another root than was signed before, the
two notes and the proof between them are evidence. Where they lead nowhere, strangers cannot tell who is to blame: that
is told to operators, and no statement is signed meanwhile.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import structlog

from node.engine.work import Desk
from node.ports import Logs
from node.services.channel.misconduct import AccusationReads, accuse, keys_of
from node.services.context import Context
from node.services.logs.own_log import open_of
from node.services.partner_logs.published_logs import PublishedLogs, unreadable
from node.services.refusals import NodeRefusal
from node.store.rows import StoredPartnerCheckpoint
from node.store.rows_witness import ProvedLog
from protocol.agreement import key_of
from protocol.audit.evidence import Evidence, Fork
from protocol.audit.known import PartnerKeys
from protocol.checkpoint import Checkpoint
from protocol.errors import ProofInvalid, ProtocolError, TileInvalid
from protocol.identifiers import Digest, Ledger, generation_of
from protocol.keys import Role
from protocol.ledger.rotation import log_keys
from protocol.ledger.state import PARTNERS, PartnerRecord
from protocol.ledger.view import Need, Overlay
from protocol.merkle import NodeReader, consistency_proof, root_at, verify_consistency
from protocol.note import Verifier, format_note, parse_note, signers_of
from protocol.witness import signed_by

CHECKPOINTS_MAX: Final = 256
"""Checkpoints of one partner that are compared at a time."""

PATIENCE_SECONDS: Final = 600.0
"""How long a log may stay unread, or behind what it has signed, before operators are told."""

_LOG: Final = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Unread:
    """Why a partner's log cannot be compared with what it has signed, and since when, on the monotonic clock.

    `number` is that of the checkpoint which it does not reach, if it can be read at all.
    """

    reason: str
    since: float
    number: int | None


@dataclass(frozen=True, slots=True)
class Shown:
    """A checkpoint of a partner's log, and its note with the log's own signatures alone."""

    checkpoint: Checkpoint
    note: bytes


def forks(known: Sequence[Shown], published: Shown, read: NodeReader) -> Iterator[Fork]:
    """Yield evidence for each of `known` that is not of the log of which `published` is a larger state, or the same.

    `read` reads the tree of `published`. Raises `ProofInvalid` or `TileInvalid` where it does not lead to that root.
    """
    size, root = published.checkpoint.size, published.checkpoint.root
    if root_at(size, read) != root:
        raise ProofInvalid(f"the tiles of {size} entries lead to another root than was signed")
    for each in known:
        old_size = each.checkpoint.size
        shown = root_at(old_size, read)
        proof = consistency_proof(old_size=old_size, size=size, read=read)
        verify_consistency(old_size=old_size, size=size, old_root=shown, root=root, proof=proof)
        if shown != each.checkpoint.root:
            yield Fork(
                earlier=each.note.decode(),
                later=published.note.decode(),
                root=Digest(shown.hex()),
                proof=tuple(Digest(node.hex()) for node in proof),
            )


class KeepProved:
    """Keeps how far a partner's log is proved, and evidence of what it has signed against that."""

    def __init__(
        self, store: AccusationReads, row: ProvedLog | None, *, found: Sequence[Evidence] = (), keys: PartnerKeys
    ) -> None:
        self._store = store
        self._row = row
        self._found = found
        self._keys = keys

    def needs(self, _view: Overlay) -> Iterator[Need]:
        """Need nothing."""
        return iter(())

    def run(self, desk: Desk) -> int:
        """Return how much evidence was kept."""
        if self._row is not None:
            desk.stage(self._row)
        return sum(accuse(desk, self._store, evidence, keys=self._keys) for evidence in self._found)


class Proving:
    """Proves partners' checkpoints; different partners may be looked at by several threads at once."""

    def __init__(self, context: Context, logs: Logs) -> None:
        self._context = context
        self._reader = context.reader
        self._published = PublishedLogs(context, logs)
        self._unread: dict[Ledger, Unread] = {}

    def due(self) -> list[Ledger]:
        """Return the partners of whose log something is not proved yet and can be looked at."""
        waiting = (each for each in self._reader.living_partners() if self._waiting(*each, limit=1))
        return [ledger for ledger, record in waiting if self._published.address(ledger, record.log)]

    def unproved(self, partner: Ledger) -> str | None:
        """Return why what a partner has signed is not proved, if operators should know: at once, or after patience."""
        record = self._reader.record(PARTNERS, partner)
        proved = None if record is None else self._reader.proved(record.log)
        if proved is not None and proved.fault is not None:
            return proved.fault
        found = self._unread.get(partner)
        late = found is not None and self._context.clock.monotonic() - found.since >= PATIENCE_SECONDS
        return found.reason if found is not None and late else None

    def prove(self, partner: Ledger) -> None:
        """Compare what the partner has shown of its log with what it publishes, and keep what comes of it."""
        record = self._reader.record(PARTNERS, partner)
        assert record is not None, "a partner that was listed"
        waiting, url = self._waiting(partner, record), self._published.address(partner, record.log)
        if not waiting or url is None:
            self._unread.pop(partner, None)
            return
        try:
            published = self._now_published(partner, record, url)
            self._compare(partner, record, waiting, published=published, url=url)
        except NodeRefusal as refusal:
            self._wait(partner, str(refusal))
        except (ProofInvalid, TileInvalid) as error:
            self._keep_fault(partner, record, str(error))

    def _waiting(
        self, partner: Ledger, record: PartnerRecord, *, limit: int = CHECKPOINTS_MAX
    ) -> list[StoredPartnerCheckpoint]:
        proved = self._reader.proved(record.log)
        return self._reader.partner_checkpoints_of(
            partner, generation=generation_of(record.log), from_number=proved.next_number if proved else 0, limit=limit
        )

    def _now_published(self, partner: Ledger, record: PartnerRecord, url: str) -> Shown:
        """Return the checkpoint that the partner publishes, or raise `log_unreachable` for what is none of its log."""
        note = self._published.checkpoint(partner, url)
        try:
            shown = _opened(note, partner, record)
            asked = _verifiers(shown.checkpoint, record)
            signed = signers_of(parse_note(note), asked)
        except ProtocolError as error:
            raise unreadable(partner, f"what it publishes is no checkpoint of it: {error}") from error
        if shown.checkpoint.origin != record.log:
            raise unreadable(partner, f"it publishes the log {shown.checkpoint.origin}, which is not entered here")
        if len(signed) < len(asked):
            # Whoever has stolen a key that was replaced since could make evidence against an honest log.
            raise unreadable(partner, "what it publishes is not signed by every key that its log has had")
        return shown

    def _compare(
        self,
        partner: Ledger,
        record: PartnerRecord,
        waiting: Sequence[StoredPartnerCheckpoint],
        *,
        published: Shown,
        url: str,
    ) -> None:
        size, before = published.checkpoint.size, self._reader.proved(record.log)
        held = [each for each in (before, self._reader.witnessed(record.log)) if each is not None and each.size]
        reached = [each for each in (*held, *waiting) if each.size <= size]
        known = [_opened(note, partner, record) for note in dict.fromkeys(each.note for each in reached)]
        tiles = self._published.tiles(partner, url, size=size)
        found = list(forks([each for each in known if each.checkpoint.size], published, tiles.read))
        beyond = max((each.size for each in held), default=0)
        row = ProvedLog(
            origin=record.log,
            next_number=next((each.number for each in waiting if each.size > size), waiting[-1].number + 1),
            size=size,
            note=published.note,
            proved_at=self._context.now,
            fault=None,
        )
        # Behind what was proved or cosigned before, and is beyond what is published now, a fork could hide.
        self._keep(partner, record, found, before=before, row=row if beyond <= size else None)
        if beyond > size:
            self._wait(partner, f"it publishes {size} entries, and showed {beyond} before")
        elif row.next_number <= waiting[-1].number:
            self._wait(partner, f"it publishes {size} entries, and has signed more", number=row.next_number)
        else:
            self._unread.pop(partner, None)

    def _keep(
        self,
        partner: Ledger,
        record: PartnerRecord,
        found: Sequence[Evidence],
        *,
        before: ProvedLog | None,
        row: ProvedLog | None,
    ) -> None:
        """Keep evidence, and how far the log is proved, where either is new."""
        same = row is None or (before is not None and replace(before, note=row.note, proved_at=row.proved_at) == row)
        if found or not same:
            keys = keys_of(partner, record)
            self._context.writer.submit(KeepProved(self._reader, row, found=found, keys=keys)).result()

    def _keep_fault(self, partner: Ledger, record: PartnerRecord, reason: str) -> None:
        """Keep that what the partner serves contradicts what it signed, until it does no more."""
        before = self._reader.proved(record.log)
        if before is not None and before.fault is not None:
            return
        _LOG.error("partner_log_unproved", partner=partner, reason=reason)
        nothing = ProvedLog(origin=record.log, next_number=0, size=0, note=b"", proved_at=self._context.now, fault=None)
        row = replace(before or nothing, fault=reason)
        self._context.writer.submit(KeepProved(self._reader, row, keys=keys_of(partner, record))).result()

    def _wait(self, partner: Ledger, reason: str, *, number: int | None = None) -> None:
        known, now = self._unread.get(partner), self._context.clock.monotonic()
        same = known is not None and known.number == number
        self._unread[partner] = Unread(reason, known.since if known is not None and same else now, number)


def _opened(note: bytes, partner: Ledger, record: PartnerRecord) -> Shown:
    checkpoint = open_of(note, ledger=partner, key=key_of(record.keys, Role.LOG))
    signed = signed_by(parse_note(note), _verifiers(checkpoint, record))
    return Shown(checkpoint, format_note(signed))


def _verifiers(checkpoint: Checkpoint, record: PartnerRecord) -> list[Verifier]:
    """Return the keys that the log has had: from a rotation on each of them signs."""
    return [Verifier(checkpoint.origin, key) for key in log_keys(record)]
