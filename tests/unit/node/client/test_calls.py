"""What the typed calls ask of a node and read of its answers."""

import pytest

from node.client import NodeClient
from node.client.points import new_id
from protocol.identifiers import Account, Ledger
from tests.support.documents import digest, uuid
from tests.support.node_stand_in import NodeStandIn, answer

ANN = Account(f"member/{uuid('ann')}")
BOB = Account(f"member/{uuid('bob')}")
PARTNER = Ledger("bluebird.example/main.1")
WRITTEN = {"id": "x", "kind": "x", "seq": 9, "leaf": "ab" * 32, "time": "t", "occurred_on": "2026-02-01"}
DIGEST = digest("statement")
BACK = uuid("back")


@pytest.fixture
def node() -> NodeStandIn:
    return NodeStandIn()


@pytest.fixture
def client(node: NodeStandIn) -> NodeClient:
    return NodeClient("http://node.example", transport=node.transport)


def test_what_moves_points_carries_the_callers_id(node: NodeStandIn, client: NodeClient) -> None:
    node.on("POST", "/v1/transactions", answer(WRITTEN, status=201))
    order = new_id()
    assert client.issue(ANN, 5, expires_on="2026-12-31", request_id=order).seq == 9
    assert node.body() == {"type": "issue", "id": order, "account": ANN, "amount": 5, "expires_on": "2026-12-31"}
    client.redeem(ANN, 5, request_id=order)
    assert node.body() == {"type": "redeem", "id": order, "account": ANN, "amount": 5}
    client.transfer(ANN, 5, to=BOB)
    assert node.body()["to"] == BOB
    assert node.body()["id"] != order


def test_a_reversal_tells_what_it_moved(node: NodeStandIn, client: NodeClient) -> None:
    reversed_ = {**WRITTEN, "postings": [[ANN, "AUR", -3], ["issuance", "AUR", 3]], "asked": 5}
    node.on("POST", "/v1/transactions", answer(reversed_, status=201))
    order = new_id()
    assert client.reverse(order, 5, partial=True, request_id=BACK).moved == 3
    assert node.body() == {"type": "reverse", "id": BACK, "reverses": order, "amount": 5, "partial": True}
    client.reverse(order, request_id=BACK)
    assert node.body() == {"type": "reverse", "id": BACK, "reverses": order}


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_what_expired_is_followed_over_all_pages(node: NodeStandIn, client: NodeClient, method: str) -> None:
    month = {"month": "2026-01", "lots": 2, "points": 9}
    page = {"as_of": "2026-03-02", "entries": 1, "lots": 2, "points": 9, "months": [month], "refused": 0}
    node.on(method, "/v1/expiry", answer({**page, "next": "d//"}), answer({**page, "next": None}))
    pages = client.expire() if method == "POST" else client.preview_expiry()
    assert [each.months[0].points for each in pages] == [9, 9]
    asked = [node.body(place) if method == "POST" else dict(node.requests[place].url.params) for place in (0, 1)]
    assert asked == [{}, {"as_of": "2026-03-02", "after": "d//"}]


def test_accounts_and_histories_are_followed_over_all_pages(node: NodeStandIn, client: NodeClient) -> None:
    row = {"account": ANN, "status": "open", "posted": 1, "held": 0, "available": 1}
    node.on("GET", "/v1/accounts", answer({"accounts": [row], "next": ANN}), answer({"accounts": [row], "next": None}))
    assert [one.account for one in client.accounts()] == [ANN, ANN]
    entry = {"seq": 3, "time": "t", "occurred_on": "d", "kind": "points_issued", "id": "i"}
    node.on(
        "GET",
        f"/v1/accounts/{ANN}/history",
        answer({"entries": [entry], "next": 3}),
        answer({"entries": [entry], "next": None}),
    )
    assert [one.seq for one in client.history(ANN)] == [3, 3]
    assert node.requests[-1].url.params["before"] == "3"


def test_a_batch_tells_what_became_of_each_item(node: NodeStandIn, client: NodeClient) -> None:
    problem = {"type": "t", "title": "t", "status": 409, "code": "account_closed", "detail": "closed"}
    results = [{"status": 201, "answer": WRITTEN, "problem": None}, {"status": 409, "answer": None, "problem": problem}]
    node.on("POST", "/v1/transactions/batch", answer({"results": results}))
    first, second = client.batch([{"id": "1"}, {"id": "2"}]).results
    assert first.answer is not None
    assert second.problem is not None
    assert (first.answer.seq, second.problem.code) == (9, "account_closed")


def test_a_batch_of_orders_tells_what_became_of_each(node: NodeStandIn, client: NodeClient) -> None:
    node.on("POST", "/v1/conversions/batch", answer({"results": [{"status": 202, "answer": WRITTEN}]}))
    (result,) = client.convert_many([{"id": "1"}], atomic=True).results
    assert result.status == 202
    assert node.body() == {"atomic": True, "items": [{"id": "1"}]}


def test_conversions_are_ordered_quoted_and_waited_for(node: NodeStandIn, client: NodeClient) -> None:
    conversion = uuid("conversion")
    state = {"id": conversion, "state": "completed", "reason": None, "partner": PARTNER, "source_points": 400,
             "destination_points": 250, "since": "t"}  # fmt: skip
    node.on("POST", "/v1/conversions", answer(WRITTEN, status=201))
    node.on("GET", f"/v1/conversions/{conversion}", answer(state))
    node.on("GET", "/v1/conversions", answer({"conversions": [state], "next": None}))
    client.convert(ANN, PARTNER, 400, request_id=conversion)
    assert node.body() == {"id": conversion, "account": ANN, "partner": PARTNER, "amount": 400}
    assert client.conversion(conversion, wait_seconds=5).state == "completed"
    assert node.requests[-1].url.params["wait"] == "5"
    assert [one.id for one in client.conversions(state="completed")] == [conversion]


def test_settlement_is_paid_confirmed_and_written(node: NodeStandIn, client: NodeClient) -> None:
    for what in ("payment", "confirmation"):
        node.on("POST", f"/v1/statements/{DIGEST}/{what}", answer(WRITTEN, status=201))
    client.pay(DIGEST, "RF 1")
    assert node.body()["reference"] == "RF 1"
    client.confirm(DIGEST)
    node.on("GET", "/v1/journal.csv", answer({}))
    client.journal(first_day="2026-01-01", last_day="2026-01-31", per="day")
    assert dict(node.requests[-1].url.params) == {"from": "2026-01-01", "to": "2026-01-31", "per": "day"}
    node.on("GET", "/v1/reconciliation.csv", answer({}))
    client.reconciliation(PARTNER, "2026-01-31")
    assert dict(node.requests[-1].url.params) == {"partner": PARTNER, "date": "2026-01-31"}
    state = {"partner": PARTNER, "state": "active", "steps": []}
    node.on("GET", "/v1/partners/run-off", answer(state))
    node.on("POST", "/v1/partners/endings", answer(WRITTEN, status=201))
    assert client.run_off(PARTNER).state == "active"
    assert client.end_partner(PARTNER, "contract_over").seq == 9


def test_accounts_are_opened_shown_and_closed(node: NodeStandIn, client: NodeClient) -> None:
    node.on("POST", "/v1/accounts", answer({**WRITTEN, "account": ANN}, status=201))
    node.on("POST", f"/v1/accounts/{ANN}/close", answer(WRITTEN, status=201))
    row = {"account": ANN, "status": "open", "posted": 1, "held": 0, "available": 1}
    node.on("GET", f"/v1/accounts/{ANN}", answer(row))
    assert client.open_account(kind="employee") == ANN
    assert node.body()["kind"] == "employee"
    assert client.account(ANN).available == 1
    assert client.close_account(ANN).seq == 9
