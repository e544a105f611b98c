"""What a screen saw of a member, and what was said with a proposal about it, is forgotten with the member."""

import pytest

from protocol.identifiers import Account
from tests.support.api import ANN, BOB, Api, request_id

CLIENT = {"address": "203.0.113.7", "device": "ann's telephone", "agent": "Aurora/7"}


@pytest.fixture
def api(met: Api) -> Api:
    """Return a node where a person looks at large transfers first."""
    terms = {"transfers": {"review_above": 50}}
    body = {"id": request_id("terms"), "terms": terms, "reason": "opening"}
    assert met.call("PUT", "/v1/program", body=body).is_success
    return met


def test_what_a_screen_saw_is_erased_with_the_member(api: Api) -> None:
    offer = {"id": request_id("large"), "account": ANN, "to": BOB, "amount": 100, "client": CLIENT}
    assert api.post("/v1/transfers", offer).status_code == 202
    review = f"/v1/reviews/{request_id('large')}"
    seen = api.read(review)["seen"]
    assert isinstance(seen, dict)
    assert seen.items() >= CLIENT.items()
    # It is part of what a member can have of all that is kept.
    assert list(api.node.members.held(Account(ANN)).metadata.values()) == [seen]
    api.done(f"{review}/reject", {"id": request_id("reject"), "reason": "not_her"})
    erase = {"id": request_id("erase"), "forfeit": True}
    assert api.done(f"/v1/accounts/{ANN}/erase", erase) == api.done(f"/v1/accounts/{ANN}/erase", erase)
    assert api.read(review)["seen"] is None
    rows = str(api.rows())
    for told in CLIENT.values():
        assert told not in rows


def test_what_was_said_with_an_order_under_review_goes_on_with_it_and_is_erased_with_the_member(api: Api) -> None:
    said = {"note": "for her birthday", "parts": [1, {"deep": None}]}
    for name in ("one", "other"):
        offer = {"id": request_id(name), "account": ANN, "to": BOB, "amount": 100, "metadata": said}
        assert api.post("/v1/transfers", offer).status_code == 202
        review = api.read(f"/v1/reviews/{request_id(name)}")["seen"]
        assert isinstance(review, dict)
        assert review["metadata"] == said
    api.done(f"/v1/reviews/{request_id('one')}/approve", {"id": request_id("approve"), "reason": "known"})
    api.done(f"/v1/reviews/{request_id('other')}/reject", {"id": request_id("reject"), "reason": "unknown"})
    entries = api.read(f"/v1/accounts/{ANN}/history")["entries"]
    assert isinstance(entries, list)
    (offered,) = (each for each in entries if each["kind"] == "transfer_offered")
    assert offered["fields"]["metadata"] is not None
    kept = api.node.members.held(Account(ANN)).metadata
    assert kept[offered["fields"]["metadata"]] == said
    api.done(f"/v1/transfers/{request_id('one')}/decline", {"id": request_id("decline"), "by": "sender"})
    assert "for her birthday" in str(api.rows())
    api.done(f"/v1/accounts/{ANN}/erase", {"id": request_id("erase"), "forfeit": True})
    assert "for her birthday" not in str(api.rows())


def test_what_was_said_with_a_proposal_is_erased_with_the_member(api: Api) -> None:
    for name, account in (("hers", ANN), ("his", BOB)):
        action = {"type": "adjustment", "entry": request_id(f"act {name}"), "account": account, "amount": 5}
        said = {"action": {**action, "reason": "goodwill"}, "metadata": {"note": f"is {name}"}}
        api.done("/v1/approvals", {"id": request_id(name), **said})
    api.done(f"/v1/accounts/{ANN}/erase", {"id": request_id("erase"), "forfeit": True})
    rows = str(api.rows())
    assert "is hers" not in rows
    assert "is his" in rows
