"""Orders read in one pass mean what the models say, and either way gives the same bytes."""

import json
from collections.abc import AsyncIterator
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as some
from pydantic import ValidationError
from starlette.exceptions import HTTPException

from node.api.conversions import ORDERS_MAX, WAIT_SECONDS_MAX, ConversionBody, OrdersBody
from node.api.quick_orders import OrdersAsked, read_order, read_orders, read_wait
from node.api.requests import parse_json
from node.services.conversions.ordering import PlacedOrder
from protocol.limits import INTEGER_MAX
from tests.support.api import ANN, Api, Json, request_id
from tests.support.documents import BLUEBIRD, uuid

PLAIN: Final[dict[str, object]] = {
    "id": uuid("order"), "account": f"member/{uuid('ann')}", "partner": BLUEBIRD.ledger, "amount": 900,
}  # fmt: skip
MORE: Final[dict[str, object]] = {
    "agreement": "ab" * 32, "refund_of": uuid("before"), "accept_within_seconds": 60, "occurred_on": "2026-01-31",
}  # fmt: skip
VALUES: Final[tuple[object, ...]] = (
    None, True, 0, 1, -1, 5.0, INTEGER_MAX, INTEGER_MAX + 1, "", PLAIN["account"], f"{PLAIN['account']}\n", uuid("x"),
    uuid("x") + "\n", uuid("x").upper(), "2026-01-31", "2026-02-30", "2026-01-31\n", "0000-01-01", "٢026-01-31", {},
    BLUEBIRD.ledger, f"{BLUEBIRD.ledger}\n", "a:b.example/main.1", "cd" * 32, "CD" * 32, {"device": "d"}, [],
)  # fmt: skip
FIELDS: Final = (*PLAIN, *MORE, "client", "other")

orders = some.builds(
    lambda kept, changes: {**PLAIN, **{name: MORE[name] for name in kept}, **changes},
    some.sets(some.sampled_from(sorted(MORE))),
    some.dictionaries(some.sampled_from(FIELDS), some.sampled_from(VALUES), max_size=2),
)


def as_the_models_say(body: bytes) -> PlacedOrder | None:
    """Return what the routes' own models make of a body, or None where they refuse it."""
    try:
        return ConversionBody.model_validate(parse_json(body)).order()
    except (ValidationError, HTTPException):
        return None


def as_the_models_say_of_many(body: bytes) -> OrdersAsked | None:
    try:
        batch = OrdersBody.model_validate(parse_json(body))
    except (ValidationError, HTTPException):
        return None
    return OrdersAsked([each.order() for each in batch.items], batch.atomic)


@given(order=orders)
def test_one_is_read_as_the_models_read_it(order: dict[str, object]) -> None:
    body = json.dumps(order).encode()
    if "client" in order:
        # What is told of the client is left to the models, also where there is nothing.
        assert read_order(body) is None
    else:
        assert read_order(body) == as_the_models_say(body)


@given(some.lists(orders.filter(lambda order: "client" not in order), max_size=3), some.sampled_from([True, False, 1]))
def test_many_are_read_as_the_models_read_them(found: list[object], atomic: object) -> None:
    body = json.dumps({"atomic": atomic, "items": found}, ensure_ascii=False).encode()
    assert read_orders(body) == as_the_models_say_of_many(body)


@pytest.mark.parametrize("name", [*PLAIN, *MORE])
def test_no_key_may_stand_twice(name: str) -> None:
    whole = {**PLAIN, **MORE}
    plain, value = json.dumps(whole)[:-1], json.dumps(whole[name])
    assert read_order(f"{plain}}}".encode()) is not None
    for again in (f'"{name}":{value}', f'"\\u00{ord(name[0]):02x}{name[1:]}" : {value}'):
        assert read_order(f"{plain},{again}}}".encode()) is None
        assert read_orders(f'{{"atomic":false,"items":[{plain},{again}}}]}}'.encode()) is None


def test_a_batch_has_orders_and_not_too_many() -> None:
    one = json.dumps(PLAIN)
    most = read_orders(f'{{"atomic":false,"items":[{",".join([one] * ORDERS_MAX)}]}}'.encode())
    assert most is not None
    assert len(most.orders) == ORDERS_MAX
    for count in (0, ORDERS_MAX + 1):
        assert read_orders(f'{{"atomic":false,"items":[{",".join([one] * count)}]}}'.encode()) is None


@pytest.mark.parametrize(
    ("query", "seconds"),
    [
        (b"", 0), (b"wait=0", 0), (b"wait=7", 7), (b"wait=30", WAIT_SECONDS_MAX), (b"wait=31", None),
        (b"wait=07", None), (b"wait=", None), (b"wait=1&wait=2", None), (b"other=1", None),
        (b"wait=-1", None), (b"wait=%31", None),
    ],
)  # fmt: skip
def test_a_wait_has_one_spelling(query: bytes, seconds: int | None) -> None:
    assert read_wait(query) == seconds


def long_way(api: Api, path: str, body: Json) -> tuple[int, bytes]:
    """Return what the routes answer to a body that comes in pieces, and so goes no quick way."""

    async def in_pieces() -> AsyncIterator[bytes]:
        yield json.dumps(body).encode()

    headers = {"content-type": "application/json", "authorization": f"Bearer {api.token()}"}
    answer = api.runner.run(api.client.post(path, content=in_pieces(), headers=headers))
    return answer.status_code, answer.content


def test_either_way_gives_the_same_bytes(api: Api) -> None:
    api.done("/v1/transactions", {"id": request_id("either"), "type": "issue", "account": ANN, "amount": 100_000})
    order: Json = {"id": request_id("quick order"), "account": ANN, "partner": BLUEBIRD.ledger, "amount": 900}
    quick = api.post("/v1/conversions", order)
    assert (quick.status_code, quick.content) == long_way(api, "/v1/conversions", order)
    others: list[Json] = [{**order, "id": request_id(f"quick {name}")} for name in ("one", "two")]
    batch: Json = {"atomic": False, "items": [*others, {**order, "amount": 901}]}
    quick = api.post("/v1/conversions/batch", batch)
    assert (quick.status_code, quick.content) == long_way(api, "/v1/conversions/batch", batch)
    path = f"/v1/conversions/{order['id']}"
    # A wait that is written in another way is the routes' to judge.
    state = api.get(path)
    assert state.status_code == 200
    assert state.content == api.get(f"{path}?wait=%30").content
    # So is an id in capitals, another path, and a wait that is too long.
    assert api.get(f"/v1/conversions/{str(order['id']).upper()}").status_code == 422
    assert api.get(f"{path}/cancel").status_code == 405
    assert api.get(f"{path}?wait={WAIT_SECONDS_MAX + 1}").status_code == 422
    assert api.get(f"{path}?wait=0&wait=0").status_code == 422
