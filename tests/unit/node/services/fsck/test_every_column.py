"""Each column of each table that is proved is changed, and each row removed: nothing goes unseen."""

import pytest
from sqlalchemy import Column, Connection, LargeBinary, Table

from node.store.columns import CLASS, METADATA, TableClass
from node.store.dump import class_of
from protocol.audit.findings import Verdict
from tests.support.stores import DamagedStore, Value
from tests.unit.node.services.fsck.damages import checked, found, matching

PROVED = [name for name in sorted(METADATA.tables) if METADATA.tables[name].info[CLASS] is not TableClass.OPERATIONAL]
COLUMNS = [(name, column) for name in PROVED for column in METADATA.tables[name].columns.keys()]  # noqa: SIM118


def with_rows(table: Table, *stores: DamagedStore) -> DamagedStore:
    """Return the first of `stores` where `table` has rows: an empty table would prove nothing."""
    return next(each for each in stores if each.rows(table))


def test_a_store_that_nobody_touched_holds(store: DamagedStore) -> None:
    report = checked(store)
    assert found(report) == {}
    assert (report.verdict, report.state) == (Verdict.HELD, ())
    assert {table.name: table.kind for table in report.tables} == {
        name: class_of(name).value for name in METADATA.tables
    }
    assert [table.name for table in report.tables if not table.checked] == [
        table.name for table in report.tables if table.kind == TableClass.OPERATIONAL and table.name != "metadata_rows"
    ]
    assert {table.name: table.rows for table in report.tables} == {
        name: len(store.rows(table)) for name, table in METADATA.tables.items()
    }


def test_a_settled_store_that_nobody_touched_holds(settled: DamagedStore) -> None:
    report = checked(settled)
    assert (report.verdict, found(report)) == (Verdict.HELD, {})


def another(value: Value, column: Column[object]) -> Value:
    """Return another value that the column's type can hold."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1_000_000 if column.primary_key else value + 1
    if isinstance(value, bytes):
        return value[:-1] + bytes([value[-1] ^ 1])
    if isinstance(value, str):
        return f"{value[:-1]}{'y' if value[-1:] == 'x' else 'x'}"
    return b"x" if isinstance(column.type, LargeBinary) else 7 if column.type.python_type is int else "x"


@pytest.mark.parametrize(("name", "column"), COLUMNS)
def test_a_changed_value_in_any_column_of_any_table_is_found(
    store: DamagedStore, settled: DamagedStore, name: str, column: str
) -> None:
    table = METADATA.tables[name]
    store = with_rows(table, store, settled)
    place = table.columns.keys().index(column)
    rows = store.rows(table)
    row = next((each for each in reversed(rows) if each[place] is not None), rows[-1])
    changed = another(row[place], table.columns[column])

    def damage(connection: Connection) -> None:
        done = connection.execute(table.update().where(matching(table, row)).values({column: changed}))
        assert done.rowcount == 1

    with store.damaged(table, damage):
        report = checked(store)
    assert report.verdict is Verdict.BROKEN
    assert name in found(report), found(report)


@pytest.mark.parametrize("which", ["first", "middle", "last"])
@pytest.mark.parametrize("name", PROVED)
def test_a_missing_row_of_any_table_is_found(store: DamagedStore, settled: DamagedStore, name: str, which: str) -> None:
    table = METADATA.tables[name]
    store = with_rows(table, store, settled)
    rows = store.rows(table)
    row = {"first": rows[0], "middle": rows[len(rows) // 2], "last": rows[-1]}[which]

    def damage(connection: Connection) -> None:
        assert connection.execute(table.delete().where(matching(table, row))).rowcount == 1

    with store.damaged(table, damage):
        report = checked(store)
    assert report.verdict is Verdict.BROKEN
    assert name in found(report), found(report)
