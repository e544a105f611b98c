"""Partners' logs as they publish them, read over the address by which each is dialled: checkpoints and tiles."""

from typing import Final

from node.ports import Logs, TransportFailed
from node.services.context import Context
from node.services.conversions.quotes import StoredView
from node.services.logs.log_access import log_pass
from node.services.refusals import NodeCode, NodeRefusal
from protocol.identifiers import Ledger
from protocol.ledger.partners import known_partner
from protocol.limits import TILE_WIDTH
from protocol.merkle import HASH_BYTES
from protocol.tiles import TileId, TileReader, format_path

PAUSE_SECONDS: Final = 10.0
"""How long a partner's log that could not be read is not asked again."""

_CHECKPOINT: Final = "checkpoint"
_FILES: Final = "files"


class PublishedLogs:
    """Reads the logs of partners; what cannot be read is refused with `log_unreachable`."""

    def __init__(self, context: Context, logs: Logs) -> None:
        self._context = context
        self._logs = logs
        self._failed: dict[Ledger, tuple[float, str]] = {}

    def address(self, partner: Ledger, log: Ledger) -> str | None:
        """Return where the partner's log can be read, or None for one that is not dialled, or is no longer written."""
        reader = self._context.reader
        current = reader.current_agreement(partner)
        if current is not None and current[1].signed.agreement.transport.kind == _FILES:
            return None
        if known_partner(StoredView(reader), partner).log != log:
            return None
        return reader.partner_url(partner) or None

    def checkpoint(self, partner: Ledger, url: str) -> bytes:
        """Return the checkpoint that the partner publishes now, a signed note of which nothing is verified."""
        data = self._fetch(partner, url, _CHECKPOINT)
        if data is None:
            raise unreadable(partner, f"{url} has no checkpoint")
        return data

    def tiles(self, partner: Ledger, url: str, *, size: int) -> TileReader:
        """Return a reader of the partner's tree of `size` leaves; only what leads to a signed root is believed."""
        return TileReader(size=size, fetch=lambda tile: self._tile(partner, url, tile))

    def _tile(self, partner: Ledger, url: str, tile: TileId) -> bytes:
        """Return a tile of the partner's log; where a partial one is not served, the start of the full one."""
        path = format_path(tile)
        data = self._fetch(partner, url, path)
        if data is None and tile.width < TILE_WIDTH:
            full = TileId(level=tile.level, index=tile.index, width=TILE_WIDTH)
            data = self._fetch(partner, url, format_path(full))
        if data is None:
            # What a log signs it publishes within a second or so: the next look may find it.
            raise unreadable(partner, f"{url} has no {path} yet")
        return data[: tile.width * HASH_BYTES]

    def _fetch(self, partner: Ledger, url: str, path: str) -> bytes | None:
        at, why = self._failed.get(partner, (float("-inf"), ""))
        if self._context.clock.monotonic() - at < PAUSE_SECONDS:
            raise unreadable(partner, why)
        try:
            return self._logs.fetch(url, path, credential=log_pass(self._context, partner))
        except TransportFailed as error:
            self._failed[partner] = (self._context.clock.monotonic(), str(error))
            raise unreadable(partner, str(error)) from error


def unreadable(partner: Ledger, why: str) -> NodeRefusal:
    """Return the refusal of what needs the partner's log to be read."""
    return NodeRefusal(NodeCode.LOG_UNREACHABLE, f"the log of {partner} cannot be read: {why}")
