"""Whether a checkpoint that a partner puts into a statement is of the log whose checkpoints it has signed before.

The proof is made here, out of the tiles that the partner publishes: nothing it serves is believed, only what leads to
both roots (specs/notes.md §4, specs/settlement.md §3).
"""

from node.ports import Logs
from node.services.context import Context
from node.services.conversions.quotes import StoredView
from node.services.logs.own_log import open_of
from node.services.partner_logs.published_logs import PublishedLogs
from node.services.refusals import NodeCode, NodeRefusal
from node.store.rows import StoredPartnerCheckpoint
from protocol.agreement import key_of
from protocol.errors import ProofInvalid, TileInvalid
from protocol.identifiers import Digest, Ledger, generation_of
from protocol.keys import Role
from protocol.ledger.partners import known_partner
from protocol.merkle import Hash, consistency_proof, verify_consistency
from protocol.statement import CheckpointReference


class PartnerLog:
    """Compares partners' checkpoints with each other."""

    def __init__(self, context: Context, logs: Logs) -> None:
        self._context = context
        self._published = PublishedLogs(context, logs)

    def latest(self, partner: Ledger) -> CheckpointReference | None:
        """Return the largest checkpoint of the partner's present log that it has shown us, or None."""
        kept = self._context.reader.latest_partner_checkpoint(partner)
        return None if kept is None else self._reference(partner, kept)

    def check(self, partner: Ledger, stated: CheckpointReference, before: CheckpointReference | None) -> None:
        """Raise unless `stated` is of one log with the latest that the partner has shown, and with that `before`.

        Raises `log_inconsistent` where they contradict each other, or the log is known to contradict itself, and
        `log_unreachable` where the partner's log has an address and cannot be read. Where it has none, only checkpoints
        of one size are compared: what the partner has signed stays evidence. Checkpoints of different generations of
        its log are not of one log.
        """
        self._check_trusted(partner, stated.origin)
        reader, generation = self._context.reader, generation_of(stated.origin)
        kept = (
            reader.partner_checkpoint(partner, stated.size, generation=generation),
            reader.latest_partner_checkpoint(partner, generation=generation),
        )
        found = [*(self._reference(partner, each) for each in kept if each is not None), *([before] if before else [])]
        for known in dict.fromkeys(one for one in found if one.origin == stated.origin and one.size):
            smaller, larger = sorted((known, stated), key=lambda one: one.size)
            if smaller.size == larger.size:
                if smaller.root != larger.root:
                    raise _contradicted(partner, known, stated)
            elif (url := self._published.address(partner, stated.origin)) is not None:
                self._prove(partner, url, smaller, larger)

    def _check_trusted(self, partner: Ledger, log: Ledger) -> None:
        """Refuse a log of which there is evidence that it has two histories, or that shows none (`Proving`)."""
        reader = self._context.reader
        if reader.is_forked(partner, log):
            raise NodeRefusal(NodeCode.LOG_INCONSISTENT, f"there is evidence that {log} has two histories")
        proved = reader.proved(log)
        if proved is not None and proved.fault is not None:
            raise NodeRefusal(NodeCode.LOG_INCONSISTENT, f"{log} is not shown to be one: {proved.fault}")

    def _reference(self, partner: Ledger, kept: StoredPartnerCheckpoint) -> CheckpointReference:
        keys = known_partner(StoredView(self._context.reader), partner).keys
        found = open_of(kept.note, ledger=partner, key=key_of(keys, Role.LOG))
        return CheckpointReference(origin=Ledger(found.origin), size=found.size, root=Digest(found.root.hex()))

    def _prove(self, partner: Ledger, url: str, smaller: CheckpointReference, larger: CheckpointReference) -> None:
        tiles = self._published.tiles(partner, url, size=larger.size)
        try:
            proof = consistency_proof(old_size=smaller.size, size=larger.size, read=tiles.read)
            verify_consistency(
                old_size=smaller.size,
                size=larger.size,
                old_root=Hash(bytes.fromhex(smaller.root)),
                root=Hash(bytes.fromhex(larger.root)),
                proof=proof,
            )
        except (ProofInvalid, TileInvalid) as error:
            raise _contradicted(partner, smaller, larger) from error


def _contradicted(partner: Ledger, one: CheckpointReference, other: CheckpointReference) -> NodeRefusal:
    text = f"{partner} has signed {one.size} entries under {one.root} and {other.size} under {other.root}"
    return NodeRefusal(NodeCode.LOG_INCONSISTENT, f"{text}, which are not shown to be of one log")
