"""Metadata of a client: an erasable row, of which the entry keeps only a salted digest.

The salt is random, so that once the row is erased nobody can confirm a guess by hashing it.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from node.ports import Randomness
from node.services.refusals import NodeCode, NodeRefusal
from node.store.rows import PutMetadata
from protocol.encoding import digest_of
from protocol.entries import AnyEntry
from protocol.identifiers import Digest
from protocol.limits import INTEGER_MAX
from protocol.program_entries import ReviewOpened

METADATA_BYTES_MAX: Final = 4_096
DEPTH_MAX: Final = 8
SALT_BYTES: Final = 16

_ENCODER: Final = msgspec.json.Encoder(order="sorted")


def pack_metadata(value: Mapping[str, object] | None) -> str | None:
    """Return the one text of a JSON object, keys in order, or raise `request_invalid`."""
    if value is None:
        return None
    _check(value, 1)
    data = _ENCODER.encode(value)
    if len(data) > METADATA_BYTES_MAX:
        raise _invalid(f"it takes {len(data)} bytes of JSON, and at most {METADATA_BYTES_MAX} are kept")
    return data.decode()


def metadata_row(packed: str | None, randomness: Randomness) -> PutMetadata | None:
    """Return the erasable row of packed metadata, under a digest with a fresh salt."""
    if packed is None:
        return None
    salt = randomness.token(SALT_BYTES)
    return PutMetadata(digest=metadata_digest(salt, packed.encode()), salt=salt, data=packed.encode())


def metadata_digest(salt: bytes, data: bytes) -> Digest:
    """Return the digest that an entry carries of a metadata row."""
    return digest_of("metadata", salt + data)


def kept_beside(entry: AnyEntry) -> Digest | None:
    """Return the digest of the erasable row beside an entry, if it has one: metadata, or what a screen saw."""
    digest: Digest | None = entry.digest if isinstance(entry, ReviewOpened) else getattr(entry, "metadata", None)
    return digest


def _check(value: object, depth: int) -> None:
    if depth > DEPTH_MAX:
        raise _invalid(f"it is nested deeper than {DEPTH_MAX} levels")
    if isinstance(value, float):
        raise _invalid("its numbers must be whole; write others as text")
    if isinstance(value, int) and not -INTEGER_MAX <= value <= INTEGER_MAX:
        raise _invalid(f"its numbers must lie within ±{INTEGER_MAX}")
    if isinstance(value, Mapping):
        for item in value.values():
            _check(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            _check(item, depth + 1)


def _invalid(reason: str) -> NodeRefusal:
    return NodeRefusal(NodeCode.REQUEST_INVALID, f"metadata: {reason}")
