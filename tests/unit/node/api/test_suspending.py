"""A partner is suspended and taken back over HTTP: what is refused meanwhile, and what the list says."""

from tests.support.api import ANN, Api, Json, request_id
from tests.support.documents import BLUEBIRD, COPPER, uuid
from tests.unit.node.api.test_refusals import refused

SUSPENSIONS = "/v1/partners/suspensions"
RESUMPTIONS = "/v1/partners/resumptions"


def ask(name: str, reason: str = "key_stolen") -> Json:
    return {"id": request_id(name), "partner": BLUEBIRD.ledger, "reason": reason}


def is_suspended(api: Api) -> bool:
    (row,) = api.get("/v1/partners").json()["partners"]
    return bool(row["suspended"])


def test_nothing_new_begins_with_a_suspended_partner(api: Api) -> None:
    refused(api, RESUMPTIONS, ask("early", "keys_checked"), status=409, code="partner_not_suspended")
    first = api.done(SUSPENSIONS, ask("suspend"))
    assert first["kind"] == "partner_suspended"
    assert isinstance(first["fields"], dict)
    assert first["fields"]["partner"] == BLUEBIRD.ledger
    assert api.done(SUSPENSIONS, ask("suspend")) == first
    assert is_suspended(api)
    refused(api, SUSPENSIONS, ask("again"), status=409, code="partner_suspended")
    order = {"account": ANN, "partner": BLUEBIRD.ledger, "amount": 1_000}
    refused(api, "/v1/quotes", order, status=409, code="partner_suspended")
    refused(api, "/v1/conversions", {**order, "id": request_id("order")}, status=409, code="partner_suspended")
    link = {"id": request_id("link"), "account": ANN, "partner": BLUEBIRD.ledger}
    refused(api, "/v1/links", link, status=409, code="partner_suspended")
    api.done(RESUMPTIONS, ask("resume", "keys_checked"))
    assert not is_suspended(api)
    api.done("/v1/conversions", {**order, "id": request_id("order")})


def test_a_node_that_is_stopped_by_a_claim_takes_the_suspension_of_its_maker_alone(api: Api) -> None:
    api.node.exchange.peer(BLUEBIRD.ledger)
    api.node.gate.claimed_behind(BLUEBIRD.ledger, "bluebird has applied words that the store does not have")
    issue = {"id": request_id("issue"), "type": "issue", "account": ANN, "amount": 1}
    told = refused(api, "/v1/transactions", issue, status=503, code="store_behind")
    assert "tallystick partner suspend" in str(told["detail"])
    assert api.get("/v1/ledger/standing").json()["condition"] == "behind"
    (listed,) = (each for each in api.get("/v1/exceptions").json()["exceptions"] if each["kind"] == "store_behind")
    assert "tallystick partner suspend" in listed["to_do"]
    api.done(SUSPENSIONS, ask("suspend a liar", "claims_untrue"))
    api.done("/v1/transactions", issue)
    api.done(RESUMPTIONS, ask("resume after it", "keys_checked"))
    assert api.get("/v1/ledger/standing").json()["condition"] == "open"


def test_strangers_and_sentences_are_refused(api: Api) -> None:
    for path in (SUSPENSIONS, RESUMPTIONS):
        stranger = {**ask("stranger"), "partner": COPPER.ledger}
        refused(api, path, stranger, status=404, code="partner_unknown")
        refused(api, path, ask("sentence", "A sentence."), status=422, code="request_invalid")
        refused(api, path, {**ask("more"), "id": uuid("more"), "force": True}, status=422, code="request_invalid")
