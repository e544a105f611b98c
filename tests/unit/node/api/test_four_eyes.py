"""A program whose terms ask for two people: agreements, forced releases and the terms themselves, over HTTP."""

from collections.abc import Iterator

import pytest

from node.api.agreements import ProposeBody
from node.services.access.credentials import CallerRole
from node.services.fsck.fsck import fsck
from protocol.agreement import SignedAgreement, encode_signed_agreement, sign_agreement
from protocol.audit.findings import Verdict
from protocol.keys import Role
from tests.support.api import (
    ANN,
    Api,
    Json,
    agree,
    api_of,
    link_ann,
    meet,
    open_accounts,
    request_id,
    signed_by_bluebird,
    terms_with,
)
from tests.support.documents import BLUEBIRD
from tests.unit.node.api.test_approvals import APPROVALS, Person, code_of

PROPOSALS = "/v1/agreements/proposals"
TWO_YEARS = {"kind": "fixed", "months": 24, "round_to": "year"}


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with api_of(tmp_path_factory.mktemp("four") / "aurora") as api:
        open_accounts(api)
        meet(api)
        agree(api)
        link_ann(api)
        body = {"id": request_id("terms"), "terms": {"four_eyes": True}, "reason": "policy"}
        assert api.call("PUT", "/v1/program", body=body).is_success
        yield api


@pytest.fixture(scope="module")
def first(node: Api) -> Person:
    return Person(node, CallerRole.MANAGER)


@pytest.fixture(scope="module")
def second(node: Api) -> Person:
    return Person(node, CallerRole.MANAGER)


def done(person: Person, name: str) -> Json:
    response = person.approve(name)
    assert response.status_code == 201, response.text
    answer: Json = response.json()
    return answer


def propose(person: Person, name: str, action: Json) -> Json:
    response = person.post(APPROVALS, {"id": request_id(name), "action": action})
    assert response.status_code == 201, response.text
    answer: Json = response.json()
    return answer


def set_terms(first: Person, second: Person, name: str, terms: Json) -> None:
    """Let one propose terms that ask for two people as before, and the other approve them."""
    asked = {"four_eyes": True, **terms}
    propose(first, name, {"type": "program", "entry": request_id(f"{name} set"), "terms": asked, "reason": "policy"})
    done(second, name)


def test_terms_are_set_by_two(node: Api, first: Person, second: Person) -> None:
    body = {"id": request_id("off"), "terms": {}, "reason": "policy"}
    assert code_of(node.call("PUT", "/v1/program", body=body)) == (409, "approval_missing")
    set_terms(first, second, "new terms", {"pending_days": 3, "time_zone": "Europe/Berlin", "expiry": TWO_YEARS})
    shown = node.read("/v1/program")["terms"]
    assert isinstance(shown, dict)
    assert (shown["pending_days"], shown["time_zone"], bool(shown["offsets"])) == (3, "Europe/Berlin", True)


def test_points_that_are_given_last_as_long_as_the_terms_say(node: Api, first: Person, second: Person) -> None:
    set_terms(first, second, "two years", {"pending_days": 0, "expiry": TWO_YEARS})
    given = {"type": "adjustment", "account": ANN, "amount": 5, "reason": "goodwill"}
    days = {}
    for name, more in (("ruled", {}), ("named", {"expires_on": "2027-01-31"}), ("taken", {"amount": -5})):
        propose(first, name, {**given, "entry": request_id(f"{name} done"), **more})
        shown = node.read(f"{APPROVALS}/{request_id(name)}")["action"]
        assert isinstance(shown, dict)
        days[name] = shown["expires_on"]
    assert days == {"ruled": "2028-12-31", "named": "2027-01-31", "taken": None}


def test_points_are_forced_back_by_two(node: Api, first: Person, second: Person) -> None:
    conversion = request_id("conversion")
    node.done("/v1/conversions", {"id": conversion, "account": ANN, "partner": BLUEBIRD.ledger, "amount": 900})
    force = {"id": request_id("force"), "reason": "partner_gone"}
    path = f"/v1/conversions/{conversion}/force-release"
    assert code_of(node.post(path, force)) == (409, "approval_missing")
    action = {"type": "forced_release", "entry": request_id("forced"), "conversion": conversion}
    propose(first, "forcing", {**action, "reason": "partner_gone"})
    done(second, "forcing")
    assert node.read(f"/v1/conversions/{conversion}")["forced"] is True
    assert node.read(f"{APPROVALS}/{request_id('forcing')}")["state"] == "done"


def test_an_agreement_is_signed_for_two(node: Api, first: Person, second: Person) -> None:
    offer = {"partner": BLUEBIRD.ledger, "terms": {**terms_with(), "valid_from": "2026-06-01T00:00:00Z"}}
    assert code_of(node.post(PROPOSALS, offer)) == (409, "approval_missing")
    proposed = propose(first, "offer", {"type": "agreement_terms", "offer": offer})
    assert node.read(PROPOSALS)["proposals"] == []
    done(second, "offer")
    (sent,) = proposals(node)
    assert sent["direction"] == "sent"
    assert node.read(f"{APPROVALS}/{request_id('offer')}")["state"] == "approved"
    complete = signed_by_bluebird(sent["proposal"])
    assert node.call("POST", "/peer/v1/agreements", content=complete, role=None).is_success
    assert node.read(f"{APPROVALS}/{request_id('offer')}")["state"] == "done"
    fields = proposed["fields"]
    assert isinstance(fields, dict)
    assert fields["entry"] == f"agreement/{sent['digest']}"


def test_what_a_partner_proposes_is_accepted_by_two(node: Api, first: Person, second: Person) -> None:
    terms = {**terms_with(), "valid_from": "2026-07-01T00:00:00Z"}
    offer = ProposeBody.model_validate({"partner": BLUEBIRD.ledger, "terms": terms})
    agreement = node.node.agreements.draft(offer.request())
    signature = sign_agreement(agreement, ledger=BLUEBIRD.ledger, key=BLUEBIRD.signing_keys[Role.APPROVAL])
    document = encode_signed_agreement(SignedAgreement(agreement=agreement, signatures=(signature,)))
    assert node.call("POST", "/peer/v1/proposals", content=document, role=None).is_success
    (kept,) = proposals(node)
    digest = kept["digest"]
    assert code_of(node.post("/v1/agreements", {"digest": digest})) == (409, "approval_missing")
    propose(first, "acceptance", {"type": "agreement", "digest": digest})
    done(second, "acceptance")
    assert node.read(f"{APPROVALS}/{request_id('acceptance')}")["state"] == "done"
    assert node.read(f"/v1/agreements/{digest}")["digest"] == digest
    assert proposals(node) == []
    unknown = {"id": request_id("unknown"), "action": {"type": "agreement", "digest": "0" * 64}}
    assert code_of(first.post(APPROVALS, unknown)) == (404, "proposal_unknown")


def test_the_store_is_what_the_log_says(node: Api) -> None:
    report = fsck(node.database)
    assert report.verdict is Verdict.HELD, "\n".join(report.lines())


def proposals(api: Api) -> list[Json]:
    found = api.read(PROPOSALS)["proposals"]
    assert isinstance(found, list)
    return found
