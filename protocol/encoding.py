"""Canonical JSON: the one encoding that is hashed, signed and stored (specs/encoding.md; RFC 8785, restricted).

Objects with keys of `[a-z_]+`, arrays, strings, booleans, null, and integers within ±(2^53 - 1). A decoder refuses
whatever it would not itself encode, so that a value has exactly one encoding.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Final, Generic, TypeAlias, TypeVar

import msgspec

from protocol.errors import EncodingInvalid, ProtocolError
from protocol.identifiers import Digest
from protocol.limits import DOCUMENT_BYTES_MAX, INTEGER_MAX, NESTING_DEPTH_MAX

JsonValue: TypeAlias = "Mapping[str, JsonValue] | Sequence[JsonValue] | str | int | bool | None"

ZERO_DIGEST: Final = Digest("0" * 64)

_KEY: Final = re.compile("[a-z_]+")
_ENCODER: Final = msgspec.json.Encoder(order="sorted")
_DECODER: Final = msgspec.json.Decoder(object)
_T = TypeVar("_T")


def digest_of(domain: str, data: bytes) -> Digest:
    """Return SHA-256 over the domain tag `tallystick/<domain>/v1` LF and `data`, in hex."""
    return Digest(hashlib.sha256(b"tallystick/" + domain.encode() + b"/v1\n" + data).hexdigest())


def _check(value: object, depth: int) -> None:
    if depth > NESTING_DEPTH_MAX:
        raise EncodingInvalid(f"nested deeper than {NESTING_DEPTH_MAX} levels")
    if value is None or isinstance(value, str | bool):
        return
    if isinstance(value, int):
        if not -INTEGER_MAX <= value <= INTEGER_MAX:
            raise EncodingInvalid("an integer lies outside ±(2^53 - 1)")
    elif isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str) or not _KEY.fullmatch(key):
                raise EncodingInvalid(f"the key {str(key)[:40]!r} is not of [a-z_]+")
            _check(item, depth + 1)
    elif isinstance(value, list | tuple):
        for item in value:
            _check(item, depth + 1)
    else:
        raise EncodingInvalid(f"a {type(value).__name__} has no canonical encoding")


def encode(value: JsonValue) -> bytes:
    """Return the canonical bytes of `value`, or raise `EncodingInvalid` (RFC 8785 §3.2, restricted)."""
    _check(value, 1)
    try:
        return _ENCODER.encode(value)
    except (UnicodeEncodeError, TypeError) as error:
        raise EncodingInvalid(f"a string holds a lone surrogate, or a value is not JSON's own: {error}") from error


def decode(data: bytes, *, bytes_max: int = DOCUMENT_BYTES_MAX) -> JsonValue:
    """Return the value whose canonical encoding is `data`, or raise `EncodingInvalid`."""
    if len(data) > bytes_max:
        raise EncodingInvalid(f"longer than {bytes_max} bytes")
    try:
        value = _DECODER.decode(data)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise EncodingInvalid(f"not JSON: {error}") from error
    _check(value, 1)
    parsed: JsonValue = value  # type: ignore[assignment]
    if encode(parsed) != data:
        raise EncodingInvalid("not in canonical form (order, spacing, duplicate key, -0 or escape)")
    return parsed


class Codec(Generic[_T]):
    """The canonical encoding of one family of typed documents; every failure is one error class."""

    def __init__(self, decoder: "msgspec.json.Decoder[_T]", *, error: type[ProtocolError], bytes_max: int) -> None:
        """Decode with `decoder`, raise `error`, and bound a document to `bytes_max` bytes."""
        self._decoder = decoder
        self._error = error
        self._bytes_max = bytes_max

    def encode(self, document: _T) -> bytes:
        """Return the canonical bytes of `document`, or raise if it is too large or holds a lone surrogate."""
        try:
            data = _ENCODER.encode(document)
        except UnicodeEncodeError as error:
            raise self._error("a string holds a lone surrogate") from error
        if len(data) > self._bytes_max:
            raise self._error(f"longer than {self._bytes_max} bytes")
        return data

    def decode(self, data: bytes) -> _T:
        """Return the document whose canonical encoding is `data`, or raise."""
        if len(data) > self._bytes_max:
            raise self._error(f"longer than {self._bytes_max} bytes")
        document = self.read_back(data)
        if self.encode(document) != data:
            raise self._error("not in canonical form (order, spacing, duplicate key, -0 or escape)")
        return document

    def read_back(self, data: bytes) -> _T:
        """Return the document in `data` that `encode` has just made, or raise: types promise less than formats."""
        try:
            return self._decoder.decode(data)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            raise self._error(str(error)) from error
