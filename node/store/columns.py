"""What the tables are made of: column types that mean the same on both databases, and the classes of tables.

Text is compared by code point on both databases, so that pages and `fsck` see one order.
"""

from enum import StrEnum
from typing import Final

from sqlalchemy import BigInteger, Boolean, Column, LargeBinary, MetaData, Table, Text
from sqlalchemy.dialects.postgresql import TEXT as POSTGRES_TEXT
from sqlalchemy.dialects.sqlite import INTEGER as SQLITE_INTEGER
from sqlalchemy.schema import SchemaItem

CLASS: Final = "class"

NAMING: Final = {
    "pk": "%(table_name)s_pk",
    "fk": "%(table_name)s_%(column_0_name)s_fk",
    "uq": "%(table_name)s_%(column_0_name)s_key",
    "ck": "%(table_name)s_%(constraint_name)s_check",
}


class TableClass(StrEnum):
    """What a table's rows are worth, and so what proves them."""

    LOG = "log"
    """The log itself: proved by its own signed checkpoints."""
    DERIVED = "derived"
    """Rebuilt from the log."""
    EVIDENCE = "evidence"
    """Signed by or sent to partners: never changed, never deleted."""
    OPERATIONAL = "operational"
    """Retries, cursors, credentials, erasable data: nothing that moves points."""


METADATA: Final = MetaData(naming_convention=NAMING)

# SQLite aliases its row number only to an INTEGER, and collates by code point unless told otherwise.
INTEGER: Final = BigInteger().with_variant(SQLITE_INTEGER(), "sqlite")
TEXT: Final = Text().with_variant(POSTGRES_TEXT(collation="C"), "postgresql")
BYTES: Final = LargeBinary()
FLAG: Final = Boolean(create_constraint=False)


def key(name: str) -> Column[object]:
    """Return a text column of the primary key."""
    return Column(name, TEXT, primary_key=True)


def number(name: str) -> Column[object]:
    """Return an integer column of the primary key, which no sequence fills."""
    return Column(name, INTEGER, primary_key=True, autoincrement=False)


def text(name: str, *, null: bool = False) -> Column[object]:
    """Return a text column."""
    return Column(name, TEXT, nullable=null)


def integer(name: str, *, null: bool = False) -> Column[object]:
    """Return an integer column."""
    return Column(name, INTEGER, nullable=null)


def binary(name: str, *, null: bool = False) -> Column[object]:
    """Return a column of bytes."""
    return Column(name, BYTES, nullable=null)


def flag(name: str) -> Column[object]:
    """Return a column of truth values."""
    return Column(name, FLAG, nullable=False)


def table(
    name: str, kind: TableClass, *parts: SchemaItem, clustered: bool = False, percent_filled: int | None = None
) -> Table:
    """Return a table; `clustered` keeps small rows in their key's own tree on SQLite.

    `percent_filled` leaves PostgreSQL room to put a row's new state on the page of the one before, without its indexes.
    """
    room = {} if percent_filled is None else {"fillfactor": percent_filled}
    return Table(name, METADATA, *parts, info={CLASS: kind}, sqlite_with_rowid=not clustered, postgresql_with=room)
