"""This node as a witness: it cosigns what its partners' logs show to extend what it cosigned before (specs/witness.md).

A request is judged twice: at the door, so that what is refused costs no commit, and once more in the commit that keeps
it, which sees all that was cosigned before. What is answered is durable by then.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from node.engine.work import Desk
from node.services.channel.misconduct import accuse, keys_of
from node.services.context import Context
from node.services.refusals import NodeCode, NodeRefusal
from node.store.reader import StoreReader
from node.store.rows_witness import PutWitnessed
from protocol.audit.evidence import Fork
from protocol.checkpoint import parse_checkpoint, sign_cosignature
from protocol.errors import AddCheckpointInvalid, Code, IdentifierInvalid, Refusal
from protocol.identifiers import Digest, Ledger, first_of, parse_ledger
from protocol.keys import Role, Signer
from protocol.ledger.rotation import log_keys
from protocol.ledger.state import PARTNERS, PartnerRecord
from protocol.ledger.view import Need, Overlay
from protocol.note import Note, Verifier, format_note, parse_note
from protocol.witness import (
    Accepted,
    AddCheckpoint,
    Known,
    Refused,
    Reply,
    ShownFork,
    cosigned,
    decide,
    malformed,
    monitor_path,
    parse_add_checkpoint,
    signed_by,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessedLog:
    """A partner's log as this witness has it: `last` is the note that it cosigned last, if it ever did."""

    partner: Ledger
    record: PartnerRecord
    last: Note | None

    @property
    def known(self) -> Known:
        """Return what a decision goes by."""
        first, *later = (Verifier(self.record.log, key) for key in log_keys(self.record))
        last = parse_checkpoint(self.last.text) if self.last else None
        return Known(trusted=(first,), later=tuple(later), last=last)


class Cosigner:
    """A witness's key, and what its store has of the logs that it cosigns: those that partners now write."""

    def __init__(self, reader: StoreReader, *, name: str, key: Signer) -> None:
        self.reader = reader
        self._name = name
        self._key = key

    def find(self, origin: str, staged: bytes | None = None) -> WitnessedLog | None:
        """Return a partner's log by its origin, or None; the note last cosigned is `staged`, if that is given."""
        try:
            partner = first_of(parse_ledger(origin))
        except IdentifierInvalid:
            return None
        record = self.reader.record(PARTNERS, partner)
        if record is None or record.log != origin:
            return None
        kept = None if staged else self.reader.witnessed(origin)
        last = staged or (kept.note if kept else None)
        return WitnessedLog(partner=partner, record=record, last=parse_note(last) if last else None)

    def sign(self, accepted: Accepted, *, time_seconds: int) -> tuple[PutWitnessed, Reply]:
        """Return what is to be kept of an accepted checkpoint, and what is to be answered then."""
        checkpoint = accepted.checkpoint
        line = sign_cosignature(checkpoint, name=self._name, key=self._key, time_seconds=time_seconds)
        note = format_note(accepted.note.with_signatures([line]))
        return PutWitnessed(checkpoint.origin, checkpoint.size, note), cosigned([line])


class CosignWork:
    """Judges a request against what is kept as of this commit, and keeps what it accepts."""

    def __init__(self, cosigner: Cosigner, request: AddCheckpoint) -> None:
        self._cosigner = cosigner
        self._request = request

    def needs(self, _view: Overlay) -> Iterator[Need]:
        """Need nothing of the ledger."""
        return iter(())

    def run(self, desk: Desk) -> Reply:
        """Return the answer; it is true once the commit is durable."""
        # The writer alone changes these rows, one commit at a time: what the reader does not see is staged in this one.
        origin = self._request.checkpoint.origin
        staged = [row.note for row in desk.staged() if isinstance(row, PutWitnessed) and row.origin == origin]
        log = self._cosigner.find(origin, staged[-1] if staged else None)
        decision = decide(self._request, log.known if log else Known())
        if isinstance(decision, Accepted):
            row, reply = self._cosigner.sign(decision, time_seconds=_posix_seconds(desk.time))
            desk.stage(row)
            return reply
        if decision.fork is not None and log is not None and log.last is not None:
            self._accuse(desk, log, decision.fork, log.last)
        return decision.reply

    def _accuse(self, desk: Desk, log: WitnessedLog, fork: ShownFork, last: Note) -> None:
        """Keep as evidence that the log has signed another history than the one that was cosigned."""
        evidence = Fork(
            earlier=format_note(signed_by(last, log.known.trusted)).decode(),
            later=format_note(fork.note).decode(),
            root=Digest(fork.root.hex()),
            proof=tuple(Digest(each.hex()) for each in fork.proof),
        )
        accuse(desk, self._cosigner.reader, evidence, keys=keys_of(log.partner, log.record))


class WitnessService:
    """Answers the logs that ask for a cosignature, and the monitors that ask what was cosigned last."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._cosigner = Cosigner(context.reader, name=context.ledger, key=context.keyring.key(Role.WITNESS))

    def add_checkpoint(self, data: bytes) -> Reply:
        """Return the answer to a request, once what it cosigns is durable.

        Raises `store_behind` while this store is shown to be an older copy: it does not know what it has cosigned.
        """
        try:
            request = parse_add_checkpoint(data)
        except AddCheckpointInvalid as error:
            return malformed(error)
        behind = self._context.writer.gate.behind
        if behind is not None:
            raise Refusal(Code.STORE_BEHIND, f"this witness does not know what it has cosigned: {behind}")
        log = self._cosigner.find(request.checkpoint.origin)
        decision = decide(request, log.known if log else Known())
        if isinstance(decision, Refused) and decision.fork is None:
            return decision.reply
        return self._context.writer.submit(CosignWork(self._cosigner, request)).result()

    def latest(self, name: str) -> bytes:
        """Return what was cosigned last of the log whose origin has the digest `name`, or raise `not_found`."""
        for row in self._context.reader.all_witnessed():
            if monitor_path(row.origin) == f"{name}/checkpoint":
                return row.note
        raise NodeRefusal(NodeCode.NOT_FOUND, f"this witness has cosigned nothing of the log {name[:80]}")


def _posix_seconds(time: str) -> int:
    return int(datetime.fromisoformat(time).timestamp())
