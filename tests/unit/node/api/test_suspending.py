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


def test_strangers_and_sentences_are_refused(api: Api) -> None:
    for path in (SUSPENSIONS, RESUMPTIONS):
        stranger = {**ask("stranger"), "partner": COPPER.ledger}
        refused(api, path, stranger, status=404, code="partner_unknown")
        refused(api, path, ask("sentence", "A sentence."), status=422, code="request_invalid")
        refused(api, path, {**ask("more"), "id": uuid("more"), "force": True}, status=422, code="request_invalid")
