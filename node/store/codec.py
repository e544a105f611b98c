"""How each of the ledger's records is a row: key columns first, then the record's own, in the table's order."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from operator import attrgetter
from typing import Final, TypeAlias, TypeVar, cast

import msgspec
import sqlalchemy

from node.kinds import known
from node.store import (
    schema,
    schema_access,
    schema_appeals,
    schema_imports,
    schema_links,
    schema_lots,
    schema_program,
    schema_settlement,
)
from node.store.errors import StoreCorrupt
from protocol.agreement import SignedAgreement, decode_signed_agreement, encode_signed_agreement
from protocol.errors import ProtocolError
from protocol.ledger import state
from protocol.ledger.program_state import LIMIT_USE, MERGES, RESERVATIONS, REVIEWS, TRANSFER_PAIRS, TRANSFERS
from protocol.ledger.state import Table
from protocol.program import ProgramTerms, decode_terms, encode_terms
from protocol.statement import SignedStatement, decode_signed_statement, encode_signed_statement

Value: TypeAlias = str | int | bytes | None
"""What a column holds, as both drivers give and take it; a flag is an int or a bool."""

Row: TypeAlias = tuple[Value, ...]

_K = TypeVar("_K")
_R = TypeVar("_R")
_Convert: TypeAlias = Callable[[object], object]

_SORTED: Final = msgspec.json.Encoder(order="sorted")


class _Column:
    """One column that is not held as the record holds it: how it is written, how it is read; None is as it is."""

    __slots__ = ("decode", "encode")

    def __init__(self, encode: _Convert | None, decode: _Convert | None) -> None:
        self.encode = encode
        self.decode = decode


def encode_json(value: object) -> str:
    """Return `value`, made of records, tuples, text and integers, as canonical JSON text."""
    return _SORTED.encode(value).decode()


def decode_json(value: object) -> object:
    """Return what canonical JSON text holds, or raise `ValueError` or `TypeError`."""
    decoded: object = msgspec.json.decode(cast("str", value))
    return decoded


def _hash_bytes(value: object) -> object:
    return None if value is None else bytes.fromhex(cast("str", value))


def _hash_text(value: object) -> object:
    return None if value is None else cast("bytes", value).hex()


def _number(value: object) -> object:
    text = cast("str", value)
    if str(int(text)) != text:
        raise ValueError(f"{text[:40]!r} is not a decimal number")
    return int(text)


def _flag(value: object) -> object:
    if value not in (0, 1):
        raise ValueError(f"{value!r} is not a flag")
    return bool(value)


_ENUM: Final = _Column(str, None)
_FLAG: Final = _Column(None, _flag)
_HASH: Final = _Column(_hash_bytes, _hash_text)
_DECIMAL: Final = _Column(str, _number)
_JSON: Final = _Column(encode_json, decode_json)
_JSON_OR_NULL: Final = _Column(
    lambda value: None if value is None else encode_json(value),
    lambda value: None if value is None else decode_json(value),
)
_ENUM_OR_NULL: Final = _Column(lambda value: None if value is None else str(value), None)
_STATEMENT: Final = _Column(
    lambda value: encode_signed_statement(cast("SignedStatement", value)),
    lambda value: decode_signed_statement(cast("bytes", value)),
)
_TOTALS: Final = ("source_points", "destination_points", "fee_points", "value")
_TERMS: Final = _Column(
    lambda value: encode_terms(cast("ProgramTerms", value)).decode(),
    # The row is read for every commit and changes with the seasons.
    lru_cache(maxsize=4)(lambda value: decode_terms(cast("str", value).encode())),
)
_DOCUMENT: Final = _Column(
    lambda value: encode_signed_agreement(cast("SignedAgreement", value)),
    lambda value: decode_signed_agreement(cast("bytes", value)),
)


class RecordCodec:
    """The rows of one table of the ledger's state."""

    def __init__(
        self,
        family: Table[_K, _R],
        table: sqlalchemy.Table,
        *,
        keys: tuple[str, ...] = (),
        columns: Mapping[str, _Column] | None = None,
        renamed: Mapping[str, str] | None = None,
    ) -> None:
        """Store `family` in `table`, whose primary key is the record's unless `keys` are other columns.

        `columns` and `renamed` tell what is not stored as the record has it.
        """
        names = [str(column.name) for column in table.columns]
        keys = keys or tuple(str(column.name) for column in table.primary_key.columns)
        assert tuple(names[: len(keys)]) == keys
        attributes = [(renamed or {}).get(name, name) for name in names]
        special = [(names.index(name), column) for name, column in (columns or {}).items()]
        self.family: Final = cast("Table[object, object]", family)
        self.table: Final = table
        self.keys: Final = keys
        self._key_count: Final = len(keys)
        self._fields: Final = attributes
        self._get: Final = _getter(attributes[len(keys) :])
        self._kind: Final = list[family.record]  # type: ignore[name-defined]  # a type that is made here
        self._encoders: Final = [(place, column.encode) for place, column in special if column.encode]
        self._decoders: Final = [(attributes[place], column.decode) for place, column in special if column.decode]

    def key_row(self, key: object) -> Row:
        """Return the key's columns."""
        return cast("Row", key) if self._key_count > 1 else cast("Row", (key,))

    def encode(self, key: object, record: object) -> Row:
        """Return the row of `record`."""
        return self.encode_all([(key, record)])[0]

    def encode_all(self, records: Iterable[tuple[object, object]]) -> list[Row]:
        """Return the rows of records with their keys."""
        get = self._get
        rows: list[Row]
        # What a key and a column hold is not looked at here: a cast would cost each of many rows a call.
        if self._key_count > 1:
            rows = [(*key, *get(record)) for key, record in records]  # type: ignore[misc]
        else:
            rows = [(key, *get(record)) for key, record in records]  # type: ignore[arg-type]
        for place, convert in self._encoders:
            after = place + 1
            rows = [(*row[:place], convert(row[place]), *row[after:]) for row in rows]  # type: ignore[arg-type]
        return rows

    def decode(self, row: Sequence[object]) -> tuple[object, object]:
        """Return the key and the record of a row, or raise `StoreCorrupt`."""
        return self.decode_all([row])[0]

    def decode_all(self, rows: Sequence[Sequence[object]]) -> list[tuple[object, object]]:
        """Return the keys and records of rows, or raise `StoreCorrupt`."""
        fields = self._fields
        try:
            named = [dict(zip(fields, row, strict=True)) for row in rows]
            for name, convert in self._decoders:
                for each in named:
                    each[name] = convert(each[name])
            # All in one call: one for each record would cost as much again.
            records: list[object] = msgspec.convert(named, known(self._kind))
        except (ProtocolError, ValueError, TypeError, AttributeError, IndexError) as error:
            raise StoreCorrupt(f"a row of {self.table.name} cannot be read: {error}") from error
        if self._key_count > 1:
            keys: list[object] = [tuple(row[: self._key_count]) for row in rows]
        else:
            keys = [row[0] for row in rows]
        return list(zip(keys, records, strict=True))


def _getter(attributes: Sequence[str]) -> Callable[[object], Row]:
    """Return what reads attributes of a record, as a row even where there is one."""
    if len(attributes) > 1:
        return cast("Callable[[object], Row]", attrgetter(*attributes))
    (single,) = attributes
    return lambda record: (getattr(record, single),)


_CODECS: Final = (
    RecordCodec(state.HEAD, schema.HEAD),
    RecordCodec(
        state.LEDGER,
        schema.LEDGER,
        columns={
            "currencies": _JSON,
            "keys": _JSON,
            "predecessor": _JSON_OR_NULL,
            "partners": _JSON,
            "recovering": _JSON,
            "log_keys": _JSON,
        },
    ),
    RecordCodec(state.IDS, schema.IDS, columns={"request": _HASH}),
    RecordCodec(state.ACCOUNTS, schema.ACCOUNTS, keys=("account",), columns={"status": _ENUM}),
    RecordCodec(state.BALANCES, schema.BALANCES, columns={"amount": _DECIMAL}),
    RecordCodec(state.LOTS, schema.LOTS),
    RecordCodec(state.HOLDS, schema.HOLDS, columns={"conversion": _FLAG, "pieces": _JSON}),
    RecordCodec(state.PARTNERS, schema.PARTNERS, columns={"keys": _JSON, "log_keys": _JSON}),
    RecordCodec(state.AGREEMENTS, schema.AGREEMENTS, columns={"document": _DOCUMENT}, renamed={"document": "signed"}),
    RecordCodec(state.CURRENT, schema.CURRENT_AGREEMENTS),
    RecordCodec(state.ISSUED_LINKS, schema_links.ISSUED_LINKS),
    RecordCodec(state.ACCEPTED_LINKS, schema_links.ACCEPTED_LINKS),
    RecordCodec(state.ALIASES, schema_links.ACCEPTED_ALIASES),
    RecordCodec(state.OUTGOING, schema.OUTGOING_CONVERSIONS, columns={"state": _ENUM, "cancel_requested": _FLAG}),
    RecordCodec(state.INCOMING, schema.INCOMING_CONVERSIONS, columns={"state": _ENUM}),
    RecordCodec(state.COUNTERS, schema.DECISION_COUNTERS),
    RecordCodec(state.EXPOSURE, schema.EXPOSURE, columns={"value": _DECIMAL, "open_value": _DECIMAL}),
    RecordCodec(state.PROMOTION_USE, schema.PROMOTION_USE, columns={"points": _DECIMAL}),
    RecordCodec(state.MEMBER_USE, schema.MEMBER_USE),
    RecordCodec(state.SETTLEMENTS, schema_settlement.SETTLEMENTS),
    RecordCodec(state.LINES, schema_settlement.SETTLEMENT_LINES, columns={"fulfil": _HASH, "dispute": _ENUM_OR_NULL}),
    RecordCodec(
        state.WINDOW_TOTALS,
        schema_settlement.WINDOW_TOTALS,
        columns={**dict.fromkeys(_TOTALS, _DECIMAL), "agreements": _JSON, "tree": _JSON},
    ),
    RecordCodec(
        state.WINDOWS,
        schema_settlement.WINDOWS,
        columns={
            "state": _ENUM,
            "closed": _JSON_OR_NULL,
            "received": _JSON_OR_NULL,
            "disputed_out": _JSON,
            "disputed_in": _JSON,
        },
    ),
    RecordCodec(
        state.STATEMENTS, schema_settlement.STATEMENTS, columns={"document": _STATEMENT}, renamed={"document": "signed"}
    ),
    RecordCodec(state.IMPORTS, schema_imports.IMPORTS),
    RecordCodec(state.REVERSIBLE, schema_lots.REVERSIBLE, columns={"pieces": _JSON}),
    RecordCodec(state.PROGRAM, schema_program.PROGRAM, columns={"terms": _TERMS}),
    RecordCodec(LIMIT_USE, schema_program.LIMIT_USE, columns={"day_points": _DECIMAL, "year_points": _DECIMAL}),
    RecordCodec(RESERVATIONS, schema_program.RESERVATIONS, columns={"taken": _JSON}),
    RecordCodec(MERGES, schema_program.MERGES, columns={"absorbed": _JSON}),
    RecordCodec(TRANSFERS, schema_program.TRANSFERS, columns={"state": _ENUM}),
    RecordCodec(TRANSFER_PAIRS, schema_program.TRANSFER_PAIRS),
    RecordCodec(REVIEWS, schema_program.REVIEWS, columns={"state": _ENUM, "order": _JSON}),
    RecordCodec(state.ACTIONS, schema_access.ACTIONS, columns={"action": _JSON, "state": _ENUM}),
    RecordCodec(state.APPEALS, schema_appeals.APPEALS, columns={"state": _ENUM, "entries": _JSON}),
)
_BY_NAME: Final[Mapping[str, RecordCodec]] = {codec.family.name: codec for codec in _CODECS}


def codec_of(family: Table[_K, _R]) -> RecordCodec:
    """Return the codec of a table of the ledger's state."""
    return _BY_NAME[family.name]


def is_stored(family: Table[_K, _R], record: object) -> bool:
    """Return whether `record` has a row: a lot of which nothing remains has none."""
    return family.name != state.LOTS.name or cast("state.Lot", record).remaining > 0
