"""The one writer: it loads what commands need, and writes each commit in one durable transaction."""

from collections.abc import Collection, Iterable
from contextlib import nullcontext
from types import TracebackType
from typing import Final, Self, TypeAlias, cast

from sqlalchemy import Engine, func, select, text

from node.store import schema
from node.store.changes import numbers_of, write_changes
from node.store.codec import Row, codec_of
from node.store.emptying import BACKSTOP_PAGES, LogEmptier
from node.store.errors import ForkRefused, StoreCorrupt
from node.store.held_files import HeldFiles
from node.store.lock import WriterLock, take_lock
from node.store.numbers import AccountNumbers, can_exist
from node.store.rows import CommitRecord, StoredHead
from node.store.session import Session
from node.store.writes import apply_writes
from protocol.checkpoint import parse_checkpoint
from protocol.entries import unseal
from protocol.errors import ProtocolError
from protocol.identifiers import Account, Ledger, generation_of
from protocol.ledger.state import ACCOUNTS, HEAD, LEDGER, LOTS, ONLY, Head, Lot, Table
from protocol.ledger.view import Need, Overlay, need
from protocol.merkle import HASH_BYTES, Hash
from protocol.note import parse_note
from protocol.tiles import TileId, TileReader

_LAST: Final = select(schema.CHECKPOINTS).order_by(schema.CHECKPOINTS.c.number.desc()).limit(1)
_LAST_SEQ: Final = select(func.max(schema.ENTRIES.c.seq))
_MADE: Final = schema.CHECKPOINTS.c
_TERM: Final = select(schema.WRITER_TERMS.c.term).where(schema.WRITER_TERMS.c.name == ONLY).with_for_update()
# Whether the writer's term lasts and where its log ends, asked as one and before each commit.
_PLACE: Final = (
    select(schema.WRITER_TERMS.c.term, _MADE.number, _MADE.generation, _MADE.size)
    .outerjoin_from(
        schema.WRITER_TERMS, schema.CHECKPOINTS, _MADE.number == select(func.max(_MADE.number)).scalar_subquery()
    )
    .where(schema.WRITER_TERMS.c.name == ONLY)
    .with_for_update(of=schema.WRITER_TERMS)
)
_LOTS: Final = codec_of(LOTS)

FEW_ROWS_MAX: Final = 2_000
"""Up to so many rows, waiting for the server's answers to each statement costs more than what COPY spares it."""

_Family: TypeAlias = Table[object, object]


class StoreWriter:
    """Writes one ledger's store from one thread at a time, and alone: each new writer ends the term of the last.

    After `StoreFailed` out of `commit`, ask `head`: whether a commit whose connection broke was kept is only known
    then. A writer on PostgreSQL whose connection is lost fails from then on, for its lock is lost too: open another.
    """

    def __init__(self, engine: Engine, *, copy_beside: bool = False) -> None:
        """Take the lock and a new term, or raise `StoreBusy`; see `Database.writer`."""
        self._session = Session(engine)
        self._numbers = AccountNumbers(self._session)
        try:
            self._lock: WriterLock = take_lock(engine, self._session)
            try:
                self._term = self._take_term()
                self._files = HeldFiles(engine)
                self._emptier = self._emptied(engine) if copy_beside and engine.dialect.name == "sqlite" else None
            except BaseException:
                self._lock.release()
                raise
        except BaseException:
            self._session.close()
            raise

    def __enter__(self) -> Self:
        """Return the writer."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the writer."""
        self.close()

    def close(self) -> None:
        """Give up the lock and the connection."""
        if self._emptier:
            self._emptier.close()
        try:
            self._lock.release()
        finally:
            self._session.close()

    @property
    def term(self) -> int:
        """Return the number of this writer's term: those before it have ended."""
        return self._term

    def head(self) -> StoredHead:
        """Return the end of the log; raise `StoreCorrupt` where last entry, checkpoint and head row do not agree.

        Nothing that was known of the store before is believed any longer: an older copy may have been put back.
        """
        self._numbers = AccountNumbers(self._session)
        last = self._session.query(_LAST)
        ((last_seq,),) = self._session.query(_LAST_SEQ)
        if not last and last_seq is None:
            return StoredHead()
        if not last or last_seq is None:
            raise StoreCorrupt("the log has entries without a checkpoint, or a checkpoint without entries")
        try:
            return self._checked_head(last[0])
        except ProtocolError as error:
            raise StoreCorrupt(f"the end of the log cannot be read: {error}") from error

    def load(self, needs: Iterable[Need], overlay: Overlay) -> None:
        """Make all that `needs` names known to `overlay`, with one query a table; a missing row becomes None."""
        wanted: dict[_Family, dict[object, None]] = {}
        books: dict[Account, None] = {}
        for each in needs:
            if overlay.is_loaded(each):
                continue
            table, key = each
            if table is None:
                books[cast("Account", key)] = None
            else:
                wanted.setdefault(table, {})[key] = None
        for family, keys in wanted.items():
            if family is LOTS:
                self._load_lots(keys, overlay)
            else:
                self._load_rows(family, keys, overlay)
        if books:
            self._load_books(books, overlay)

    def tile(self, level: int, index: int, *, generation: int = 1) -> bytes:
        """Return the hashes of a stored tile of one of our logs, as wide as it is, or nothing where there is none."""
        place = [(generation, level, index)]
        rows = list(self._session.select(schema.TILES, ("generation", "level", "tile_index"), place))
        return cast("bytes", rows[0][3]) if rows else b""

    def range_hashes(self, size: int, *, generation: int = 1) -> tuple[Hash, ...]:
        """Return the compact range of the first `size` leaves of a log, largest subtree first, read from the tiles.

        Raises `TileInvalid` when the stored tiles do not reach that far.
        """

        def fetch(tile: TileId) -> bytes:
            return self.tile(tile.level, tile.index, generation=generation)[: tile.width * HASH_BYTES]

        reader = TileReader(size=size, fetch=fetch)
        hashes: list[Hash] = []
        begin = 0
        for level in reversed(range(size.bit_length())):
            if size >> level & 1:
                hashes.append(reader.read(level, begin >> level))
                begin += 1 << level
        return tuple(hashes)

    def entry(self, seq: int) -> bytes | None:
        """Return the bytes of entry `seq`, or None."""
        return self.entries((seq,)).get(seq)

    def entries(self, seqs: Iterable[int]) -> dict[int, bytes]:
        """Return the bytes of those of the entries `seqs` that exist."""
        rows = self._session.select(schema.ENTRIES, ("seq",), [(seq,) for seq in dict.fromkeys(seqs)])
        return {cast("int", seq): cast("bytes", data) for seq, _, data in rows}

    def commit(self, record: CommitRecord) -> None:
        """Write all of `record` and make it durable, or leave no trace of it.

        Raises `StoreFailed`: as `ForkRefused` when the stored log is not `record.old_size` long, another writer has
        taken over or the database's file was moved away, as `StoreFull`, `StoreReadOnly` or `StoreBusy` when the
        database could not write.
        """
        _assert_whole(record)
        rows = sum(map(len, record.changes.values())) + len(record.history)
        gap = self._emptier.gap if self._emptier else nullcontext()
        with gap, self._session.transaction(few_rows=rows <= FEW_ROWS_MAX):
            self._compare(record)
            self._write_log(record)
            opened = write_changes(self._session, record, self._numbers)
            apply_writes(self._session, record.writes)
            self._files.check()
        self._numbers.remember(opened)
        if self._emptier:
            self._emptier.written(rows + len(record.sealed))

    def _emptied(self, engine: Engine) -> LogEmptier:
        """Have the log copied beside commits: inside one of them only where that fails."""
        self._session.query(text(f"PRAGMA wal_autocheckpoint = {BACKSTOP_PAGES}"))
        return LogEmptier(engine)

    def _take_term(self) -> int:
        with self._session.transaction():
            known = self._session.query(_TERM)
            term = cast("int", known[0][0]) + 1 if known else 1
            self._session.upsert(schema.WRITER_TERMS, [(ONLY, term)])
        return term

    def _checked_head(self, last: Row) -> StoredHead:
        number, generation, size, root, note = cast("tuple[int, int, int, str, bytes]", last)
        checkpoint = parse_checkpoint(parse_note(note).text)
        derived = Overlay(complete=False)
        self.load([need(HEAD, ONLY), need(LEDGER, ONLY)], derived)
        ledger = derived.get(LEDGER, ONLY)
        first_seq = ledger.first_seq if ledger else 0
        seq = first_seq + size - 1
        stored = list(self._session.select(schema.ENTRIES, ("seq",), [(seq,)]))
        if self._session.query(_LAST_SEQ) != [(seq,)] or not stored:
            raise StoreCorrupt(f"the log does not end with the entry {seq} that its last checkpoint covers")
        sealed = unseal(cast("bytes", stored[0][2]))
        signed = (generation_of(Ledger(checkpoint.origin)), checkpoint.size, checkpoint.root.hex())
        leaf = cast("bytes", stored[0][1]).hex()
        if signed != (generation, size, root) or (sealed.entry.seq, sealed.leaf) != (seq, leaf):
            raise StoreCorrupt("the last checkpoint or the last entry is not what its columns say")
        if derived.get(HEAD, ONLY) != Head(size=seq + 1, leaf=sealed.leaf, time=sealed.entry.time):
            raise StoreCorrupt("the head row is not that of the last entry")
        return StoredHead(
            size=size,
            generation=generation,
            first_seq=first_seq,
            checkpoint=checkpoint,
            checkpoint_number=number,
            note=note,
            leaf=sealed.leaf,
            time=sealed.entry.time,
        )

    def _load_rows(self, family: _Family, keys: Iterable[object], overlay: Overlay) -> None:
        codec = codec_of(family)
        wanted = {key: codec.key_row(key) for key in keys}
        rows = self._session.select(codec.table, codec.keys, [row for row in wanted.values() if _can_exist(row)])
        found = dict(codec.decode_all(rows))
        if family is ACCOUNTS:
            self._numbers.remember(numbers_of(found.items()))
        for key in wanted:
            overlay.load(family, key, found.get(key))

    def _load_lots(self, keys: Iterable[object], overlay: Overlay) -> None:
        """Load lots by their keys, the first part of which no row has: it has the account's number."""
        wanted = [cast("tuple[Account, int, int]", key) for key in keys]
        numbers = self._numbers.find(dict.fromkeys(account for account, _, _ in wanted))
        rows = [(numbers[account], *place) for account, *place in wanted if account in numbers]
        found = dict(_LOTS.decode_all(self._session.select(_LOTS.table, _LOTS.keys, rows)))
        for account, seq, part in wanted:
            lot = found.get((numbers.get(account), seq, part))
            overlay.load(LOTS, (account, seq, part), cast("Lot | None", lot))

    def _load_books(self, accounts: Collection[Account], overlay: Overlay) -> None:
        numbers = self._numbers.find(accounts)
        books: dict[int, list[Lot]] = {number: [] for number in numbers.values()}
        rows = self._session.select(_LOTS.table, ("account_seq",), [(number,) for number in books])
        for key, lot in _LOTS.decode_all(rows):
            books[cast("tuple[int, int, int]", key)[0]].append(cast("Lot", lot))
        for account in accounts:
            overlay.load_book(account, books[numbers[account]] if account in numbers else ())

    def _compare(self, record: CommitRecord) -> None:
        """Raise `ForkRefused` unless this writer's term lasts and the log ends where `record` begins."""
        (place,) = self._session.query(_PLACE) or [(None, None, None, None)]
        if place[0] != self._term:
            raise ForkRefused("another writer has taken over")
        empty = place[1] is None
        number, generation, size = (-1, record.old_generation, 0) if empty else cast("tuple[int, int, int]", place[1:])
        expected = (record.old_generation, record.old_size)
        if (generation, size) != expected or (record.checkpoint and record.checkpoint.number != number + 1):
            raise ForkRefused(f"the stored log {generation} has {size} entries under checkpoint {number}")

    def _write_log(self, record: CommitRecord) -> None:
        entries: list[Row] = [(each.entry.seq, bytes.fromhex(each.leaf), each.data) for each in record.sealed]
        self._session.insert(schema.ENTRIES, entries)
        tiles: list[Row] = [(record.generation, tile.level, tile.index, tile.hashes) for tile in record.tiles]
        self._session.upsert(schema.TILES, tiles)
        if record.checkpoint:
            made = record.checkpoint
            row = (made.number, made.generation, made.size, made.root, made.note)
            self._session.insert(schema.CHECKPOINTS, [row])


def _assert_whole(record: CommitRecord) -> None:
    size = record.begin + len(record.sealed)
    seqs = range(record.first_seq + record.begin, record.first_seq + size)
    assert [each.entry.seq for each in record.sealed] == list(seqs)
    assert bool(record.sealed) == (record.checkpoint is not None)
    assert record.checkpoint is None or (record.checkpoint.generation, record.checkpoint.size) == (
        record.generation, size,
    )  # fmt: skip
    assert record.generation >= record.old_generation


def _can_exist(key: Row) -> bool:
    """Return whether a row can have this key: one that no column can hold is simply not there."""
    return all(map(can_exist, key))
