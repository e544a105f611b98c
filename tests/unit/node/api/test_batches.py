"""Many transactions in one commit: one that is refused touches no other, and an atomic batch is all or nothing."""

from tests.support.api import ANN, BOB, Api, Json, request_id
from tests.support.documents import uuid


def item(name: str, **changes: object) -> Json:
    return {"id": request_id(f"batch {name}"), "type": "issue", "account": ANN, "amount": 10, **changes}


def test_one_bad_item_harms_no_other(api: Api) -> None:
    good = [item(f"good {number}", metadata={"number": number}) for number in range(50)]
    bad = [
        item("unknown", account=f"member/{uuid('nobody')}"),
        item("poor", type="redeem", account=BOB, amount=10**9),
        item("same", type="transfer", to=ANN),
        item("reused", id=request_id("batch good 0"), amount=11),
        item("late", occurred_on="2027-01-01"),
    ]
    items = [*good[:20], *bad, *good[20:]]
    before = api.read(f"/v1/accounts/{ANN}")["posted"]
    response = api.post("/v1/transactions/batch", {"atomic": False, "items": items})
    assert response.status_code == 200
    results = response.json()["results"]
    assert [each["status"] for each in results] == [201] * 20 + [404, 422, 422, 409, 422] + [201] * 30
    assert [each["problem"]["code"] for each in results[20:25]] == [
        "account_unknown",
        "insufficient_points",
        "same_account",
        "id_reused",
        "date_invalid",
    ]
    assert isinstance(before, int)
    assert api.read(f"/v1/accounts/{ANN}")["posted"] == before + 500
    seqs = [each["answer"]["seq"] for each in results if each["status"] == 201]
    assert seqs == list(range(seqs[0], seqs[0] + 50))


def test_a_repeated_batch_gets_the_same_bytes(api: Api) -> None:
    body = {"atomic": False, "items": [item("once"), item("bad", account=f"member/{uuid('nobody')}"), item("two")]}
    first = api.post("/v1/transactions/batch", body)
    before = api.rows()
    api.clock.advance(5)
    assert api.post("/v1/transactions/batch", body).content == first.content
    assert api.rows() == before


def test_items_of_a_batch_see_those_before_them(api: Api) -> None:
    earn, spend = item("earn", account=BOB, amount=3), item("spend", type="redeem", account=BOB, amount=3)
    answer = api.done("/v1/transactions/batch", {"atomic": True, "items": [earn, spend]})
    results = answer["results"]
    assert isinstance(results, list)
    assert [each["answer"]["kind"] for each in results] == ["points_issued", "points_redeemed"]


def test_a_batch_takes_back_what_it_has_issued_itself(api: Api) -> None:
    before = api.read(f"/v1/accounts/{BOB}")["posted"]
    issued = item("issued wrongly", account=BOB, amount=7)
    undone = {"id": request_id("batch undone"), "type": "reverse", "reverses": issued["id"], "amount": 5}
    answer = api.done("/v1/transactions/batch", {"atomic": True, "items": [issued, undone]})
    results = answer["results"]
    assert isinstance(results, list)
    assert [each["answer"]["kind"] for each in results] == ["points_issued", "points_reversed"]
    assert isinstance(before, int)
    assert api.read(f"/v1/accounts/{BOB}")["posted"] == before + 2


def test_an_atomic_batch_is_all_or_nothing(api: Api) -> None:
    items = [item("first"), item("poor one", type="redeem", account=BOB, amount=10**9), item("last")]
    before = api.rows()
    response = api.post("/v1/transactions/batch", {"atomic": True, "items": items})
    assert (response.status_code, response.json()["code"]) == (422, "insufficient_points")
    assert [error["field"] for error in response.json()["errors"]] == ["items.1"]
    assert api.rows() == before
    answer = api.done("/v1/transactions/batch", {"atomic": True, "items": [items[0], items[2]]})
    assert isinstance(answer["results"], list)
    assert [each["status"] for each in answer["results"]] == [201, 201]


def test_a_malformed_item_refuses_the_batch_before_anything_is_done(api: Api) -> None:
    before = api.rows()
    response = api.post("/v1/transactions/batch", {"atomic": False, "items": [item("fine"), item("not", amount=0)]})
    assert (response.status_code, response.json()["code"]) == (422, "amount_invalid")
    assert "1" in response.json()["errors"][0]["field"]
    assert api.rows() == before


def test_a_batch_has_items_and_not_too_many(api: Api) -> None:
    assert api.post("/v1/transactions/batch", {"atomic": False, "items": []}).status_code == 422
    many = [item(f"many {number}", amount=1) for number in range(8_193)]
    response = api.post("/v1/transactions/batch", {"atomic": False, "items": many})
    assert (response.status_code, response.json()["code"]) == (422, "request_invalid")
