"""Agreements on their way: proposed, carried, accepted, completed; and papers that must not get in."""

import json

import msgspec
import pytest

from node.services.conversions.agreements import PROPOSALS_PER_PARTNER_MAX
from node.workers.send_papers import SendPapers
from protocol.agreement import Agreement, SignedAgreement, encode_signed_agreement, sign_agreement
from protocol.keys import Role
from protocol.points import Step
from tests.support.api import Api, Json, agree, signed_by_bluebird, terms_with
from tests.support.documents import AURORA, BLUEBIRD, COPPER, agreement

BACK: Json = {"source": BLUEBIRD.ledger, "step": {"source": 1, "destination": 1}, "price": 1}


@pytest.fixture
def api(met: Api) -> Api:
    return met


def propose(api: Api, **changes: object) -> Json:
    return api.done("/v1/agreements/proposals", {"partner": BLUEBIRD.ledger, "terms": {**terms_with(), **changes}})


def from_bluebird(api: Api, currency: str = "USD", **changes: object) -> bytes:
    """Return a proposal that Bluebird signed, on the terms of one of ours."""
    signed = msgspec.convert(propose(api, **changes)["proposal"], SignedAgreement)
    return signed_alone(msgspec.structs.replace(signed.agreement, currency=currency))


def signed_alone(document: Agreement) -> bytes:
    signature = sign_agreement(document, ledger=BLUEBIRD.ledger, key=BLUEBIRD.signing_keys[Role.APPROVAL])
    return encode_signed_agreement(SignedAgreement(agreement=document, signatures=(signature,)))


def to_peer(api: Api, path: str, content: bytes) -> tuple[int, str]:
    response = api.call("POST", f"/peer/v1/{path}", content=content, role=None)
    return response.status_code, response.json().get("code", "")


def test_a_proposal_is_sent_until_it_is_taken(api: Api) -> None:
    worker = SendPapers(api.node.agreements, api.papers, api.clock)
    worker.step()
    assert api.papers.sent == []
    proposed = propose(api)
    api.papers.failures = 2
    for _ in range(10):
        worker.step()
        api.clock.advance(0.3)
    ((url, document),) = api.papers.sent
    assert url == "https://node.bluebird.example/peer/v1/proposals"
    assert json.loads(document) == proposed["proposal"]


def test_a_completed_agreement_is_entered_and_its_proposal_is_gone(api: Api) -> None:
    proposed = propose(api)
    assert [one["direction"] for one in proposals(api)] == ["sent"]
    complete = signed_by_bluebird(proposed["proposal"])
    assert to_peer(api, "agreements", complete) == (200, "")
    assert proposals(api) == []
    before = api.rows()
    assert to_peer(api, "agreements", complete) == (200, "")
    assert api.rows() == before
    shown = api.read(f"/v1/agreements/{proposed['digest']}")
    assert (shown["partner"], shown["number"], shown["superseded_at"]) == (BLUEBIRD.ledger, 1, None)
    assert shown["agreement"] == json.loads(complete)


def test_a_late_copy_of_a_proposal_that_was_entered_is_passed_over(api: Api) -> None:
    document = from_bluebird(api)
    assert to_peer(api, "proposals", document) == (200, "")
    api.done("/v1/agreements", {"proposal": json.loads(document)})
    assert proposals(api) == []
    assert to_peer(api, "proposals", document) == (200, "")
    assert proposals(api) == []


def test_a_received_proposal_is_accepted_by_its_digest_and_sent_back(api: Api) -> None:
    document = from_bluebird(api)
    assert to_peer(api, "proposals", document) == (200, "")
    (received,) = proposals(api)
    answer = api.done("/v1/agreements", {"digest": received["digest"]})
    assert answer["kind"] == "agreement_entered"
    worker = SendPapers(api.node.agreements, api.papers, api.clock)
    worker.step()
    ((url, sent),) = api.papers.sent
    assert url == "https://node.bluebird.example/peer/v1/agreements"
    assert json.loads(sent) == answer["agreement"]
    worker.step()
    assert len(api.papers.sent) == 1


def test_terms_that_multiply_points_are_refused_unless_forced(api: Api) -> None:
    loop = terms_with()
    directions = loop["directions"]
    assert isinstance(directions, list)
    directions[1]["step"] = {"source": 250, "destination": 401}
    body: Json = {"partner": BLUEBIRD.ledger, "terms": loop}
    refused = api.post("/v1/agreements/proposals", body)
    assert (refused.status_code, refused.json()["code"]) == (409, "agreement_loop")
    forced = api.done("/v1/agreements/proposals", {**body, "force": True})
    assert to_peer(api, "agreements", signed_by_bluebird(forced["proposal"])) == (200, "")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"currency": "EUR"}, "assets_invalid"),
        ({"valid_until": "2026-02-01T00:00:00Z", "valid_from": "2026-01-01T00:00:00Z"}, "agreement_lapsed"),
    ],
)
def test_an_agreement_that_cannot_bind_is_not_entered(api: Api, changes: dict[str, str], code: str) -> None:
    document = from_bluebird(api, **changes)
    before = api.rows()
    response = api.post("/v1/agreements", {"proposal": json.loads(document)})
    assert (response.status_code, response.json()["code"]) == (422, code)
    assert api.rows() == before


@pytest.mark.parametrize(
    ("terms", "code"),
    [
        ({"valid_until": "2026-01-01T00:00:00Z"}, "agreement_invalid"),
        ({"directions": [BACK] * 2}, "agreement_invalid"),
        ({"directions": []}, "request_invalid"),
        ({"currency": "usd"}, "request_invalid"),
        ({"currency": "EUR"}, "assets_invalid"),
        ({"quote_life_seconds": 0}, "request_invalid"),
        ({"transport": {"kind": "pigeon"}}, "request_invalid"),
    ],
)
def test_terms_are_refused(api: Api, terms: Json, code: str) -> None:
    before = api.rows()
    body = {"partner": BLUEBIRD.ledger, "terms": {**terms_with(), **terms}}
    response = api.post("/v1/agreements/proposals", body)
    assert (response.status_code, response.json()["code"]) == (422, code)
    assert api.rows() == before


def test_strangers_and_forgers_get_nothing_in(api: Api) -> None:
    proposed = propose(api)["proposal"]
    ours = encode_signed_agreement(msgspec.convert(proposed, SignedAgreement))
    document = from_bluebird(api)
    before = api.rows()
    stranger = agreement(AURORA, COPPER)
    signature = sign_agreement(stranger, ledger=COPPER.ledger, key=COPPER.signing_keys[Role.APPROVAL])
    strange = encode_signed_agreement(SignedAgreement(agreement=stranger, signatures=(signature,)))
    own_keys = api.node.ledger_keys
    other_keys = agreement(AURORA, BLUEBIRD)
    assert own_keys != AURORA.keys
    for content, status, code in (
        (ours, 422, "agreement_invalid"),
        (strange, 403, "partner_unknown"),
        (document.replace(b'"number":1', b'"number":2'), 422, "signature_invalid"),
        (document + b" ", 422, "agreement_invalid"),
        (b"{}", 422, "agreement_invalid"),
    ):
        assert to_peer(api, "proposals", content) == (status, code)
    assert to_peer(api, "agreements", document) == (422, "signature_invalid")
    status, code = to_peer(api, "agreements", signed_alone(other_keys))
    assert (status, code) == (422, "signature_invalid")
    assert api.rows() == before


def test_accepting_needs_one_paper(api: Api) -> None:
    for body in ({}, {"digest": "0" * 64, "proposal": {}}):
        assert api.post("/v1/agreements", body).status_code == 422
    response = api.post("/v1/agreements", {"digest": "0" * 64})
    assert (response.status_code, response.json()["code"]) == (404, "proposal_unknown")
    own = propose(api)["proposal"]
    refused = api.post("/v1/agreements", {"proposal": own})
    assert (refused.status_code, refused.json()["code"]) == (422, "agreement_invalid")


def test_proposals_that_wait_are_bounded(api: Api) -> None:
    for number in range(PROPOSALS_PER_PARTNER_MAX):
        propose(api, notice_days=number)
    body = {"partner": BLUEBIRD.ledger, "terms": {**terms_with(), "notice_days": 100}}
    response = api.post("/v1/agreements/proposals", body)
    assert (response.status_code, response.json()["code"]) == (409, "proposals_full")


def test_a_lapsed_agreement_converts_nothing(api: Api) -> None:
    agree(api, valid_until="2026-03-02T00:00:00Z")
    api.clock.advance(86_400)
    quote = {"partner": BLUEBIRD.ledger, "amount": 1_000}
    response = api.post("/v1/quotes", quote)
    assert (response.status_code, response.json()["code"]) == (422, "agreement_lapsed")


def test_there_is_no_quote_before_an_agreement(api: Api) -> None:
    response = api.post("/v1/quotes", {"partner": BLUEBIRD.ledger, "amount": 1_000})
    assert (response.status_code, response.json()["code"]) == (404, "agreement_unknown")
    agree(api, valid_from="2026-03-05T00:00:00Z")
    response = api.post("/v1/quotes", {"partner": BLUEBIRD.ledger, "amount": 1_000})
    assert (response.status_code, response.json()["code"]) == (422, "agreement_not_yet")


def test_steps_are_as_they_were_stated(api: Api) -> None:
    signed = msgspec.convert(propose(api)["proposal"], SignedAgreement)
    there = signed.agreement.direction(AURORA.ledger)
    assert there.step == Step(source=400, destination=250)
    assert (there.price, there.steps_min, there.steps_max, there.expiry.days) == (2_500_000, 2, 20, 365)
    assert (there.fee.points_per_conversion, there.fee.points_per_step) == (10, 1)
    assert signed.agreement.windows.starts_at == "2026-03-01T00:00:00.000000Z"


def proposals(api: Api) -> list[Json]:
    found = api.read("/v1/agreements/proposals")["proposals"]
    assert isinstance(found, list)
    return found
