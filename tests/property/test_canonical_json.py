"""Our canonical form is RFC 8785, held against another library; and what is not that form is refused."""

import json
import re

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from protocol.encoding import JsonValue, decode, encode
from protocol.errors import EncodingInvalid
from protocol.limits import INTEGER_MAX, NESTING_DEPTH_MAX

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
KEYS = st.text("abcxyz_", min_size=1, max_size=6)
INTEGERS = st.integers(-INTEGER_MAX, INTEGER_MAX) | st.sampled_from([0, -1, INTEGER_MAX, -INTEGER_MAX])
LEAVES: st.SearchStrategy[JsonValue] = st.none() | st.booleans() | INTEGERS | TEXTS
VALUES: st.SearchStrategy[JsonValue] = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=20,
)


@given(VALUES)
def test_the_canonical_form_is_that_of_rfc_8785(value: JsonValue) -> None:
    data = encode(value)
    assert data == rfc8785.dumps(value)
    assert decode(data) == value


@given(VALUES, st.data())
def test_any_other_text_of_a_value_is_refused(value: JsonValue, data: st.DataObject) -> None:
    separators = data.draw(st.sampled_from([(",", ":"), (", ", ":"), (",", ": "), (",\n", ":")]))
    text = json.dumps(
        reordered(value, data),
        ensure_ascii=data.draw(st.booleans()),
        separators=separators,
        indent=data.draw(st.sampled_from([None, None, 1])),
    ).encode()
    if text == rfc8785.dumps(value):
        assert decode(text) == value
    else:
        assert_refused(text)


def reordered(value: JsonValue, data: st.DataObject) -> JsonValue:
    """Return `value` with the keys of its objects in any order."""
    if isinstance(value, dict):
        keys = data.draw(st.permutations(sorted(value)))
        return {key: reordered(value[key], data) for key in keys}
    if isinstance(value, list):
        return [reordered(item, data) for item in value]
    return value


def assert_refused(text: bytes) -> None:
    with pytest.raises(EncodingInvalid):
        decode(text)


@given(st.dictionaries(KEYS, INTEGERS, min_size=1, max_size=5), st.data())
def test_a_key_that_stands_twice_is_refused(value: dict[str, int], data: st.DataObject) -> None:
    key = data.draw(st.sampled_from(sorted(value)))
    pairs = [(name, value[name]) for name in sorted([*value, key])]
    assert_refused(("{" + ",".join(f'"{name}":{item}' for name, item in pairs) + "}").encode())


@given(st.integers().filter(lambda number: abs(number) > INTEGER_MAX) | st.integers(2**63, 2**80))
def test_an_integer_that_a_double_cannot_tell_from_its_neighbours_is_refused(number: int) -> None:
    assert_refused(str(number).encode())
    with pytest.raises(EncodingInvalid):
        encode([number])


@given(st.floats() | st.floats(-1e15, 1e15).map(round).map(float))
def test_a_float_is_refused(number: float) -> None:
    assert_refused(json.dumps(number).encode())
    with pytest.raises(EncodingInvalid):
        encode({"a": number})  # type: ignore[dict-item]


@given(st.text(max_size=5))
def test_a_key_of_other_letters_is_refused(key: str) -> None:
    if re.fullmatch("[a-z_]+", key):
        assert decode(encode({key: 1})) == {key: 1}
    else:
        with pytest.raises(EncodingInvalid):
            encode({key: 1})
        assert_refused(json.dumps({key: 1}, separators=(",", ":")).encode())


@given(st.integers(0, 2 * NESTING_DEPTH_MAX), st.lists(st.booleans(), min_size=2 * NESTING_DEPTH_MAX))
def test_nesting_is_bounded(depth: int, arrays: list[bool]) -> None:
    value: JsonValue = 1
    for array in arrays[:depth]:
        value = [value] if array else {"a": value}
    data = rfc8785.dumps(value)
    if depth < NESTING_DEPTH_MAX:
        assert decode(data) == value
    else:
        assert_refused(data)
        with pytest.raises(EncodingInvalid):
            encode(value)
