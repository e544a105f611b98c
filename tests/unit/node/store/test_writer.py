"""A commit is whole or not there; what commands need comes back as it was written."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias, cast

import msgspec
import pytest
from sqlalchemy import Table, create_engine, text
from sqlalchemy.pool import NullPool

from node.store.codec import Row
from node.store.columns import METADATA
from node.store.database import Database
from node.store.dump import columns_of, expected_row
from node.store.errors import ForkRefused, StoreCorrupt, StoreFailed
from node.store.rows import CommitRecord, PutSetting, Requeue, StoredHead
from node.store.writer import StoreWriter
from protocol.identifiers import Account, Id
from protocol.ledger.state import ACCOUNTS, HEAD, IDS, LOTS, ONLY, TABLES, AccountRecord, AccountStatus, Lot
from protocol.ledger.state import Table as StateTable
from protocol.ledger.view import Overlay, View, need, need_book
from protocol.merkle import CompactRange, Hash
from protocol.tiles import TileBuilder
from tests.support.documents import digest
from tests.support.ledger import holder, rows_of
from tests.unit.node.store.recorder import ANN, CEM, Recorder, busy_logs, long_log, small_log, whole_logs, write_log

Family: TypeAlias = StateTable[object, object]


def dump_of(database: Database) -> dict[str, list[tuple[object, ...]]]:
    """Return every row of every table."""
    with database.snapshot() as snapshot:
        return {name: list(snapshot.rows(name)) for name in METADATA.tables}


def run_sql(url: str, statement: str) -> None:
    engine = create_engine(url, poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text(statement))


OF_MEMBERS = (
    "actions", "appeals", "imports", "limit_use", "merges", "program", "reservations", "reversible", "reviews",
    "transfer_pairs", "transfers",
)  # fmt: skip
"""Tables that only the first of the two logs fills: what its members do, under its program's terms."""


def stored_key(state: View, family: Family, key: object) -> object:
    """Return the key of a row, which names an account by its number where the table is one of lots."""
    if family.name != LOTS.name:
        return key
    account, seq, part = cast("tuple[Account, int, int]", key)
    record = state.get(ACCOUNTS, account)
    assert record is not None
    return record.opened_seq, seq, part


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("step", [1, 7, 1_000])
def test_the_store_holds_the_state_that_the_log_leads_to(
    database: Database, writer: StoreWriter, which: int, step: int
) -> None:
    side, sealed = whole_logs()[which]
    state = write_log(writer, sealed, side=side, step=step).state
    empty = {family.name for family in TABLES} - rows_of(state).keys()
    assert empty <= ({"promotion_use", *OF_MEMBERS} if which else {"promotion_use"})
    with database.snapshot() as snapshot:
        for family in TABLES:
            rows = [expected_row(family, stored_key(state, family, key), record) for key, record in state.rows(family)]
            keys = METADATA.tables[family.name].primary_key.columns.keys()
            expected = sorted((row for row in rows if row), key=lambda row: [row[name] for name in keys])
            assert [
                dict(zip(columns_of(family.name), row, strict=True)) for row in snapshot.rows(family.name)
            ] == expected


@pytest.mark.parametrize("which", [0, 1])
def test_what_commands_need_comes_back(writer: StoreWriter, which: int) -> None:
    side, sealed = busy_logs()[which]
    state = write_log(writer, sealed, side=side).state
    loaded = Overlay(complete=False)
    writer.load([need(family, key) for family in TABLES for key, _ in state.rows(family)], loaded)
    stored = {name: dict(rows) for name, rows in rows_of(state).items()}
    stored[LOTS.name] = {key: lot for key, lot in stored[LOTS.name].items() if cast("Lot", lot).remaining}
    assert rows_of(loaded) == stored
    for account, _ in state.rows(ACCOUNTS):
        book = Overlay(complete=False)
        writer.load([need_book(account)], book)
        assert book.lots(account) == state.lots(account)


def test_what_is_not_there_is_known_not_to_be(writer: StoreWriter) -> None:
    write_log(writer, small_log())
    overlay = Overlay(complete=False)
    strange = [Id("0"), Id("\0"), Id("\ud800"), Id("\N{SNOWMAN}")]
    writer.load([need(IDS, each) for each in strange] + [need_book(CEM), need_book(Account("\0"))], overlay)
    assert [overlay.get(IDS, each) for each in strange] == [None] * 4
    assert overlay.lots(CEM) == overlay.lots(Account("\0")) == []


def test_a_load_never_undoes_a_change(writer: StoreWriter) -> None:
    write_log(writer, small_log())
    overlay = Overlay(complete=False)
    writer.load([need(ACCOUNTS, ANN)], overlay)
    record = overlay.get(ACCOUNTS, ANN)
    assert record is not None
    changed = msgspec.structs.replace(record, posted=1)
    overlay.put(ACCOUNTS, ANN, changed)
    writer.load([need(ACCOUNTS, ANN)], overlay)
    assert overlay.get(ACCOUNTS, ANN) == changed


def test_the_head_is_read_from_the_log_itself(writer: StoreWriter) -> None:
    assert writer.head() == StoredHead()
    sealed = small_log()
    recorder = write_log(writer, sealed, step=2)
    head = writer.head()
    assert (head.size, head.checkpoint_number) == (len(sealed), recorder.number)
    assert (head.leaf, head.time) == (sealed[-1].leaf, sealed[-1].entry.time)
    assert head.checkpoint is not None
    assert head.checkpoint.root == recorder.tiles.root()
    assert head.note is not None


@pytest.mark.parametrize(
    "harm",
    [
        "DELETE FROM checkpoints",
        "DELETE FROM checkpoints WHERE number = 1",
        "DELETE FROM entries",
        "DELETE FROM entries WHERE seq = 3",
        "DELETE FROM head",
        "UPDATE head SET time = '2026-03-01T12:00:00.000000Z'",
        "UPDATE checkpoints SET size = size + 1",
        "UPDATE checkpoints SET root = 'x'",
        "UPDATE checkpoints SET note = data FROM entries",
        "UPDATE entries SET data = leaf",
        "UPDATE entries SET leaf = (SELECT leaf FROM entries WHERE seq = 0)",
    ],
)
def test_an_end_that_contradicts_itself_is_refused(writer: StoreWriter, database_url: str, harm: str) -> None:
    write_log(writer, small_log(), step=2)
    run_sql(database_url, harm)
    with pytest.raises(StoreCorrupt):
        writer.head()


@pytest.mark.parametrize("size", [1, 2, 3, 255, 256, 257, 511, 512, 600])
def test_tiles_give_the_compact_range_of_any_size(writer: StoreWriter, size: int) -> None:
    sealed = long_log(600)
    write_log(writer, sealed, step=250)
    expected = CompactRange()
    for each in sealed[:size]:
        expected.append(Hash(bytes.fromhex(each.leaf)))
    assert writer.range_hashes(size) == expected.hashes


def test_a_tree_is_resumed_from_the_stored_tiles(writer: StoreWriter) -> None:
    recorder = write_log(writer, long_log(600), step=250)
    resumed = TileBuilder.resume(size=600, fetch=lambda tile: writer.tile(tile.level, tile.index))
    assert resumed.root() == recorder.tiles.root()
    assert writer.tile(5, 0) == b""


def test_entries_come_back_byte_for_byte(writer: StoreWriter) -> None:
    sealed = small_log()
    write_log(writer, sealed)
    assert writer.entries([2, 0, 2, 99]) == {0: sealed[0].data, 2: sealed[2].data}
    assert writer.entry(1) == sealed[1].data
    assert writer.entry(99) is None


def test_a_commit_on_another_log_is_a_fork(database: Database, writer: StoreWriter) -> None:
    sealed = small_log()
    recorder = Recorder()
    first, second, third = (recorder.record(sealed[begin : begin + 1]) for begin in range(3))
    with pytest.raises(ForkRefused):
        writer.commit(second)
    writer.commit(first)
    before = dump_of(database)
    assert second.checkpoint is not None
    skipped = dataclasses.replace(second, checkpoint=dataclasses.replace(second.checkpoint, number=2))
    for wrong in (first, third, skipped, CommitRecord(old_size=0, writes=(PutSetting("name", "value"),))):
        with pytest.raises(ForkRefused):
            writer.commit(wrong)
    assert dump_of(database) == before
    writer.commit(second)
    assert writer.head().size == 2


@pytest.mark.parametrize("writes", [(PutSetting("kept", "not"), Requeue(digest("never sent")))])
def test_a_commit_that_fails_at_its_end_leaves_nothing(
    database: Database, writer: StoreWriter, writes: tuple[PutSetting, Requeue]
) -> None:
    sealed = small_log()
    recorder = Recorder()
    writer.commit(recorder.record(sealed[:2]))
    before = dump_of(database)
    record = recorder.record(sealed[2:])
    with pytest.raises(StoreFailed):
        writer.commit(dataclasses.replace(record, writes=writes))
    assert dump_of(database) == before
    # The writer lives on, and the same commit succeeds without what made it fail.
    writer.commit(record)
    assert writer.head().size == len(sealed)


def test_an_id_is_taken_once_whatever_the_rules_say(writer: StoreWriter) -> None:
    sealed = small_log()
    recorder = Recorder()
    writer.commit(recorder.record(sealed[:2]))
    record = recorder.record(sealed[2:3])
    ((ids, taken),) = ((family, rows) for family, rows in record.changes.items() if family.name == IDS.name)
    (row,) = taken.values()
    twice = {**record.changes, ids: {**taken, sealed[0].entry.id: row}}
    with pytest.raises(StoreFailed):
        writer.commit(dataclasses.replace(record, changes=twice))


def test_a_holder_below_zero_is_refused_whatever_the_rules_say(writer: StoreWriter) -> None:
    overdrawn = AccountRecord(status=AccountStatus.OPEN, posted=1, held=2, conversions=0, opened_seq=0)
    overlay = Overlay(complete=True)
    overlay.put(ACCOUNTS, ANN, overdrawn)
    with pytest.raises(StoreFailed):
        writer.commit(CommitRecord(old_size=0, changes=overlay.take_changes()))


def test_a_closed_lot_has_no_row(database: Database, writer: StoreWriter) -> None:
    sealed = small_log()
    write_log(writer, sealed)
    lot = Lot(seq=3, part=1, origin="own", earned_on="2026-03-01", expires_on=None, remaining=5)
    before = database.reader().lots(ANN)
    for remaining in (5, 3, 0, 0, 4):
        overlay = Overlay(complete=True)
        overlay.put_lot(ANN, msgspec.structs.replace(lot, remaining=remaining))
        writer.commit(CommitRecord(old_size=len(sealed), changes=overlay.take_changes()))
        found = [each.remaining for each in database.reader().lots(ANN) if each not in before]
        assert found == ([remaining] if remaining else [])


def test_twenty_thousand_entries_in_one_commit(database: Database, writer: StoreWriter) -> None:
    sealed = long_log(20_000)
    recorder = write_log(writer, sealed, step=20_000)
    head = writer.head()
    assert (head.size, head.checkpoint_number) == (20_000, 0)
    assert head.checkpoint is not None
    assert head.checkpoint.root == recorder.tiles.root()
    loaded = Overlay(complete=False)
    members = [holder(f"member {number}") for number in range(100)]
    writer.load([need(IDS, each.entry.id) for each in sealed] + [need_book(account) for account in members], loaded)
    assert all(loaded.get(IDS, each.entry.id) == recorder.state.get(IDS, each.entry.id) for each in sealed)
    assert all(loaded.lots(account) == recorder.state.lots(account) for account in members)
    assert database.reader().entries(19_998, 10) == [each.data for each in sealed[19_998:]]


def test_one_query_a_table(writer: StoreWriter, monkeypatch: pytest.MonkeyPatch) -> None:
    sealed = small_log()
    write_log(writer, sealed)
    asked: list[str] = []
    select = writer._session.select

    def counted(table: Table, by: tuple[str, ...], keys: Sequence[Row]) -> list[Row]:
        asked.append(table.name)
        return select(table, by, keys)

    monkeypatch.setattr(writer._session, "select", counted)
    needs = [need(IDS, each.entry.id) for each in sealed] + [need(ACCOUNTS, ANN), need(ACCOUNTS, CEM), need(HEAD, ONLY)]
    writer.load([*needs, need_book(ANN), need_book(CEM)], Overlay(complete=False))
    assert sorted(asked) == ["accounts", "head", "ids", "lots"]


@pytest.mark.parametrize("ending", ["", "-wal"])
def test_a_file_that_has_lost_its_name_takes_no_commit(tmp_path: Path, ending: str) -> None:
    store, aside = tmp_path / "store.sqlite", tmp_path / "aside"
    held = tmp_path / f"{store.name}{ending}"
    with Database.open(f"sqlite:///{store}") as database:
        database.migrate()
        with database.writer() as writer:
            sealed = small_log()
            recorder = write_log(writer, sealed[:2])
            record = recorder.record(sealed[2:])
            held.rename(aside)
            with pytest.raises(ForkRefused, match="put it back"):
                writer.commit(record)
            held.write_bytes(aside.read_bytes())
            with pytest.raises(ForkRefused, match="put it back"):
                writer.commit(record)
            aside.rename(held)
            writer.commit(record)
            assert writer.head().size == len(sealed)
