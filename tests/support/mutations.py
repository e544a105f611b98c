"""Wrong neighbours of a valid document: each single bit, each field, each liberty that canonical JSON forbids."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, TypeAlias

import msgspec
import rfc8785
from hypothesis import strategies as st

Json: TypeAlias = "Mapping[str, Json] | Sequence[Json] | str | int | float | bool | None"
Path: TypeAlias = tuple[str | int, ...]

WRONG_TYPES: Final[tuple[Json, ...]] = ([[]], 0.5)
"""Items that no field of any document can be."""


def bit_flips(data: bytes) -> Iterator[bytes]:
    """Yield `data` with each of its bits changed in turn."""
    changed = bytearray(data)
    for position in range(len(data)):
        for bit in range(8):
            changed[position] ^= 1 << bit
            yield bytes(changed)
            changed[position] ^= 1 << bit


def parsed(data: bytes) -> Json:
    """Return `data` as the standard library reads it."""
    value: Json = json.loads(data)
    return value


def canonical(value: Json) -> bytes:
    """Return RFC 8785 bytes of `value`, as another library writes them."""
    return rfc8785.dumps(value)


def liberties(data: bytes) -> Iterator[bytes]:
    """Yield other JSON texts of the object in `data`, none of them canonical."""
    value = parsed(data)
    assert isinstance(value, dict)
    key, item = next(iter(value.items()))
    yield b"\xef\xbb\xbf" + data
    yield b" " + data
    yield data + b"\n"
    yield data + b"{}"
    yield data + data
    yield json.dumps(value, sort_keys=True).encode()
    yield json.dumps(dict(reversed(value.items())), separators=(",", ":")).encode()
    yield data[:-1] + b"," + json.dumps({key: item}, separators=(",", ":")).encode()[1:]
    yield data.replace(b'"' + key.encode(), b'"\\u%04x' % ord(key[0]) + key[1:].encode(), 1)
    yield data.decode().encode("utf-16")


def field_changes(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield what was changed, and canonical bytes: each field dropped or of another type, and one field too many."""
    original = parsed(data)
    for path in paths(original):
        for item in WRONG_TYPES:
            yield f"{dotted(path)} = {item}", canonical(replaced(data, path, item))
        if isinstance(at(original, path[:-1]), dict):
            yield f"{dotted(path)} dropped", canonical(_without(data, path))
    for path in [(), *paths(original)]:
        if isinstance(at(original, path), dict):
            yield f"a field more in {dotted(path)}", canonical(replaced(data, (*path, "zz"), 1))


def nulled(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield each field's path and canonical bytes in which it is null."""
    for path in paths(parsed(data)):
        yield dotted(path), canonical(replaced(data, path, None))


def dotted(path: Path) -> str:
    """Return how a test names a path."""
    return ".".join(map(str, path))


def paths(value: Json, above: Path = ()) -> Iterator[Path]:
    """Yield the path to each field and item within `value`."""
    items: Iterator[tuple[str | int, Json]] = iter(())
    if isinstance(value, dict):
        items = iter(value.items())
    elif isinstance(value, list):
        items = iter(enumerate(value))
    for key, item in items:
        yield (*above, key)
        yield from paths(item, (*above, key))


def at(value: Json, path: Path) -> Json:
    """Return what stands at `path`."""
    for key in path:
        if isinstance(value, dict):
            value = value[str(key)]
        else:
            assert isinstance(value, list)
            value = value[int(key)]
    return value


def replaced(data: bytes, path: Path, item: Json) -> Json:
    """Return the document in `data` with another `item` at `path`."""
    document = parsed(data)
    holder, key = at(document, path[:-1]), path[-1]
    if isinstance(holder, dict):
        holder[str(key)] = item
    else:
        assert isinstance(holder, list)
        holder[int(key)] = item
    return document


def _without(data: bytes, path: Path) -> Json:
    document = parsed(data)
    holder = at(document, path[:-1])
    assert isinstance(holder, dict)
    del holder[str(path[-1])]
    return document


def variants(value: object) -> Iterator[object]:
    """Yield `value` with each field and item, at any depth, changed in turn; no reader has to accept the result."""
    if isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            for item in variants(getattr(value, name)):
                yield msgspec.structs.replace(value, **{name: item})
    elif isinstance(value, tuple):
        for index, before in enumerate(value):
            for item in variants(before):
                yield (*value[:index], item, *value[index + 1 :])
    else:
        yield value + 1 if isinstance(value, int) else f"{value}x"


@st.composite
def damaged(draw: st.DrawFn, data: bytes) -> bytes:
    """Draw `data` with a few bytes replaced, removed or inserted: close enough to valid to reach every parser's end."""
    changed = bytearray(data)
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(changed)))
        end = min(len(changed), start + draw(st.integers(0, 3)))
        changed[start:end] = draw(
            st.binary(max_size=3) | st.sampled_from([b'"', b"{", b"}", b"[", b"null", b"-0", b"1e3"])
        )
    return bytes(changed)
