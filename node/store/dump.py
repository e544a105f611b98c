"""Every row of every table as it lies in the store, and the row that it should be: what `fsck` compares."""

from collections.abc import Iterator
from typing import Final, TypeVar, cast

from sqlalchemy import Connection, select, tuple_, type_coerce
from sqlalchemy.types import NULLTYPE

from node.store.codec import Row, Value, codec_of, is_stored
from node.store.columns import CLASS, METADATA, TableClass
from node.store.errors import translated
from protocol.ledger.state import Table

PAGE_ROWS: Final = 1_000

_K = TypeVar("_K")
_R = TypeVar("_R")


class Dump:
    """One unchanging view of all tables."""

    def __init__(self, connection: Connection) -> None:
        """Read over `connection`, whose open transaction holds the view."""
        self._connection = connection

    def rows(self, name: str) -> Iterator[Row]:
        """Yield all rows of the table `name` in the order of its primary key, each as `columns_of(name)`.

        A flag is 0 or 1 on SQLite and a bool on PostgreSQL, which compare equal.
        """
        table = METADATA.tables[name]
        keys = list(table.primary_key.columns)
        # Columns are read without their types, for what lies there may be of another.
        page = select(*(type_coerce(column, NULLTYPE) for column in table.columns)).order_by(*keys).limit(PAGE_ROWS)
        places = [list(table.columns).index(key) for key in keys]
        last: list[Value] | None = None
        while True:
            query = page if last is None else page.where(tuple_(*keys) > tuple_(*last))
            with translated():
                rows = [cast("Row", tuple(row)) for row in self._connection.execute(query)]
            yield from rows
            if len(rows) < PAGE_ROWS:
                return
            last = [rows[-1][place] for place in places]


def tables_of(kind: TableClass) -> tuple[str, ...]:
    """Return the names of the tables of a class, in a fixed order."""
    return tuple(sorted(name for name, table in METADATA.tables.items() if table.info[CLASS] is kind))


def class_of(name: str) -> TableClass:
    """Return what the rows of the table `name` are worth."""
    kind = METADATA.tables[name].info[CLASS]
    assert isinstance(kind, TableClass)
    return kind


def columns_of(name: str) -> tuple[str, ...]:
    """Return the columns of the table `name`, in their order."""
    return tuple(METADATA.tables[name].columns.keys())


def key_columns_of(family: Table[_K, _R]) -> tuple[str, ...]:
    """Return the first columns of a table of the ledger's state, which say whose row it is."""
    return codec_of(family).keys


def expected_row(family: Table[_K, _R], key: _K, record: _R) -> dict[str, Value] | None:
    """Return the columns in which the store holds `record`, or None for a record that has no row.

    The key of a lot begins with the number of its account, as its row does.
    """
    if not is_stored(family, record):
        return None
    return dict(zip(columns_of(family.name), codec_of(family).encode(key, record), strict=True))
