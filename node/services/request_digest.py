"""The keyed digest of what was asked: how a repeated request is told from another one under the same id.

It stands in the entry, which auditors read. Much of what a request says could be guessed (a metadata text above all),
and a plain hash would confirm the guess; without the key, which never leaves the node, this one confirms nothing.
What the node itself draws or reads off a clock (an alias, a salt, a deadline) is no part of it: a repeat is recognised
by what its sender chose, and answered with what was stored.
"""

from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import cache
from hashlib import sha256
from operator import attrgetter
from typing import TYPE_CHECKING, Final, cast

import msgspec

from protocol.encoding import JsonValue, encode
from protocol.identifiers import Digest
from protocol.limits import INTEGER_MAX

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_BLOCK_BYTES: Final = 64
_INNER: Final = bytes(byte ^ 0x36 for byte in range(256))
_PLAIN: Final = frozenset({str, int, bool, type(None)})
_ENCODER: Final = msgspec.json.Encoder(order="sorted")
_OUTER: Final = bytes(byte ^ 0x5C for byte in range(256))


class RequestDigests:
    """Digests requests under one node's key."""

    def __init__(self, key: bytes) -> None:
        # HMAC (RFC 2104 §2) begins with a block of the key on either side: both are hashed once, not for each request.
        block = (key if len(key) <= _BLOCK_BYTES else sha256(key).digest()).ljust(_BLOCK_BYTES, b"\0")
        self._inner = sha256(block.translate(_INNER))
        self._outer = sha256(block.translate(_OUTER))

    def digest(self, kind: str, fields: Mapping[str, JsonValue]) -> Digest:
        """Return HMAC-SHA256 of the request's kind and fields in canonical JSON, in hex."""
        return self.digest_bytes(encode({"kind": kind, "fields": fields}))

    def digest_bytes(self, message: bytes) -> Digest:
        """Return HMAC-SHA256 of the canonical JSON of a request, in hex."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(message)
        outer.update(inner.digest())
        return Digest(outer.hexdigest())


def plain_message(request: "DataclassInstance | msgspec.Struct", *, kind: str) -> bytes | None:
    """Return the canonical JSON of a request of texts, numbers and nothing else, or None for any other.

    It is what `encode` makes of it, without a look at each value by itself: most requests are of this kind.
    """
    values = _values_of(type(request))(request)
    if not _PLAIN.issuperset(map(type, values)):
        return None
    if any(type(value) is int and not -INTEGER_MAX <= value <= INTEGER_MAX for value in values):
        return None
    try:
        return b'{"fields":%b,"kind":"%b"}' % (_ENCODER.encode(request), kind.encode("ascii"))
    except UnicodeEncodeError:
        return None


@cache
def fields_of(kind: type) -> tuple[str, ...]:
    """Return the names of the fields of a request of this kind."""
    if issubclass(kind, msgspec.Struct):
        return kind.__struct_fields__
    return tuple(each.name for each in fields(cast("type[DataclassInstance]", kind)))


@cache
def _values_of(kind: type) -> Callable[[object], tuple[object, ...]]:
    names = fields_of(kind)
    # Given one name alone, it would return no tuple.
    return cast("Callable[[object], tuple[object, ...]]", attrgetter(*names, names[0]))
