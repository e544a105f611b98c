"""What every reading has in common: a connection from the pool, one statement, its rows."""

from collections.abc import Iterator
from typing import TypeVar, cast

import msgspec
from sqlalchemy import Column, ColumnElement, Engine, Executable, select

from node.store import schema
from node.store.codec import Row, Value, codec_of, decode_json
from node.store.errors import StoreCorrupt, ValueUnstorable, translated
from node.store.numbers import number_of
from protocol.identifiers import Account
from protocol.ledger.state import Table

_K = TypeVar("_K")
_R = TypeVar("_R")
_T = TypeVar("_T")


class Reads:
    """Reads over pooled connections, from any thread; each call sees all that was committed before it."""

    def __init__(self, engine: Engine) -> None:
        """Read what `engine` reaches."""
        self._engine = engine

    def record(self, table: Table[_K, _R], key: _K) -> _R | None:
        """Return one row of the ledger's state, or None; raise `StoreCorrupt` if it cannot be read."""
        codec = codec_of(table)
        parts = dict(zip(codec.keys, codec.key_row(key), strict=True))
        found = list(self._records(table, *(_is(codec.table.c[name], part) for name, part in parts.items())))
        return found[0][1] if found else None

    def _records(
        self,
        table: Table[_K, _R],
        *conditions: ColumnElement[bool],
        order: tuple[ColumnElement[object], ...] = (),
        limit: int | None = None,
    ) -> Iterator[tuple[_K, _R]]:
        """Yield the keys and records that meet all `conditions`."""
        codec = codec_of(table)
        for row in self._rows(select(codec.table).where(*conditions).order_by(*order).limit(limit)):
            yield cast("tuple[_K, _R]", codec.decode(row))

    def _rows(self, statement: Executable) -> list[Row]:
        """Return the rows of one statement."""
        return [tuple(row.values()) for row in self._named_rows(statement)]

    def _objects(self, kind: type[_T], statement: Executable, *, json: tuple[str, ...] = ()) -> list[_T]:
        """Return the rows of one statement as `kind`, whose fields are the columns; those of `json` are JSON text."""
        objects = []
        for row in self._named_rows(statement):
            fields: dict[str, object] = dict(row)
            try:
                fields.update({name: decode_json(fields[name]) for name in json})
                objects.append(msgspec.convert(fields, kind))
            except (ValueError, TypeError) as error:
                raise StoreCorrupt(f"a row cannot be read as a {kind.__name__}: {error}") from error
        return objects

    def _named_rows(self, statement: Executable) -> list[dict[str, Value]]:
        """Return the rows of one statement; text or a number that no column can hold is found in no row."""
        try:
            with translated(), self._engine.connect() as connection:
                found = connection.execute(statement)
                # SQLAlchemy's names are a kind of text of their own, which msgspec takes for no field's name.
                names = [str(name) for name in found.keys()]  # noqa: SIM118 - a result is no mapping
                return [dict(zip(names, cast("Row", tuple(row)), strict=True)) for row in found]
        except ValueUnstorable:
            return []


def _is(column: Column[object], part: Value) -> ColumnElement[bool]:
    """Return the condition that a part of a record's key, as the ledger's state has it, is in `column`."""
    return column == (number_of(cast("Account", part)) if column is schema.LOTS.c.account_seq else part)
