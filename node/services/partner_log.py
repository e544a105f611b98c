"""Whether a checkpoint that a partner puts into a statement is of the log whose checkpoints it has signed before.

The proof is made here, out of the tiles that the partner publishes: nothing it serves is believed, only what leads to
both roots (specs/notes.md §4, specs/settlement.md §3).
"""

from typing import Final

from node.ports import Logs, TransportFailed
from node.services.context import Context
from node.services.own_log import open_of
from node.services.quotes import StoredView
from node.services.refusals import NodeCode, NodeRefusal
from node.store.rows import StoredPartnerCheckpoint
from protocol.agreement import key_of
from protocol.errors import ProofInvalid, TileInvalid
from protocol.identifiers import Digest, Ledger, generation_of
from protocol.keys import Role
from protocol.ledger.partners import known_partner
from protocol.limits import TILE_WIDTH
from protocol.merkle import HASH_BYTES, Hash, consistency_proof, verify_consistency
from protocol.statement import CheckpointReference
from protocol.tiles import TileId, TileReader, format_path

PAUSE_SECONDS: Final = 10.0
"""How long a partner's log that could not be read is not asked again."""

_FILES: Final = "files"


class PartnerLog:
    """Compares partners' checkpoints with each other."""

    def __init__(self, context: Context, logs: Logs) -> None:
        self._context = context
        self._logs = logs
        self._failed: dict[Ledger, tuple[float, str]] = {}

    def latest(self, partner: Ledger) -> CheckpointReference | None:
        """Return the largest checkpoint of the partner's present log that it has shown us, or None."""
        kept = self._context.reader.latest_partner_checkpoint(partner)
        return None if kept is None else self._reference(partner, kept)

    def check(self, partner: Ledger, stated: CheckpointReference, before: CheckpointReference | None) -> None:
        """Raise unless `stated` is of one log with the latest that the partner has shown, and with that `before`.

        Raises `log_inconsistent` where they contradict each other, and `log_unreachable` where the partner's log has
        an address and cannot be read. Where it has none, only checkpoints of one size are compared: what the partner
        has signed stays evidence. Checkpoints of different generations of its log are not of one log.
        """
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
            elif (url := self._address(partner, stated.origin)) is not None:
                self._prove(partner, url, smaller, larger)

    def _reference(self, partner: Ledger, kept: StoredPartnerCheckpoint) -> CheckpointReference:
        keys = known_partner(StoredView(self._context.reader), partner).keys
        found = open_of(kept.note, ledger=partner, key=key_of(keys, Role.LOG))
        return CheckpointReference(origin=Ledger(found.origin), size=found.size, root=Digest(found.root.hex()))

    def _address(self, partner: Ledger, log: Ledger) -> str | None:
        """Return where the partner's log can be read, or None for one that is not dialled, or is no longer written."""
        reader = self._context.reader
        current = reader.current_agreement(partner)
        if current is not None and current[1].signed.agreement.transport.kind == _FILES:
            return None
        if known_partner(StoredView(reader), partner).log != log:
            return None
        return reader.partner_url(partner) or None

    def _prove(self, partner: Ledger, url: str, smaller: CheckpointReference, larger: CheckpointReference) -> None:
        tiles = TileReader(size=larger.size, fetch=lambda tile: self._tile(partner, url, tile))
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

    def _tile(self, partner: Ledger, url: str, tile: TileId) -> bytes:
        """Return a tile of the partner's log; where a partial one is not served, the start of the full one."""
        path = format_path(tile)
        data = self._fetch(partner, url, path)
        if data is None and tile.width < TILE_WIDTH:
            full = TileId(level=tile.level, index=tile.index, width=TILE_WIDTH)
            data = self._fetch(partner, url, format_path(full))
        if data is None:
            # What a log signs it publishes within a second or so: the next look may find it.
            raise _refused(partner, f"{url} has no {path} yet")
        return data[: tile.width * HASH_BYTES]

    def _fetch(self, partner: Ledger, url: str, path: str) -> bytes | None:
        at, why = self._failed.get(partner, (float("-inf"), ""))
        if self._context.clock.monotonic() - at < PAUSE_SECONDS:
            raise _refused(partner, why)
        try:
            return self._logs.fetch(url, path)
        except TransportFailed as error:
            self._failed[partner] = (self._context.clock.monotonic(), str(error))
            raise _refused(partner, str(error)) from error


def _refused(partner: Ledger, why: str) -> NodeRefusal:
    return NodeRefusal(NodeCode.LOG_UNREACHABLE, f"the log of {partner} cannot be read: {why}")


def _contradicted(partner: Ledger, one: CheckpointReference, other: CheckpointReference) -> NodeRefusal:
    text = f"{partner} has signed {one.size} entries under {one.root} and {other.size} under {other.root}"
    return NodeRefusal(NodeCode.LOG_INCONSISTENT, f"{text}, which are not shown to be of one log")
