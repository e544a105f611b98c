"""Columns of values as PostgreSQL's own binary arrays: whole columns are put together at once, not value by value.

The format is that of `array_recv`: dimensions, whether a value is null, the elements' type, their count, and where they
begin; then each element after its length, -1 for null.
"""

import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import psycopg
from psycopg import postgres
from psycopg.adapt import Buffer, Dumper
from psycopg.pq import Format
from sqlalchemy.types import BigInteger, Boolean, LargeBinary, Text

Packed = Callable[[Sequence[object]], "PackedArray"]

_LENGTH: Final = struct.Struct(">i")
_NULL: Final = _LENGTH.pack(-1)
_INTEGER: Final = struct.Struct(">iq")
_INTEGER_BYTES: Final = 8
_BOUNDS: Final = struct.Struct(">ii")
_ONE_WITH_NULLS: Final = _BOUNDS.pack(1, 1)
_NONE_WITHOUT: Final = _BOUNDS.pack(0, 0)
_INT8, _TEXT, _BYTEA, _BOOL = (
    struct.pack(">I", postgres.types[name].oid) for name in ("int8", "text", "bytea", "bool")
)
_FLAG: Final = {False: b"\0\0\0\1\0", True: b"\0\0\0\1\1", None: _NULL}


class PackedArray(bytes):
    """An array as it goes to the server."""


class Integers(PackedArray):
    """Of bigint."""


class Texts(PackedArray):
    """Of text."""


class Binaries(PackedArray):
    """Of bytea."""


class Flags(PackedArray):
    """Of boolean."""


def register(connection: psycopg.Connection[object]) -> None:
    """Let a connection take packed arrays as parameters."""
    for kind, name in ((Integers, "int8"), (Texts, "text"), (Binaries, "bytea"), (Flags, "bool")):
        dumper = type(f"{kind.__name__}Dumper", (_PackedDumper,), {"oid": postgres.types[name].array_oid})
        connection.adapters.register_dumper(kind, dumper)


def packer_of(kind: object) -> Packed:
    """Return what packs a column of a type of SQLAlchemy's."""
    return next((packer for each, packer in _PACKERS.items() if isinstance(kind, each)), pack_texts)


def pack_integers(values: Sequence[object]) -> Integers:
    """Return integers of 64 bits, or nulls, as an array; raise `OverflowError` for others."""
    try:
        if None in values:
            encoded = [_NULL if each is None else _INTEGER.pack(_INTEGER_BYTES, each) for each in values]
            return Integers(_header(_INT8, values) + b"".join(encoded))
        flat: list[object] = [_INTEGER_BYTES] * (2 * len(values))
        flat[1::2] = values
        return Integers(_header(_INT8, values) + struct.pack(f">{'iq' * len(values)}", *flat))
    except struct.error as error:
        raise OverflowError(str(error)) from error


def pack_texts(values: Sequence[object]) -> Texts:
    """Return texts or nulls as an array; raise `UnicodeEncodeError` or `psycopg.DataError` for what no text holds."""
    encoded = [None if each is None else str(each).encode() for each in values]
    if any(b"\0" in each for each in encoded if each):
        raise psycopg.DataError("a text has a NUL")
    return Texts(_header(_TEXT, values) + _joined(encoded))


def pack_binaries(values: Sequence[object]) -> Binaries:
    """Return bytes or nulls as an array."""
    return Binaries(_header(_BYTEA, values) + _joined(values))  # type: ignore[arg-type]  # a column of bytes has bytes


def pack_flags(values: Sequence[object]) -> Flags:
    """Return truth values or nulls as an array."""
    return Flags(_header(_BOOL, values) + b"".join(_FLAG[each] for each in values))  # type: ignore[index]  # as above


_PACKERS: Final[Mapping[type, Packed]] = {
    BigInteger: pack_integers,
    Boolean: pack_flags,
    LargeBinary: pack_binaries,
    Text: pack_texts,
}


class _PackedDumper(Dumper):
    format = Format.BINARY

    def dump(self, obj: PackedArray) -> Buffer:
        return bytes(obj)


def _header(oid: bytes, values: Sequence[object]) -> bytes:
    # An array of nothing has no dimension.
    return _ONE_WITH_NULLS + oid + _BOUNDS.pack(len(values), 1) if values else _NONE_WITHOUT + oid


def _joined(values: Sequence[bytes | None]) -> bytes:
    pack = _LENGTH.pack
    return b"".join([part for each in values for part in ((_NULL,) if each is None else (pack(len(each)), each))])
