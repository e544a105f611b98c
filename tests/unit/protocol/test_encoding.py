import hashlib
from collections import OrderedDict
from enum import StrEnum
from types import MappingProxyType

import msgspec
import pytest

from protocol.encoding import ZERO_DIGEST, Codec, JsonValue, decode, digest_of, encode
from protocol.errors import BodyInvalid, EncodingInvalid
from protocol.limits import DOCUMENT_BYTES_MAX, INTEGER_MAX, NESTING_DEPTH_MAX

CANONICAL = [
    b"null",
    b"true",
    b"false",
    b"0",
    b"-1",
    b"9007199254740991",
    b"-9007199254740991",
    b'""',
    b'"\\b\\t\\n\\f\\r\\"\\\\/\\u0000\\u001f\x7f"',
    '"é\u2028\U0001f600\ue000\uffff"'.encode(),
    b"[]",
    b"{}",
    b'[1,[2,[]],{"a":null}]',
    b'{"_":1,"a":2,"a_b":3,"aa":4,"b":{"z":0}}',
    b"[" * NESTING_DEPTH_MAX + b"]" * NESTING_DEPTH_MAX,
]

OTHER = {
    "nothing": b"",
    "no value": b" ",
    "leading space": b" 1",
    "trailing space": b"1 ",
    "trailing newline": b"{}\n",
    "trailing bytes": b"{}{}",
    "trailing zero byte": b"1\x00",
    "byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": '{"a":1}'.encode("utf-16"),
    "space after colon": b'{"a": 1}',
    "space after comma": b"[1, 2]",
    "comment": b"[1/**/]",
    "trailing comma": b"[1,]",
    "single quotes": b"{'a':1}",
    "other order": b'{"b":1,"a":1}',
    "other order within": b'{"a":{"c":1,"b":1}}',
    "key twice": b'{"a":1,"a":1}',
    "key twice, other value": b'{"a":1,"a":2}',
    "key twice, escaped": b'{"a":1,"\\u0061":1}',
    "capital key": b'{"A":1}',
    "digit in key": b'{"a1":1}',
    "hyphen in key": b'{"a-b":1}',
    "empty key": b'{"":1}',
    "newline in key": b'{"a\\n":1}',
    "letter of another script in key": '{"é":1}'.encode(),
    "minus zero": b"-0",
    "minus zero within": b'{"a":-0}',
    "leading zero": b"01",
    "plus sign": b"+1",
    "float": b"1.5",
    "float of whole value": b"1.0",
    "minus zero float": b"-0.0",
    "exponent": b"1e2",
    "negative exponent": b"1e-400",
    "huge exponent": b"1e400",
    "not a number": b"NaN",
    "infinity": b"-Infinity",
    "hexadecimal": b"0x10",
    "2^53": b"9007199254740992",
    "-2^53": b"-9007199254740992",
    "2^63": b"9223372036854775808",
    "2^64": b"18446744073709551616",
    "-2^64": b"-18446744073709551616",
    "30 digits": b"1" * 30,
    "5,000 digits": b"1" * 5_000,
    "5,000 digits, negative": b"-" + b"1" * 5_000,
    "5,000 digits in an array": b"[" + b"1" * 5_000 + b"]",
    "escaped solidus": b'"\\/"',
    "escape where none is needed": b'"\\u0061"',
    "long escape of a short one": b'"\\u0008"',
    "capital hex in an escape": b'"\\u001F"',
    "unescaped control character": b'"\n"',
    "escaped line separator": b'"\\u2028"',
    "escaped pair of surrogates": b'"\\ud83d\\ude00"',
    "escaped lone high surrogate": b'"\\ud83d"',
    "escaped lone low surrogate": b'"\\ude00"',
    "encoded lone surrogate": b'"\xed\xa0\xbd"',
    "invalid UTF-8": b'"\xff"',
    "overlong UTF-8": b'"\xc0\x80"',
    "cut UTF-8": b'"\xe2\x80"',
    "beyond Unicode": b'"\xf4\x90\x80\x80"',
    "invalid UTF-8 in key": b'{"\xff":1}',
    "unclosed": b'{"a":[1',
    "word": b"nil",
    "one level too deep": b"[" * (NESTING_DEPTH_MAX + 1) + b"]" * (NESTING_DEPTH_MAX + 1),
    "objects too deep": b'{"a":' * NESTING_DEPTH_MAX + b"{}" + b"}" * NESTING_DEPTH_MAX,
    "deep beyond the stack": b"[" * 200_000 + b"]" * 200_000,
    "objects deep beyond the stack": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "deep and unclosed": b"[" * 500_000,
    "too long": b'"' + b"a" * (DOCUMENT_BYTES_MAX - 1) + b'"',
}


@pytest.mark.parametrize("data", CANONICAL)
def test_canonical_bytes_are_read_and_written_the_same(data: bytes) -> None:
    assert encode(decode(data)) == data


@pytest.mark.parametrize("what", OTHER)
def test_a_decoder_refuses_what_it_would_not_write(what: str) -> None:
    with pytest.raises(EncodingInvalid):
        decode(OTHER[what])


def test_a_document_may_be_as_long_as_its_bound() -> None:
    longest = b'"' + b"a" * (DOCUMENT_BYTES_MAX - 2) + b'"'
    assert decode(longest) == "a" * (DOCUMENT_BYTES_MAX - 2)
    assert decode(b"[1]", bytes_max=3) == [1]
    with pytest.raises(EncodingInvalid):
        decode(b"[10]", bytes_max=3)


class Word(StrEnum):
    ONE = "one"


@pytest.mark.parametrize(
    ("value", "data"),
    [
        ({"b": 1, "a": (True, None)}, b'{"a":[true,null],"b":1}'),
        (OrderedDict(b="x", a="y"), b'{"a":"y","b":"x"}'),
        ([Word.ONE], b'["one"]'),
        (INTEGER_MAX, b"9007199254740991"),
        (-INTEGER_MAX, b"-9007199254740991"),
    ],
)
def test_values_are_written_canonically(value: JsonValue, data: bytes) -> None:
    assert encode(value) == data


class Text(str):
    __slots__ = ()


CYCLE: list[JsonValue] = []
CYCLE.append(CYCLE)
NOT_JSON: dict[str, object] = {
    "2^53": 2**53,
    "-2^53": -(2**53),
    "10^30": 10**30,
    "float": 1.0,
    "not a number": float("nan"),
    "bytes": b"a",
    "set": {1},
    "object": object(),
    "view of a mapping": MappingProxyType({"a": 1}),
    "subclass of str": Text("a"),
    "lone surrogate": "\ud800",
    "lone surrogate within": ["a\udc00"],
    "lone surrogate in a key": {"\ud800": 1},
    "key that is a number": {1: 2},
    "key that is null": {None: 2},
    "capital key": {"A": 1},
    "key with a newline": {"a\n": 1},
    "empty key": {"": 1},
    "float within": {"a": [0.5]},
    "a value within itself": CYCLE,
}


@pytest.mark.parametrize("what", NOT_JSON)
def test_an_encoder_refuses_what_has_no_canonical_form(what: str) -> None:
    with pytest.raises(EncodingInvalid):
        encode(NOT_JSON[what])  # type: ignore[arg-type]


def test_a_digest_is_bound_to_its_domain() -> None:
    assert digest_of("body", b"{}") == hashlib.sha256(b"tallystick/body/v1\n{}").hexdigest()
    assert digest_of("body", b"{}") != digest_of("agreement", b"{}")
    assert ZERO_DIGEST == "0" * 64


class Inner(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    number: int


class Outer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: str = "x"
    inner: Inner | None


OUTER = Outer(name="a", inner=Inner(number=1))
OUTER_BYTES = b'{"inner":{"number":1},"name":"a"}'
CODEC = Codec(msgspec.json.Decoder(Outer), error=BodyInvalid, bytes_max=len(OUTER_BYTES))


def test_a_typed_document_is_read_and_written_the_same() -> None:
    assert CODEC.encode(OUTER) == OUTER_BYTES
    assert CODEC.decode(OUTER_BYTES) == OUTER


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b'{"inner":null}',
        b'{"name":"a"}',
        b'{"name":"a","inner":null}',
        b'{"inner":null,"name":"a","other":1}',
        b'{"inner":null,"name":"a"} ',
        b'{"inner":null,"name":"\\u0061"}',
        b'{"inner":null,"name":"a","name":"a"}',
        b'{"inner":{"number":-0},"name":"a"}',
        b'{"inner":{"number":1.0},"name":"a"}',
        b'{"inner":{"number":"1"},"name":"a"}',
        b'{"inner":null,"name":"\xff"}',
        b'{"inner":null,"name":"\\ud800"}',
        b"[" * 30,
        OUTER_BYTES.replace(b'"a"', b'"aa"'),
    ],
)
def test_a_typed_document_has_one_error_class(data: bytes) -> None:
    with pytest.raises(BodyInvalid):
        CODEC.decode(data)


def test_a_typed_document_too_deep_for_the_stack_is_refused() -> None:
    codec = Codec(msgspec.json.Decoder(dict[str, object]), error=BodyInvalid, bytes_max=DOCUMENT_BYTES_MAX)
    with pytest.raises(BodyInvalid):
        codec.decode(b'{"next":' * 100_000 + b"{}" + b"}" * 100_000)


@pytest.mark.parametrize("name", ["aa", "\ud800"])
def test_a_document_that_no_reader_would_take_is_not_written(name: str) -> None:
    with pytest.raises(BodyInvalid):
        CODEC.encode(Outer(name=name, inner=OUTER.inner))
