"""What two who saw a log come to when they meet: each holds a checkpoint, and one of them, or both, the leaves.

A ledger that shows two histories is found as soon as anybody compares what it signed to one with what it signed to the
other. Nobody's word is taken for it: a checkpoint counts by the ledger's own signature.
"""

from collections.abc import Iterable

from protocol.audit.findings import FindingCode
from protocol.audit.kept import LogState
from protocol.audit.outcome import LogAudit
from protocol.checkpoint import Checkpoint, open_checkpoint, parse_checkpoint
from protocol.errors import ProtocolError
from protocol.identifiers import Ledger, partner_of
from protocol.note import Verifier, parse_note


def meet(audit: LogAudit, note: bytes, *, place: str, others: Iterable[LogState] = ()) -> None:
    """Compare a log with a checkpoint that somebody else holds, and note in the audit's findings what differs.

    One that is longer than the log as given is compared by its own leaves, where one of `others` has them.
    """
    record = audit.replay.ledger
    origin = _origin_of(note)
    if record is None or not audit.is_whole or origin is None or partner_of(origin) != partner_of(record.ledger):
        return
    try:
        checkpoint = open_checkpoint(note, [Verifier(origin, audit.replay.own_key(record).key)])
    except ProtocolError as error:
        text = f"it is not signed by the log key that genesis names, so it proves nothing: {error}"
        audit.findings.incomplete(error.code, place, text)
        return
    if origin == record.log and checkpoint.size > audit.replay.size:
        longer = next((each for each in others if _leads_to(each, checkpoint)), None)
        if longer is not None:
            if longer.replay.tree.root_at(audit.replay.size) != audit.replay.tree.root():
                text = f"its first {audit.replay.size} entries are others than those of the log as given"
                audit.findings.broken(FindingCode.FORKED, place, text)
            return
    audit.replay.check_held(checkpoint, place=place, findings=audit.findings)


def _leads_to(state: LogState, checkpoint: Checkpoint) -> bool:
    """Return whether `state` has all leaves of the log with this checkpoint."""
    record = state.replay.ledger
    named = record is not None and record.log == checkpoint.origin
    return named and state.replay.size == checkpoint.size and state.replay.tree.root() == checkpoint.root


def _origin_of(note: bytes) -> Ledger | None:
    try:
        return Ledger(parse_checkpoint(parse_note(note).text).origin)
    except ProtocolError:
        return None
