"""The keyed digest of a request is HMAC-SHA256 of its canonical JSON, however quickly: it stands in entries."""

import hmac
from dataclasses import asdict, is_dataclass
from typing import cast

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as some

from node.services import requests
from node.services.request_digest import RequestDigests, fields_of
from node.services.requests import LATER, digest_request
from protocol.encoding import JsonValue, encode
from protocol.errors import EncodingInvalid
from protocol.limits import INTEGER_MAX

KINDS = sorted(
    (each for name, each in vars(requests).items() if isinstance(each, type) and name.endswith("Request")),
    key=lambda each: each.__name__,
)
INTEGERS = some.integers() | some.sampled_from([0, -INTEGER_MAX, INTEGER_MAX, INTEGER_MAX + 1, -INTEGER_MAX - 1])
TEXTS = some.text() | some.text(some.characters()) | some.sampled_from(["\ud800", '"\\/\x7f\x00', "é\u2028", "😀"])
VALUES = some.none() | some.booleans() | INTEGERS | TEXTS | some.lists(TEXTS, max_size=2).map(tuple)


def as_it_was_first_made(key: bytes, request: object) -> str:
    """Return the digest as the first nodes made it, in so many steps."""
    fields = asdict(request) if is_dataclass(request) and not isinstance(request, type) else as_dict(request)
    said = {name: value for name, value in fields.items() if value is not None or name not in LATER}
    message = encode({"kind": type(request).__name__, "fields": cast("dict[str, JsonValue]", said)})
    return hmac.new(key, message, "sha256").hexdigest()


def as_dict(request: object) -> dict[str, object]:
    assert isinstance(request, msgspec.Struct)
    return msgspec.structs.asdict(request)


@given(key=some.binary(max_size=130), kind=some.sampled_from(KINDS), data=some.data())
def test_a_digest_is_what_it_was_when_it_was_stored(key: bytes, kind: type, data: some.DataObject) -> None:
    request = kind(**{name: data.draw(VALUES) for name in fields_of(kind)})
    try:
        expected = as_it_was_first_made(key, request)
    except EncodingInvalid:
        with pytest.raises(EncodingInvalid):
            digest_request(RequestDigests(key), request)
        return
    assert digest_request(RequestDigests(key), request) == expected


def test_digests_are_of_all_kinds_of_requests() -> None:
    assert len(KINDS) > 20
