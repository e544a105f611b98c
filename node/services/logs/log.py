"""The log as outsiders read it: checkpoint, tiles, bundles, receipts, received messages (specs/http.md).

Every commit signs a checkpoint, and at most one a second is published; tiles and bundles are served as far as the
published checkpoint reaches. A tile row serves any of its prefixes, since what a tile holds never changes.
"""

from dataclasses import dataclass

from node.services.answers import Document
from node.services.context import Context
from node.services.logs.log_files import LogFiles
from node.services.logs.pages import encode_received
from node.services.logs.publication import Publication, as_published
from node.services.refusals import NodeCode, NodeRefusal
from node.services.render import document_in
from node.store.rows import SignedCheckpoint
from protocol.audit.pages import PAGE_MESSAGES_MAX
from protocol.entries import decode_entry
from protocol.errors import TileInvalid
from protocol.merkle import inclusion_proof, leaf_hash
from protocol.proof import Receipt, format_receipt
from protocol.tiles import BundleId, TileId, TileReader, parse_path


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
        self._files = LogFiles(context.reader, context.record)
        self.publication = Publication(context)

    def checkpoint(self) -> bytes:
        """Return the published checkpoint, a signed note."""
        return self._current().note

    def ledger_file(self) -> bytes:
        """Return which log this is and its verifier key."""
        return self._files.ledger_file(self._current().generation)

    def tile(self, path: str) -> bytes:
        """Return the tile of hashes at `path`, or raise `not_found` for what is none or not published yet."""
        return self._file(path, TileId, self._current())

    def bundle(self, path: str) -> bytes:
        """Return the entry bundle at `path`, or raise `not_found` for what is none or not published yet."""
        return self._file(path, BundleId, self._current())

    # --- Logs that a successor has taken the place of: what was restored of them, for ever.

    def past_checkpoint(self, generation: int) -> bytes:
        """Return the last checkpoint of an earlier log that this store has, a signed note, or raise `not_found`."""
        return self._past(generation).note

    def past_ledger_file(self, generation: int) -> bytes:
        """Return the name of an earlier log and its verifier key, or raise `not_found`."""
        return self._files.ledger_file(self._past(generation).generation)

    def past_tile(self, generation: int, path: str) -> bytes:
        """Return the tile of hashes at `path` of an earlier log, or raise `not_found`."""
        return self._file(path, TileId, self._past(generation))

    def past_bundle(self, generation: int, path: str) -> bytes:
        """Return the entry bundle at `path` of an earlier log, or raise `not_found`."""
        return self._file(path, BundleId, self._past(generation))

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
        found = self._context.reader.entries_from(start, limit + 1)
        views = tuple(_view(decode_entry(data).seq, data) for data in found[:limit])
        return EntryPage(entries=views, next=views[-1].seq if len(found) > limit else None)

    def receipt(self, seq: int) -> bytes:
        """Return the receipt of one entry (C2SP tlog-proof), or raise `not_found`.

        Its checkpoint is the published one, or the newest when that does not reach the entry yet.
        """
        data = self._context.reader.entry(seq)
        generation = self._files.generation_at(seq, newest=self._newest().generation)
        first = None if generation is None else self._files.first_seq(generation)
        if data is None or generation is None or first is None:
            raise _absent(f"entry {seq}")
        index = seq - first
        checkpoint = self._reaching(generation, index)
        tiles = TileReader(size=checkpoint.size, fetch=lambda tile: self._files.hashes(tile, generation))
        proof = inclusion_proof(index=index, size=checkpoint.size, read=tiles.read)
        return format_receipt(Receipt(extra=data, index=index, proof=proof, checkpoint=checkpoint.note))

    def newest(self) -> SignedCheckpoint:
        """Return the last signed checkpoint, published or not: what this node must never fall behind."""
        return self._newest()

    def time_of(self, checkpoint: SignedCheckpoint) -> str | None:
        """Return when the last entry under one of our checkpoints was written; it was signed with that entry."""
        first = self._files.first_seq(checkpoint.generation)
        last = None if first is None else self._context.entry(first + checkpoint.size - 1)
        return None if last is None else last.entry.time

    def _current(self) -> SignedCheckpoint:
        return self.publication.current()

    def _newest(self) -> SignedCheckpoint:
        return self.publication.newest()

    def _reaching(self, generation: int, index: int) -> SignedCheckpoint:
        """Return the published checkpoint of a log, or its newest where that does not reach the leaf `index` yet."""
        current = self._current()
        if current.generation == generation and index < current.size:
            return current
        newest = self._context.reader.checkpoint_of(generation)
        assert newest is not None, "an entry is written with a checkpoint over it"
        # Of a log that a successor has followed, what witnesses cosigned of its end is kept.
        return as_published(newest, self._context.reader, ledger=self._context.ledger)

    def _past(self, generation: int) -> SignedCheckpoint:
        found = self._context.reader.checkpoint_of(generation)
        if found is None or found.generation >= self._newest().generation:
            raise _absent(f"earlier log {generation}")
        return found

    def _file(self, path: str, kind: type[TileId] | type[BundleId], checkpoint: SignedCheckpoint) -> bytes:
        place = _parsed(path)
        found = self._files.file(place, checkpoint) if isinstance(place, kind) else None
        if found is None:
            raise _absent(path)
        return found


def _parsed(path: str) -> TileId | BundleId:
    try:
        return parse_path(path)
    except TileInvalid as error:
        raise _absent(path) from error


def _absent(what: str) -> NodeRefusal:
    return NodeRefusal(NodeCode.NOT_FOUND, f"there is no {what}")


def _view(seq: int, data: bytes) -> EntryView:
    return EntryView(seq=seq, leaf=leaf_hash(data).hex(), entry=document_in(data))
