"""The running digest over an evidence table: a row that is removed, changed or slipped in shows.

chain(n) = SHA-256(chain(n - 1) ‖ canonical JSON of row n's columns by name), the chain before as 64 hex digits, bytes
in a column as hex; chain before the first row is 64 zeros.
"""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from node.store import schema
from node.store.codec import Row, Value
from node.store.schema_accusations import ACCUSATIONS
from protocol.errors import EncodingInvalid
from protocol.identifiers import Digest
from protocol.limits import INTEGER_MAX

_SORTED: Final = msgspec.json.Encoder(order="sorted")

EVIDENCE_TABLES: Final = (
    schema.MESSAGES_SENT,
    schema.ENVELOPES_RECEIVED,
    schema.MESSAGES_RECEIVED,
    schema.PARTNER_CHECKPOINTS,
    ACCUSATIONS,
)
"""The tables that have an evidence head, each numbered from 0 without gaps."""


def chain(before: Digest, columns: Sequence[str], row: Row) -> Digest:
    """Return the running digest after `row`, given the one before it.

    Raises `EncodingInvalid` for a row that was tampered with so that it has no canonical form.
    """
    named = {name: _shown(value) for name, value in zip(columns, row, strict=True)}
    return Digest(hashlib.sha256(before.encode() + _encode_flat(named)).hexdigest())


def chain_all(before: Digest, columns: Sequence[str], rows: Iterable[Row]) -> Digest:
    """Return the running digest after all `rows`."""
    for row in rows:
        before = chain(before, columns, row)
    return before


def _encode_flat(named: dict[str, str | int | None]) -> bytes:
    """Return what `protocol.encoding.encode` does: of columns' names, texts and integers, only these can be wrong."""
    if any(type(value) is int and not -INTEGER_MAX <= value <= INTEGER_MAX for value in named.values()):
        raise EncodingInvalid("an integer lies outside ±(2^53 - 1)")
    try:
        return _SORTED.encode(named)
    except UnicodeEncodeError as error:
        raise EncodingInvalid("a string holds a lone surrogate") from error


def _shown(value: Value) -> str | int | None:
    return value.hex() if isinstance(value, bytes) else value
