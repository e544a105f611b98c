"""Transfers, frozen and merged accounts, and reviews over HTTP, on both databases."""

import pytest

from node.services.members.transfers import AcceptRequest, DeclineRequest
from protocol.errors import Refusal
from protocol.identifiers import Account, Id
from tests.support.api import ANN, BOB, Api, Json, request_id
from tests.support.documents import BLUEBIRD, uuid
from tests.unit.node.api.test_refusals import refused

TRANSFERS = "/v1/transfers"


def terms(api: Api, name: str, **changed: object) -> None:
    body = {"id": request_id(name), "terms": changed, "reason": "opening"}
    response = api.call("PUT", "/v1/program", body=body)
    assert response.status_code == 200, response.text


def offer(name: str, amount: int = 100, **more: object) -> Json:
    return {"id": request_id(name), "account": ANN, "to": BOB, "amount": amount, **more}


def balance(api: Api, account: str) -> tuple[object, object]:
    view = api.read(f"/v1/accounts/{account}")
    return view["posted"], view["held"]


def give_bob_points(api: Api, name: str) -> None:
    api.done("/v1/transactions", {"type": "issue", "id": request_id(name), "account": BOB, "amount": 100})


def test_a_transfer_is_offered_and_accepted(api: Api) -> None:
    posted, held = balance(api, ANN)
    first = api.done(TRANSFERS, offer("gift", metadata={"note": "happy birthday"}))
    assert first["kind"] == "transfer_offered"
    assert api.done(TRANSFERS, offer("gift", metadata={"note": "happy birthday"})) == first
    assert balance(api, ANN) == (posted, int(str(held)) + 100)
    view = api.read(f"{TRANSFERS}/{request_id('gift')}")
    assert (view["state"], view["account"], view["to"], view["amount"]) == ("offered", ANN, BOB, 100)
    accepted = api.done(f"{TRANSFERS}/{request_id('gift')}/accept", {"id": request_id("accept")})
    assert accepted["kind"] == "transfer_accepted"
    assert api.done(f"{TRANSFERS}/{request_id('gift')}/accept", {"id": request_id("accept")}) == accepted
    late = {"id": request_id("late")}
    refused(api, f"{TRANSFERS}/{request_id('gift')}/accept", late, status=409, code="transfer_closed")
    listed = api.read(f"{TRANSFERS}?account={BOB}&state=accepted")["transfers"]
    assert isinstance(listed, list)
    assert request_id("gift") in [each["id"] for each in listed]


def test_a_transfer_is_declined_by_either_side(api: Api) -> None:
    before = balance(api, ANN)
    for by, state in (("recipient", "declined"), ("sender", "cancelled")):
        api.done(TRANSFERS, offer(by))
        api.done(f"{TRANSFERS}/{request_id(by)}/decline", {"id": request_id(f"no {by}"), "by": by})
        assert api.read(f"{TRANSFERS}/{request_id(by)}")["state"] == state
    assert balance(api, ANN) == before
    refused(api, f"{TRANSFERS}/{uuid('none')}/accept", {"id": request_id("x")}, status=404, code="transfer_unknown")


def test_what_nobody_accepts_comes_back_by_itself(api: Api) -> None:
    before = balance(api, ANN)
    api.done(TRANSFERS, offer("forgotten"))
    forgotten = Id(request_id("forgotten"))
    assert forgotten not in api.node.transfers.lapsed(100)
    api.clock.advance(73 * 3_600)
    assert forgotten in api.node.transfers.lapsed(100)
    api.node.transfers.lapse(forgotten).result()
    assert api.read(f"{TRANSFERS}/{request_id('forgotten')}")["state"] == "lapsed"
    assert balance(api, ANN) == before


def test_a_member_decides_about_its_own_alone(api: Api) -> None:
    ann, bob, cem = Account(ANN), Account(BOB), Account(f"member/{uuid('cem')}")
    transfers = api.node.transfers
    for name in ("mine", "yours"):
        api.done(TRANSFERS, offer(name))
    mine, yours = Id(request_id("mine")), Id(request_id("yours"))
    for account in (ann, cem):
        with pytest.raises(Refusal, match="there is no transfer"):
            transfers.accept(AcceptRequest(id=Id(request_id("steal")), transfer=mine, account=account))
    with pytest.raises(Refusal, match="there is no transfer"):
        transfers.decline(DeclineRequest(id=Id(request_id("spoil")), transfer=mine, account=cem))
    with pytest.raises(Refusal, match="there is no transfer"):
        transfers.show(mine, account=cem)
    assert transfers.show(mine, account=bob).state == "offered"
    transfers.decline(DeclineRequest(id=Id(request_id("take back")), transfer=mine, account=ann)).result()
    transfers.decline(DeclineRequest(id=Id(request_id("no thanks")), transfer=yours, account=bob)).result()
    assert [transfers.show(each).state for each in (mine, yours)] == ["cancelled", "declined"]


def test_limits_are_told(api: Api) -> None:
    daily = {"activity": "transfer_out", "scope": "account", "per": "day", "measure": "points", "most": 10}
    terms(api, "limits", limits=[daily], kinds=[{"kind": "supplier", "may_earn": False}])
    response = api.post(TRANSFERS, offer("too much", 11))
    assert (response.status_code, response.json()["code"]) == (409, "limit_reached")
    assert "10 of 10 points are left" in response.json()["detail"]
    assert "more from" in response.json()["detail"]
    told = response.json()["limit"]
    assert (told["activity"], told["most"], told["left"]) == ("transfer_out", 10, 10)
    assert told["free_on"] > str(api.read("/v1/program")["today"])
    terms(api, "no limits")


def test_an_account_is_frozen_and_opened_again(api: Api) -> None:
    word = {"id": request_id("freeze"), "reason": "stolen_card"}
    frozen = api.done(f"/v1/accounts/{ANN}/freeze", word)
    assert frozen["kind"] == "account_frozen"
    assert api.read(f"/v1/accounts/{ANN}")["status"] == "frozen"
    refused(api, TRANSFERS, offer("frozen"), status=409, code="account_frozen")
    order = {"id": request_id("frozen order"), "account": ANN, "partner": BLUEBIRD.ledger, "amount": 1_000}
    refused(api, "/v1/conversions", order, status=409, code="account_frozen")
    issue = {"type": "issue", "id": request_id("frozen issue"), "account": ANN, "amount": 5}
    api.done("/v1/transactions", issue)
    api.done(f"/v1/accounts/{ANN}/unfreeze", {"id": request_id("unfreeze"), "reason": "card_found"})
    again = {"id": request_id("again"), "reason": "card_found"}
    refused(api, f"/v1/accounts/{ANN}/unfreeze", again, status=409, code="account_not_frozen")


def test_accounts_are_merged(api: Api) -> None:
    for name in ("double", "only"):
        api.done("/v1/accounts", {"id": uuid(name), "kind": "member"})
    double, only = f"member/{uuid('double')}", f"member/{uuid('only')}"
    api.done("/v1/transactions", {"type": "issue", "id": request_id("to double"), "account": double, "amount": 70})
    body = {"id": request_id("merge"), "survivor": only, "reason": "joined_twice"}
    assert api.done(f"/v1/accounts/{double}/merge", body)["kind"] == "account_merged"
    assert api.read(f"/v1/accounts/{double}")["status"] == "merged"
    assert balance(api, only) == (70, 0)
    history = api.read(f"/v1/accounts/{only}/history")["entries"]
    assert isinstance(history, list)
    assert history[0]["kind"] == "account_merged"
    itself = {"id": request_id("itself"), "survivor": only, "reason": "joined_twice"}
    refused(api, f"/v1/accounts/{only}/merge", itself, status=422, code="same_account")


def test_what_a_screen_holds_up_a_person_decides(api: Api) -> None:
    screen = {"name": "device", "activity": "any", "window_minutes": 60, "most": 1}
    terms(api, "screens", screens=[screen])
    give_bob_points(api, "to spend")
    client = {"address": "203.0.113.7", "device": "one phone", "agent": "test"}
    first = api.post(TRANSFERS, offer("first", client=client))
    assert first.status_code == 201
    back = {"id": request_id("other"), "account": BOB, "to": ANN, "amount": 50, "client": client}
    held = api.post(TRANSFERS, back)
    assert (held.status_code, held.json()["kind"]) == (202, "review_opened")
    assert api.post(TRANSFERS, {**back, "client": None}).content == held.content, "a repeat is no new order"
    assert "phone" not in str(held.json()), "what the screen saw is in no entry"
    found = api.node.exceptions.all(older_than_seconds=0).exceptions
    (waiting,) = (each for each in found if each.about == request_id("other"))
    assert (waiting.kind, waiting.points) == ("under_review", 50)
    reviews = api.get("/v1/reviews?state=open").json()["reviews"]
    (review,) = (each for each in reviews if each["id"] == request_id("other"))
    assert (review["screen"], review["seen"]["device"], review["seen"]["seen"]) == ("device", "one phone", 2)
    word = {"id": request_id("approve"), "reason": "one_family"}
    api.done(f"/v1/reviews/{request_id('other')}/approve", word)
    assert api.done(f"/v1/reviews/{request_id('other')}/approve", word)["kind"] == "review_closed"
    assert api.read(f"{TRANSFERS}/{request_id('other')}")["state"] == "offered"
    assert api.post(TRANSFERS, back).content == held.content
    twice = {"id": request_id("twice"), "reason": "one_family"}
    refused(api, f"/v1/reviews/{request_id('other')}/approve", twice, status=409, code="review_closed")
    terms(api, "no screens")


def test_a_fast_hand_waits_and_is_rejected(api: Api) -> None:
    terms(api, "velocity", screens=[{"name": "velocity", "activity": "conversion", "window_minutes": 1, "most": 1}])
    order = {"account": ANN, "partner": BLUEBIRD.ledger, "amount": 1_000}
    posted, _ = balance(api, ANN)
    api.clock.advance(120)
    assert api.post("/v1/conversions", {**order, "id": request_id("v1")}).status_code == 201
    after = balance(api, ANN)
    second = api.post("/v1/conversions", {**order, "id": request_id("v2")})
    assert (second.status_code, second.json()["kind"]) == (202, "review_opened")
    assert balance(api, ANN) == (posted, int(str(after[1])) + 1_000)
    rejected = api.done(f"/v1/reviews/{request_id('v2')}/reject", {"id": request_id("reject"), "reason": "not_me"})
    assert rejected["kind"] == "review_closed"
    assert balance(api, ANN) == after
    assert api.read(f"/v1/reviews/{request_id('v2')}")["state"] == "rejected"
    unknown = {"id": request_id("unknown"), "reason": "not_me"}
    refused(api, f"/v1/reviews/{uuid('none')}/reject", unknown, status=404, code="review_unknown")
    terms(api, "as slow as one likes")


def test_a_fast_hand_goes_on_when_it_is_approved(api: Api) -> None:
    terms(api, "slower", screens=[{"name": "velocity", "activity": "conversion", "window_minutes": 1, "most": 1}])
    order = {"account": ANN, "partner": BLUEBIRD.ledger, "amount": 1_000}
    api.clock.advance(120)
    assert api.post("/v1/conversions", {**order, "id": request_id("v3")}).status_code == 201
    assert api.post("/v1/conversions", {**order, "id": request_id("v4")}).status_code == 202
    api.done(f"/v1/reviews/{request_id('v4')}/approve", {"id": request_id("approve v4"), "reason": "it_was_me"})
    assert api.read(f"/v1/conversions/{request_id('v4')}")["state"] == "pending"
    terms(api, "free")


def test_a_large_transfer_waits_for_a_person(api: Api) -> None:
    terms(api, "someone looks", transfers={"review_above": 500})
    held = api.post(TRANSFERS, offer("large", 501))
    assert held.status_code == 202, held.text
    assert held.json()["fields"]["screen"] == "amount"
    api.done(f"/v1/reviews/{request_id('large')}/approve", {"id": request_id("ok"), "reason": "looked_at"})
    assert api.read(f"{TRANSFERS}/{request_id('large')}")["amount"] == 501
    terms(api, "small")


def test_a_window_that_has_passed_counts_no_more(api: Api) -> None:
    terms(api, "window", screens=[{"name": "address", "activity": "transfer", "window_minutes": 10, "most": 1}])
    give_bob_points(api, "to send back")
    api.clock.advance(3_600)
    told = {"client": {"address": "203.0.113.77"}}
    back = {"account": BOB, "to": ANN, "amount": 1, **told}
    assert api.post(TRANSFERS, offer("from one", 1, **told)).status_code == 201
    assert api.post(TRANSFERS, {**back, "id": request_id("nobody knows where"), "client": None}).status_code == 201
    order = {"id": request_id("elsewhere"), "account": ANN, "partner": BLUEBIRD.ledger, "amount": 1_000, **told}
    assert api.post("/v1/conversions", order).status_code == 201, "conversions are not screened"
    assert api.post(TRANSFERS, {**back, "id": request_id("too soon")}).status_code == 202
    api.clock.advance(601)
    assert api.post(TRANSFERS, {**back, "id": request_id("later")}).status_code == 201
    terms(api, "no window")


def test_traces_are_forgotten_in_time(api: Api) -> None:
    terms(api, "traced", screens=[{"name": "address", "activity": "any", "window_minutes": 5, "most": 9}])
    api.done(TRANSFERS, offer("seen", client={"address": "203.0.113.9"}))
    since = "0001-01-01T00:00:00.000000Z"
    kinds = ("transfer",)
    found = api.node.reader.traced_accounts("address", "203.0.113.9", activities=kinds, since=since, limit=9)
    assert found == {ANN}
    assert api.node.transfers.forget_traces(100) == 0
    api.clock.advance(31 * 86_400)
    assert api.node.transfers.forget_traces(100) > 0
    assert api.node.reader.traced_accounts("address", "203.0.113.9", activities=kinds, since=since, limit=9) == set()
    terms(api, "untraced")
