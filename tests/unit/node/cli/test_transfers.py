"""`tallystick transfer`, `review`, and the life of an account."""

import pytest

from tests.support.documents import uuid
from tests.support.node_stand_in import NodeStandIn, answer
from tests.unit.node.cli.conftest import Command

ANN, BOB = f"member/{uuid('ann')}", f"member/{uuid('bob')}"
GIFT = uuid("gift")
WRITTEN = {"id": "x", "kind": "k", "seq": 7, "leaf": "ab" * 32, "time": "t", "occurred_on": "2026-03-01"}


def test_a_transfer_is_offered(tallystick: Command, node: NodeStandIn) -> None:
    node.on("POST", "/v1/transfers", answer(WRITTEN, status=201))
    finished = tallystick("transfer", "offer", ANN, uuid("bob"), "1000", "--id", GIFT)
    assert finished.status == 0, finished.err
    assert node.body() == {"id": GIFT, "account": ANN, "to": BOB, "amount": 1_000}
    assert f"transfer {GIFT}" in finished.out


@pytest.mark.parametrize(
    ("words", "path", "body", "said"),
    [
        (("transfer", "accept", GIFT), f"/v1/transfers/{GIFT}/accept", {}, "is accepted"),
        (("transfer", "decline", GIFT), f"/v1/transfers/{GIFT}/decline", {"by": "recipient"}, "sender's again"),
        (("transfer", "decline", GIFT, "--by-sender"), f"/v1/transfers/{GIFT}/decline", {"by": "sender"}, "again"),
        (("review", "approve", GIFT), f"/v1/reviews/{GIFT}/approve", {"reason": "looked_at"}, "goes on"),
        (("review", "reject", GIFT, "--reason", "not_me"), f"/v1/reviews/{GIFT}/reject", {"reason": "not_me"}, "again"),
        (
            ("account", "freeze", ANN, "--reason", "stolen"),
            f"/v1/accounts/{ANN}/freeze",
            {"reason": "stolen"},
            "frozen",
        ),
        (
            ("account", "unfreeze", ANN, "--reason", "found"),
            f"/v1/accounts/{ANN}/unfreeze",
            {"reason": "found"},
            "open",
        ),
        (
            ("account", "merge", ANN, BOB),
            f"/v1/accounts/{ANN}/merge",
            {"reason": "joined_twice", "survivor": BOB},
            "stands for",
        ),
    ],
)
def test_what_is_asked_is_sent(
    tallystick: Command, node: NodeStandIn, *, words: tuple[str, ...], path: str, body: dict[str, str], said: str
) -> None:
    node.on("POST", path, answer(WRITTEN, status=201))
    finished = tallystick(*words)
    assert finished.status == 0, finished.err
    sent = node.body()
    assert isinstance(sent, dict)
    assert {name: value for name, value in sent.items() if name != "id"} == body
    assert said in finished.out


def test_transfers_and_reviews_are_listed(tallystick: Command, node: NodeStandIn) -> None:
    transfer = {
        "id": GIFT, "state": "offered", "account": ANN, "to": BOB, "amount": 1_000, "fee": 5, "accept_by": "2026-03-04",
    }  # fmt: skip
    node.on("GET", "/v1/transfers", answer({"transfers": [transfer], "next": None}))
    shown = tallystick("transfer", "list", "--account", ANN)
    assert "1,000" in shown.out
    assert GIFT in shown.out
    review = {
        "id": GIFT, "state": "open", "account": ANN, "screen": "velocity", "points": 400, "order": {"kind": "transfer"},
        "opened_at": "2026-03-01",
    }  # fmt: skip
    node.on("GET", "/v1/reviews", answer({"reviews": [review], "next": None}))
    for words in (("review", "list"), ("review", "list", "--all")):
        shown = tallystick(*words)
        assert shown.status == 0, shown.err
        assert "velocity" in shown.out
    for words in (("transfer", "list", "--json"), ("review", "list", "--json")):
        assert GIFT in tallystick(*words).out
