"""Many orders in one commit: one that is refused touches no other, and what one takes, the next lacks."""

import pytest

from tests.support.api import ANN, BOB, POINTS, Api, Json, request_id
from tests.support.documents import BLUEBIRD, COPPER, uuid

PATH = "/v1/conversions/batch"
TAKES = 812
"""What an order of 900 holds: two steps and the fee."""


@pytest.fixture(autouse=True)
def _points(api: Api, request: pytest.FixtureRequest) -> None:
    name = f"points for {request.node.name}"
    api.done("/v1/transactions", {"id": request_id(name), "type": "issue", "account": ANN, "amount": POINTS})


def order(name: str, **changes: object) -> Json:
    made: Json = {"id": request_id(f"order {name}"), "account": ANN, "partner": BLUEBIRD.ledger, "amount": 900}
    return {**made, **changes}


def batch(api: Api, *items: Json, atomic: bool = False) -> list[Json]:
    results = api.done(PATH, {"atomic": atomic, "items": items})["results"]
    assert isinstance(results, list)
    return results


def field_of(results: list[Json], part: str, name: str) -> list[object]:
    found = [each[part] for each in results if part in each]
    return [each[name] for each in found if isinstance(each, dict)]


def available(api: Api) -> int:
    found = api.read(f"/v1/accounts/{ANN}")["available"]
    assert isinstance(found, int)
    return found


def sizes(api: Api) -> tuple[int, int]:
    rows = api.rows()
    return len(rows["entries"]), len(rows["checkpoints"])


def test_a_batch_is_one_commit(api: Api) -> None:
    entries, checkpoints = sizes(api)
    results = batch(api, *(order(f"one commit {number}") for number in range(5)))
    assert [each["status"] for each in results] == [201] * 5
    assert field_of(results, "answer", "state") == ["pending"] * 5
    assert sizes(api) == (entries + 5, checkpoints + 1)
    first = request_id("order one commit 0")
    assert api.read(f"/v1/conversions/{first}")["state"] == "pending"


def test_one_bad_order_harms_no_other(api: Api) -> None:
    bad = [
        order("unknown", account=f"member/{uuid('nobody')}"),
        order("nothing", account=BOB),
        order("stranger", partner=COPPER.ledger),
        order("small", amount=399),
        order("good 0", amount=1_300),
    ]
    before = available(api)
    results = batch(api, order("good 0"), *bad, order("good 1"))
    assert [each["status"] for each in results] == [201, 404, 404, 404, 422, 409, 201]
    expected = ["account_unknown", "link_unknown", "partner_unknown", "less_than_a_step", "id_reused"]
    assert field_of(results, "problem", "code") == expected
    assert available(api) == before - 2 * TAKES


def test_an_id_twice_in_a_batch_is_one_order(api: Api) -> None:
    before = available(api)
    first, second = batch(api, order("twice"), order("twice"))
    assert first == second
    assert available(api) == before - TAKES


def test_a_repeated_batch_gets_the_same_bytes(api: Api) -> None:
    body = {"atomic": False, "items": [order("once"), order("no", account=f"member/{uuid('nobody')}"), order("two")]}
    first = api.post(PATH, body)
    before = api.rows()
    api.clock.advance(5)
    assert api.post(PATH, body).content == first.content
    assert api.rows() == before


def test_orders_of_a_batch_share_what_is_left(api: Api) -> None:
    room = available(api) // TAKES
    results = batch(api, *(order(f"share {number}") for number in range(room + 2)))
    assert [each["status"] for each in results] == [201] * room + [422] * 2
    assert field_of(results, "problem", "code") == ["insufficient_points"] * 2


def test_an_atomic_batch_is_all_or_nothing(api: Api) -> None:
    items = [order("first"), order("poor", account=f"member/{uuid('nobody')}"), order("last")]
    before = api.rows()
    response = api.post(PATH, {"atomic": True, "items": items})
    assert (response.status_code, response.json()["code"]) == (404, "account_unknown")
    assert [error["field"] for error in response.json()["errors"]] == ["items.1"]
    assert api.rows() == before
    assert [each["status"] for each in batch(api, items[0], items[2], atomic=True)] == [201, 201]


def test_a_batch_has_orders_and_not_too_many(api: Api) -> None:
    assert api.post(PATH, {"atomic": False, "items": []}).status_code == 422
    many = [order(f"many {number}") for number in range(1_025)]
    response = api.post(PATH, {"atomic": False, "items": many})
    assert (response.status_code, response.json()["code"]) == (422, "request_invalid")


def test_a_malformed_order_refuses_the_batch_before_anything_is_done(api: Api) -> None:
    before = api.rows()
    response = api.post(PATH, {"atomic": False, "items": [order("fine"), order("not", amount=0)]})
    assert (response.status_code, response.json()["code"]) == (422, "amount_invalid")
    assert api.rows() == before


def test_a_screen_sees_the_orders_before_in_the_batch(api: Api) -> None:
    screen = {"name": "velocity", "activity": "conversion", "window_minutes": 1, "most": 2}
    body = {"id": request_id("screen orders"), "terms": {"screens": [screen]}, "reason": "opening"}
    assert api.call("PUT", "/v1/program", body=body).status_code == 200
    try:
        poor = order("screened poor", account=BOB)
        results = batch(api, poor, *(order(f"screened {number}") for number in range(4)))
        # What is refused has not been ordered, and counts for nothing.
        assert [each["status"] for each in results] == [404, 201, 201, 202, 202]
        assert field_of(results, "answer", "kind") == ["conversion_held"] * 2 + ["review_opened"] * 2
        assert len([each for each in api.rows()["client_traces"] if each[1] == BOB]) == 0
    finally:
        api.call("PUT", "/v1/program", body={"id": request_id("no screen"), "terms": {}, "reason": "opening"})
