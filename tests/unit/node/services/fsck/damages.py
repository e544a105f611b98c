"""What is done to a store, and how the report of `fsck` is read."""

from collections.abc import Callable, Mapping

from sqlalchemy import ColumnElement, Connection, Table, and_

from node.services.fsck.fsck import fsck
from node.services.fsck.fsck_report import FsckReport
from tests.support.stores import DamagedStore, Row, Value


def checked(store: DamagedStore, *, state: bytes | None = None) -> FsckReport:
    return fsck(store.database, state=state)


def found(report: FsckReport) -> dict[str, list[str]]:
    return {table.name: [each.line(table.name) for each in table.findings] for table in report.tables if table.findings}


def key_of(table: Table, row: Row) -> dict[str, Value]:
    values = dict(zip(table.columns.keys(), row, strict=True))
    return {column.name: values[column.name] for column in table.primary_key.columns}


def matching(table: Table, row: Row) -> ColumnElement[bool]:
    return and_(*(table.columns[name] == value for name, value in key_of(table, row).items()))


def changing(table: Table, values: Mapping[str, object], *, last: bool = True) -> Callable[[Connection], None]:
    """Return a damage that sets columns of a table's first or last row."""

    def damage(connection: Connection) -> None:
        keys = list(table.primary_key.columns)
        rows = connection.execute(table.select().order_by(*keys)).all()
        connection.execute(table.update().where(matching(table, tuple(rows[-1 if last else 0]))).values(values))

    return damage


def without_rows(table: Table) -> Callable[[Connection], None]:
    def damage(connection: Connection) -> None:
        connection.execute(table.delete())

    return damage


def inserting(table: Table, values: Mapping[str, object]) -> Callable[[Connection], None]:
    def damage(connection: Connection) -> None:
        connection.execute(table.insert().values(values))

    return damage
