"""Whether a partner's log has the entries that its words name: asked of what the partner publishes, and proved here.

A partner never shows the entry itself, which names its own member's account: the leaf and its place are enough.
"""

from collections.abc import Iterator, Sequence

from node.ports import Logs
from node.services.context import Context
from node.services.logs.own_log import open_of
from node.services.partner_logs.published_logs import PublishedLogs, unreadable
from node.services.refusals import NodeRefusal
from node.services.traces.trace_views import Outcome, TraceCounterpart
from protocol.agreement import key_of
from protocol.audit.trace import Counterpart
from protocol.errors import ProtocolError
from protocol.identifiers import Ledger
from protocol.keys import Role
from protocol.ledger.state import PARTNERS, PartnerRecord
from protocol.merkle import Hash, inclusion_proof, verify_inclusion
from protocol.messages import Body, EntryReference, Fulfil, Prepare, Reject
from protocol.proof import Receipt, format_receipt

Found = tuple[TraceCounterpart, Counterpart | None]


class PartnerReceipts:
    """Makes receipts of partners' logs."""

    def __init__(self, context: Context, logs: Logs) -> None:
        self._context = context
        self._published = PublishedLogs(context, logs)

    def of(self, partner: Ledger, bodies: Sequence[Body]) -> Iterator[Found]:
        """Yield what the partner's log shows of each entry that one of its `bodies` names, each entry once."""
        named = {body.entry.seq: body.entry for body in bodies if isinstance(body, Prepare | Fulfil | Reject)}
        record = self._context.reader.record(PARTNERS, partner)
        for reference in named.values():
            if record is not None:
                yield self._ask(partner, record, reference)

    def _ask(self, partner: Ledger, record: PartnerRecord, named: EntryReference) -> Found:
        url = self._published.address(partner, record.log)
        if url is None:
            return _outcome(named, "unreachable", "its log has no address here"), None
        if named.seq < record.log_first_seq:
            return _outcome(named, "unreachable", f"the entry is of a log before {record.log}"), None
        try:
            receipt, size = self._receipt(partner, record, named, url)
        except NodeRefusal as refusal:
            return _outcome(named, "unreachable", refusal.detail), None
        except ProtocolError as error:
            return _outcome(named, "contradicted", str(error)), None
        detail = f"{record.log} has it among {size} entries, signed by its log key"
        return _outcome(named, "shown", detail), Counterpart(leaf=named.leaf, receipt=receipt)

    def _receipt(self, partner: Ledger, record: PartnerRecord, named: EntryReference, url: str) -> tuple[str, int]:
        """Return a receipt of the partner's log and the size of its checkpoint, or raise what it fails by."""
        note = self._published.checkpoint(partner, url)
        checkpoint = open_of(note, ledger=partner, key=key_of(record.keys, Role.LOG))
        index = named.seq - record.log_first_seq
        if checkpoint.origin != record.log or index >= checkpoint.size:
            raise _not_yet(partner, checkpoint.size)
        tiles = self._published.tiles(partner, url, size=checkpoint.size)
        proof = inclusion_proof(index=index, size=checkpoint.size, read=tiles.read)
        leaf = Hash(bytes.fromhex(named.leaf))
        verify_inclusion(leaf=leaf, index=index, size=checkpoint.size, root=checkpoint.root, proof=proof)
        receipt = Receipt(extra=None, index=index, proof=tuple(proof), checkpoint=note)
        return format_receipt(receipt).decode(), checkpoint.size


def _not_yet(partner: Ledger, size: int) -> NodeRefusal:
    return unreadable(partner, f"it publishes {size} entries, and not this one yet")


def _outcome(named: EntryReference, outcome: Outcome, detail: str) -> TraceCounterpart:
    return TraceCounterpart(entry=named.seq, leaf=named.leaf, outcome=outcome, detail=detail)
