"""What is read in one pass means what the models say, and what they refuse is never read so."""

import json
from typing import Final

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as some
from pydantic import TypeAdapter, ValidationError
from starlette.exceptions import HTTPException

from node.api.quick_bodies import ITEMS_MAX, BatchAsked, read_batch, read_transaction
from node.api.requests import parse_json
from node.api.transactions import BatchBody, TransactionBody
from node.services.refusals import NodeRefusal
from node.services.requests import TransactionRequest
from protocol.limits import INTEGER_MAX
from tests.support.documents import uuid

ANN, BOB = f"member/{uuid('ann')}", f"member/{uuid('bob')}"
ONE: Final[TypeAdapter[TransactionBody]] = TypeAdapter(TransactionBody)
PLAIN: Final[dict[str, dict[str, object]]] = {
    "issue": {"type": "issue", "id": uuid("one"), "account": ANN, "amount": 5},
    "redeem": {"type": "redeem", "id": uuid("two"), "account": ANN, "amount": INTEGER_MAX},
    "transfer": {"type": "transfer", "id": uuid("three"), "account": ANN, "to": BOB, "amount": 1},
    "reverse": {"type": "reverse", "id": uuid("four"), "reverses": uuid("one")},
}
FIELDS: Final = (
    "type", "id", "account", "to", "amount", "reverses", "partial", "occurred_on", "expires_on", "metadata", "other",
)  # fmt: skip
VALUES: Final[tuple[object, ...]] = (
    None, True, False, 0, 1, -1, 5.0, INTEGER_MAX, INTEGER_MAX + 1, "", "issue", "transfer", ANN, ANN + "\n", uuid("x"),
    uuid("x") + "\n", uuid("x").upper(), "2026-01-31", "2026-02-30", "2026-01-31\n", "٢026-01-31", {}, {"a": ":"},
    {"a": {"b": [1, None, ":"]}}, {"a": 1.5}, {"a": "x" * 4_100}, [], "\u2028",
)  # fmt: skip


def as_the_models_say(body: bytes) -> TransactionRequest | None:
    """Return what the routes' own models make of a body, or None where they refuse it."""
    try:
        return ONE.validate_python(parse_json(body)).request()
    except (ValidationError, HTTPException, NodeRefusal):
        return None


def as_the_models_say_of_many(body: bytes) -> BatchAsked | None:
    try:
        batch = BatchBody.model_validate(parse_json(body))
        return BatchAsked([each.request() for each in batch.items], batch.atomic)
    except (ValidationError, HTTPException, NodeRefusal):
        return None


items = some.builds(
    lambda plain, changes, gone: {name: value for name, value in {**plain, **changes}.items() if name not in gone},
    some.sampled_from(list(PLAIN.values())),
    some.dictionaries(some.sampled_from(FIELDS), some.sampled_from(VALUES), max_size=3),
    some.sets(some.sampled_from(FIELDS), max_size=1),
)


@given(item=items)
def test_one_is_read_as_the_models_read_it(item: dict[str, object]) -> None:
    body = json.dumps(item).encode()
    assert read_transaction(body) == as_the_models_say(body)


@given(some.lists(items, max_size=3), some.sampled_from([True, False, None, 1]))
def test_many_are_read_as_the_models_read_them(found: list[object], atomic: object) -> None:
    body = json.dumps({"atomic": atomic, "items": found}, ensure_ascii=False).encode()
    assert read_batch(body) == as_the_models_say_of_many(body)


@given(
    item=items,
    at=some.integers(0, 400),
    cut=some.integers(0, 3),
    put=some.sampled_from(
        [b"", b":", b'"', b"{", b"}", b"\\u0061", b"\xff", b" ", b"\n", b',"amount":7', b"\xef\xbb\xbf"]
    ),
)
def test_whatever_bytes_are_read_the_models_read_as_well(
    item: dict[str, object], at: int, cut: int, put: bytes
) -> None:
    plain = json.dumps(item).encode()
    body = plain[: at % len(plain)] + put + plain[at % len(plain) + cut :]
    read = read_transaction(body)
    assert read is None or read == as_the_models_say(body)


@pytest.mark.parametrize("kind", PLAIN)
def test_what_is_plain_is_read(kind: str) -> None:
    for extra in (
        {},
        {"occurred_on": "2026-01-31"},
        {"metadata": {"b": [":", {"c": 1}], "a": "é"}},
        {"metadata": None},
    ):
        body = msgspec.json.encode({**PLAIN[kind], **extra})
        assert read_transaction(body) is not None
        assert read_transaction(body) == as_the_models_say(body)
        many = b'{"items":[%b , %b],"atomic":true}' % (body, body)
        assert read_batch(many) == as_the_models_say_of_many(many)


@pytest.mark.parametrize("name", ["id", "type", "amount", "account", "metadata", "occurred_on"])
def test_no_key_may_stand_twice(name: str) -> None:
    item = {**PLAIN["issue"], "metadata": {"a": 1}, "occurred_on": "2026-01-31"}
    value = json.dumps(item[name])
    plain = json.dumps(item)[:-1]
    assert read_transaction(f"{plain}}}".encode()) is not None
    for again in (f'"{name}":{value}', f'"\\u00{ord(name[0]):02x}{name[1:]}" : {value}'):
        assert read_transaction(f"{plain},{again}}}".encode()) is None
        assert read_transaction(f"{{{again},{plain[1:]}}}".encode()) is None
        assert read_batch(f'{{"atomic":false,"items":[{plain},{again}}}]}}'.encode()) is None


def test_no_key_of_metadata_may_stand_twice() -> None:
    plain = json.dumps(PLAIN["issue"])[:-1]
    assert read_transaction(f'{plain},"metadata":{{"a":1,"b":2}}}}'.encode()) is not None
    assert read_transaction(f'{plain},"metadata":{{"a":1,"a":2}}}}'.encode()) is None


def test_a_batch_has_items_and_not_too_many() -> None:
    one = json.dumps(PLAIN["issue"])
    assert read_batch(b'{"atomic":false,"items":[]}') is None
    most = read_batch(f'{{"atomic":false,"items":[{",".join([one] * ITEMS_MAX)}]}}'.encode())
    assert most is not None
    assert len(most.requests) == ITEMS_MAX
    assert read_batch(f'{{"atomic":false,"items":[{",".join([one] * (ITEMS_MAX + 1))}]}}'.encode()) is None
