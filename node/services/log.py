"""The log as outsiders read it: checkpoint, tiles, bundles, receipts, received messages (specs/http.md).

Every commit signs a checkpoint, and at most one a second is published; tiles and bundles are served as far as the
published checkpoint reaches. A tile row serves any of its prefixes, since what a tile holds never changes.
"""

import threading
from dataclasses import dataclass
from typing import Final

from node.services.answers import Document
from node.services.context import Context
from node.services.pages import encode_received
from node.services.refusals import NodeCode, NodeRefusal
from node.services.render import document_in
from node.store.rows import SignedCheckpoint
from protocol.agreement import key_of
from protocol.audit.pages import (
    PAGE_MESSAGES_MAX,
    LedgerFile,
    encode_ledger_file,
)
from protocol.errors import TileInvalid
from protocol.keys import Role
from protocol.limits import TILE_WIDTH
from protocol.merkle import HASH_BYTES, inclusion_proof, leaf_hash
from protocol.note import Verifier, format_vkey
from protocol.proof import Receipt, format_receipt
from protocol.tiles import BundleId, TileId, TileReader, encode_bundle, parse_path, tile_width

PUBLISH_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryView:
    """An entry as it stands in the log: its document is canonical JSON, whose leaf hash is `leaf`."""

    seq: int
    leaf: str
    entry: Document


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryPage:
    """Entries in their order; `next` is the cursor of the page after, if there is one."""

    entries: tuple[EntryView, ...]
    next: int | None


class LogService:
    """Serves what is published of the log."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._lock = threading.Lock()
        self._published: SignedCheckpoint | None = None
        self._published_at = float("-inf")

    def checkpoint(self) -> bytes:
        """Return the published checkpoint, a signed note."""
        return self._current().note

    def ledger_file(self) -> bytes:
        """Return which log this is and its verifier key."""
        verifier = Verifier(self._context.ledger, key_of(self._context.record.keys, Role.LOG))
        return encode_ledger_file(LedgerFile(ledger=self._context.ledger, vkey=format_vkey(verifier)))

    def tile(self, path: str) -> bytes:
        """Return the tile of hashes at `path`, or raise `not_found` for what is none or not published yet."""
        place = _parsed(path)
        if not isinstance(place, TileId):
            raise _absent(path)
        width = tile_width(level=place.level, index=place.index, size=self._current().size)
        if not width or place.width > width:
            raise _absent(path)
        return self._hashes(place)

    def bundle(self, path: str) -> bytes:
        """Return the entry bundle at `path`, or raise `not_found` for what is none or not published yet."""
        place = _parsed(path)
        if not isinstance(place, BundleId):
            raise _absent(path)
        width = tile_width(level=0, index=place.index, size=self._current().size)
        if not width or place.width > width:
            raise _absent(path)
        return encode_bundle(self._context.reader.entries(place.index * TILE_WIDTH, place.width))

    def messages(self, page: int) -> bytes:
        """Return a page of received messages, or raise `not_found` beyond the last."""
        first = page * PAGE_MESSAGES_MAX
        received = self._context.reader.messages_received(first, PAGE_MESSAGES_MAX)
        if page and not received:
            raise _absent(f"messages/{page}")
        return encode_received(first, received)

    def entry(self, seq: int) -> EntryView:
        """Return one entry, or raise `not_found`."""
        data = self._context.reader.entry(seq)
        if data is None:
            raise _absent(f"entry {seq}")
        return _view(seq, data)

    def entries(self, *, after: int | None, limit: int) -> EntryPage:
        """Return up to `limit` entries after the cursor."""
        start = 0 if after is None else after + 1
        found = self._context.reader.entries(start, limit + 1)
        views = tuple(_view(seq, data) for seq, data in enumerate(found[:limit], start))
        return EntryPage(entries=views, next=views[-1].seq if len(found) > limit else None)

    def receipt(self, seq: int) -> bytes:
        """Return the receipt of one entry (C2SP tlog-proof), or raise `not_found`.

        Its checkpoint is the published one, or the newest when that does not reach the entry yet.
        """
        data = self._context.reader.entry(seq)
        checkpoint = self._current()
        if data is not None and checkpoint.size <= seq:
            checkpoint = self._newest()
        if data is None or checkpoint.size <= seq:
            raise _absent(f"entry {seq}")
        tiles = TileReader(size=checkpoint.size, fetch=self._hashes)
        proof = inclusion_proof(index=seq, size=checkpoint.size, read=tiles.read)
        return format_receipt(Receipt(extra=data, index=seq, proof=proof, checkpoint=checkpoint.note))

    def newest(self) -> SignedCheckpoint:
        """Return the last signed checkpoint, published or not: what this node must never fall behind."""
        return self._newest()

    def _current(self) -> SignedCheckpoint:
        now = self._context.clock.monotonic()
        with self._lock:
            if self._published is None or now - self._published_at >= PUBLISH_SECONDS:
                self._published = self._newest()
                self._published_at = now
            return self._published

    def _newest(self) -> SignedCheckpoint:
        found = self._context.reader.latest_checkpoint()
        assert found is not None, "a log has its genesis, and a checkpoint over it"
        return found

    def _hashes(self, tile: TileId) -> bytes:
        return self._context.reader.tile(tile.level, tile.index)[: tile.width * HASH_BYTES]


def _parsed(path: str) -> TileId | BundleId:
    try:
        return parse_path(path)
    except TileInvalid as error:
        raise _absent(path) from error


def _absent(what: str) -> NodeRefusal:
    return NodeRefusal(NodeCode.NOT_FOUND, f"there is no {what}")


def _view(seq: int, data: bytes) -> EntryView:
    return EntryView(seq=seq, leaf=leaf_hash(data).hex(), entry=document_in(data))
