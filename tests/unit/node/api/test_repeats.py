"""The same request gets the same bytes; the same id with other content is refused; nothing is written twice."""

import json

import httpx
import msgspec
import pytest

from protocol.documents import sign_invitation
from protocol.keys import Role
from tests.support.api import ANN, BOB, Api, Json, agree, link_from_bluebird, request_id
from tests.support.documents import BLUEBIRD, introduction, uuid

BUILDERS: dict[str, tuple[str, Json, Json]] = {
    "open": ("/v1/accounts", {"id": uuid("new"), "kind": "member"}, {"kind": "supplier"}),
    "issue": (
        "/v1/transactions",
        {"id": request_id("i"), "type": "issue", "account": ANN, "amount": 5, "expires_on": "2027-01-31"},
        {"expires_on": None},
    ),
    "issue with metadata": (
        "/v1/transactions",
        {"id": request_id("m"), "type": "issue", "account": ANN, "amount": 5, "metadata": {"b": 1, "a": "ä"}},
        {"metadata": {"b": 2, "a": "ä"}},
    ),
    "redeem": (
        "/v1/transactions",
        {"id": request_id("r"), "type": "redeem", "account": ANN, "amount": 7, "occurred_on": "2026-02-28"},
        {"occurred_on": "2026-03-01"},
    ),
    "transfer": (
        "/v1/transactions",
        {"id": request_id("t"), "type": "transfer", "account": ANN, "to": BOB, "amount": 9},
        {"account": BOB, "to": ANN},
    ),
    "hold": (
        "/v1/holds",
        {"id": request_id("h"), "account": ANN, "amount": 50, "expires_at": "2026-03-02T00:00:00Z"},
        {"expires_at": "2026-03-02T00:00:01Z"},
    ),
    "capture": (
        f"/v1/holds/{request_id('captured')}/capture",
        {"id": request_id("c"), "amount": 20, "final": False},
        {"amount": 21},
    ),
    "release": (
        f"/v1/holds/{request_id('released')}/release",
        {"id": request_id("l")},
        {"occurred_on": "2026-02-28"},
    ),
    "issue a link": (
        "/v1/links",
        {"id": request_id("link"), "account": BOB, "partner": BLUEBIRD.ledger},
        {"account": ANN},
    ),
    "accept a link": (
        "/v1/links/accept",
        {"id": request_id("accept"), "account": BOB, "document": link_from_bluebird("bob")},
        {"document": link_from_bluebird("another")},
    ),
    "convert": (
        "/v1/conversions",
        {"id": request_id("v"), "account": ANN, "partner": BLUEBIRD.ledger, "amount": 900},
        {"accept_within_seconds": 3_601},
    ),
    "close": (
        f"/v1/accounts/member/{uuid('closed')}/close",
        {"id": request_id("x")},
        {"occurred_on": "2026-02-28"},
    ),
}

BEFORE: dict[str, tuple[str, Json]] = {
    "capture": ("/v1/holds", {"id": request_id("captured"), "account": ANN, "amount": 50}),
    "release": ("/v1/holds", {"id": request_id("released"), "account": ANN, "amount": 50}),
    "close": ("/v1/accounts", {"id": uuid("closed"), "kind": "member"}),
}


@pytest.mark.parametrize("name", BUILDERS)
def test_a_repeat_gets_the_same_bytes_and_another_content_is_refused(api: Api, name: str) -> None:
    if name in BEFORE:
        api.done(*BEFORE[name])
    path, body, change = BUILDERS[name]
    first = api.post(path, body)
    assert first.status_code == 201, first.text
    before = api.rows()
    # Time has passed, so nothing of the answer can have been made anew.
    api.clock.advance(5)
    assert bytes_of(api.post(path, body)) == bytes_of(first)
    reordered = dict(reversed(body.items()))
    assert bytes_of(api.post(path, reordered)) == bytes_of(first)
    other = api.post(path, {**body, **change})
    assert (other.status_code, other.json()["code"]) == (409, "id_reused")
    assert api.rows() == before


def test_an_id_is_unique_across_kinds(api: Api) -> None:
    body = {"id": uuid("ann"), "type": "issue", "account": ANN, "amount": 5}
    response = api.post("/v1/transactions", body)
    assert (response.status_code, response.json()["code"]) == (409, "id_reused")


def test_a_transaction_is_shown_with_the_bytes_of_its_answer(api: Api) -> None:
    body = {"id": request_id("shown"), "type": "issue", "account": ANN, "amount": 5, "metadata": {"order": "7"}}
    posted = api.post("/v1/transactions", body)
    assert api.get(f"/v1/transactions/{body['id']}").content == posted.content


def test_an_answer_tells_what_its_entry_says(api: Api) -> None:
    answer = api.done("/v1/transactions", {"id": request_id("told"), "type": "redeem", "account": ANN, "amount": 3})
    entry = api.read(f"/v1/entries/{answer['seq']}")
    document = entry["entry"]
    assert isinstance(document, dict)
    assert entry["leaf"] == answer["leaf"]
    shared = ("id", "kind", "seq", "time", "occurred_on", "postings", "metadata")
    assert {name: document[name] for name in shared} == {name: answer[name] for name in shared}
    assert set(answer) == {*shared, "leaf"}


def test_a_partner_and_an_agreement_are_entered_once(api: Api) -> None:
    agreement = api.read("/v1/agreements")["agreements"]
    assert isinstance(agreement, list)
    document = agreement[0]["agreement"]
    before = api.rows()
    again = api.post("/v1/agreements", {"proposal": document})
    assert (again.status_code, again.json()["digest"]) == (201, agreement[0]["digest"])
    assert api.rows() == before


def test_a_partner_that_moved_is_the_same_request(api: Api) -> None:
    moved = invitation("https://new.bluebird.example")
    first = api.post("/v1/partners", {"invitation": moved})
    assert first.status_code == 201
    partners = api.read("/v1/partners")["partners"]
    assert isinstance(partners, list)
    assert [one["url"] for one in partners] == ["https://new.bluebird.example"]
    back = api.post("/v1/partners", {"invitation": invitation("https://node.bluebird.example")})
    assert bytes_of(back) == bytes_of(first)


def test_the_next_agreement_follows_the_last(api: Api) -> None:
    digest = agree(api, quote_life_seconds=60)
    agreements = api.read("/v1/agreements")["agreements"]
    assert isinstance(agreements, list)
    assert [(one["number"], one["superseded_at"] is None) for one in agreements] == [(2, True), (1, False)]
    assert agreements[0]["digest"] == digest


def bytes_of(response: httpx.Response) -> tuple[int, bytes]:
    return response.status_code, response.content


def invitation(url: str) -> Json:
    moved = msgspec.structs.replace(introduction(BLUEBIRD), url=url)
    document: Json = json.loads(sign_invitation(moved, key=BLUEBIRD.signing_keys[Role.APPROVAL]))
    return document
