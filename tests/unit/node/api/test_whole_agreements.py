"""Agreements with all their terms through the API: limits, promotions, checks, notice, refunds, force, exceptions."""

import json

import msgspec
import pytest

from node.engine.work import CommandWork
from node.services.operating.exceptions import ROWS_MAX
from protocol.agreement import SignedAgreement, agreement_digest, encode_signed_agreement, sign_agreement
from protocol.identifiers import Alias, Digest
from protocol.keys import Role
from protocol.ledger import names
from protocol.ledger.commands import DecidePrepare
from protocol.messages import Prepare
from protocol.points import Step
from tests.support.api import ANN, Api, Json, agree, link_ann, request_id, terms_with
from tests.support.documents import (
    AURORA,
    BLUEBIRD,
    COPPER,
    agreement,
    digest_of_body,
    direction,
    introduction,
    invitation_bytes,
    prepare,
    uuid,
)

SPRING: Json = {
    "name": "spring",
    "starts_at": "2026-03-01T00:00:00Z",
    "ends_at": "2026-03-02T00:00:00Z",
    "step": {"source": 400, "destination": 260},
    "price": 2_600_000,
    "budget_points": 1_000,
}
LIMITS: Json = {
    "member_limits": {"out_points_per_day": 4_000, "in_points_per_year": 100_000},
    "in_flight": {"conversions": 2, "value": 30_000_000},
    "cap": 25_000_000,
    "promotions": [SPRING],
}


@pytest.fixture
def api(met: Api) -> Api:
    return met


def directions() -> list[Json]:
    listed = terms_with()["directions"]
    assert isinstance(listed, list)
    return listed


def agreed(api: Api, **more: object) -> str:
    """Agree on the usual terms and, for conversions out of Aurora, some more."""
    there, back = directions()
    cited = agree(api, directions=[{**there, **more}, {**back, "step": {"source": 260, "destination": 360}}])
    link_ann(api)
    return cited


def quote(api: Api, amount: int, **more: object) -> Json:
    return api.done("/v1/quotes", {"partner": BLUEBIRD.ledger, "amount": amount, **more})


def order(api: Api, name: str, amount: int, **more: object) -> Json:
    body = {"id": request_id(name), "account": ANN, "partner": BLUEBIRD.ledger, "amount": amount, **more}
    return api.done("/v1/conversions", body)


def refusal(api: Api, path: str, body: object) -> tuple[int, str]:
    response = api.post(path, body)
    return response.status_code, response.json()["code"]


def refused_order(api: Api, amount: int, **more: object) -> tuple[int, str]:
    body = {"id": request_id("refused"), "account": ANN, "partner": BLUEBIRD.ledger, "amount": amount, **more}
    return refusal(api, "/v1/conversions", body)


def test_every_term_is_in_the_document(api: Api) -> None:
    cited = agreed(api, **LIMITS)
    shown = msgspec.convert(api.read(f"/v1/agreements/{cited}")["agreement"], SignedAgreement)
    there = shown.agreement.direction(AURORA.ledger)
    assert (there.cap, there.in_flight.conversions, there.in_flight.value) == (25_000_000, 2, 30_000_000)
    assert (there.member_limits.out_points_per_day, there.member_limits.out_points_per_year) == (4_000, None)
    (spring,) = there.promotions
    assert (spring.name, spring.step, spring.budget_points) == ("spring", Step(source=400, destination=260), 1_000)
    assert spring.ends_at == "2026-03-02T00:00:00.000000Z"


def test_a_quote_shows_the_promotion_and_an_order_gets_it(api: Api) -> None:
    cited = agreed(api, **LIMITS)
    shown = quote(api, 900)
    assert (shown["promotion"], shown["gives"], shown["value"]) == ("spring", 520, 5_200_000)
    assert (shown["stays"], shown["fee"], shown["expires_on"]) == (100, 12, "2027-03-01")
    assert shown["agreement"] == cited
    ordered = order(api, "one", 900)
    assert (ordered["promotion"], ordered["destination_points"], ordered["refund_of"]) == ("spring", 520, None)
    assert quote(api, 900)["promotion"] is None


def test_an_order_on_an_open_quote_keeps_its_terms(api: Api) -> None:
    cited = agreed(api, **LIMITS)
    shown = quote(api, 900)
    agree(api)
    api.clock.advance(60)
    assert quote(api, 900)["agreement"] != cited
    ordered = order(api, "quoted", 900, agreement=cited)
    assert (ordered["agreement"], ordered["destination_points"]) == (cited, shown["gives"])
    api.clock.advance(900)
    assert refused_order(api, 900, agreement=cited) == (422, "agreement_lapsed")


def test_limits_refuse_orders_and_quotes_alike(api: Api) -> None:
    agreed(api, **LIMITS)
    too_much = {"account": ANN, "partner": BLUEBIRD.ledger, "amount": 4_400}
    assert refusal(api, "/v1/quotes", too_much) == refused_order(api, 4_400) == (409, "cap_reached")
    before = api.rows()
    assert quote(api, 4_400)["used"] == 4_400
    assert api.rows() == before
    order(api, "one", 800)
    order(api, "two", 800)
    assert refused_order(api, 800) == (409, "in_flight_limit")
    assert refusal(api, "/v1/quotes", {**too_much, "amount": 800}) == (409, "in_flight_limit")


def test_member_limits_hold_for_a_day(api: Api) -> None:
    agreed(api, member_limits={"out_points_per_day": 1_000})
    order(api, "one", 800)
    assert refused_order(api, 800) == (409, "member_limit")
    api.clock.advance(86_400)
    order(api, "two", 800)


def know_copper(api: Api) -> None:
    invitation = json.loads(invitation_bytes(COPPER))
    api.done("/v1/partners", {"invitation": invitation, "fingerprint": introduction(COPPER).fingerprint()})


def with_copper(destination: int) -> Json:
    """Return terms with Copper: every 400 of ours give `destination` of theirs, which give all of ours back."""
    there = {"source": AURORA.ledger, "step": {"source": 400, "destination": destination}, "price": 1}
    back = {"source": COPPER.ledger, "step": {"source": destination, "destination": 400}, "price": 1}
    return {"partner": COPPER.ledger, "terms": {"currency": "USD", "directions": [there, back]}}


def bluebird_and_copper(*, gives: int) -> bytes:
    """Return an agreement between the two partners: a Bluebird point gives `gives` of Copper's."""
    there = direction(BLUEBIRD, COPPER, step=Step(source=1, destination=gives))
    back = direction(COPPER, BLUEBIRD, step=Step(source=gives, destination=1))
    document = agreement(BLUEBIRD, COPPER, there=there, back=back)
    keys = [(side.ledger, side.signing_keys[Role.APPROVAL]) for side in (BLUEBIRD, COPPER)]
    signatures = tuple(sign_agreement(document, ledger=ledger, key=key) for ledger, key in keys)
    return encode_signed_agreement(SignedAgreement(agreement=document, signatures=signatures))


def agree_with_copper(api: Api, destination: int) -> None:
    know_copper(api)
    proposed = api.done("/v1/agreements/proposals", with_copper(destination))
    signed = msgspec.convert(proposed["proposal"], SignedAgreement)
    theirs = sign_agreement(signed.agreement, ledger=COPPER.ledger, key=COPPER.signing_keys[Role.APPROVAL])
    both = SignedAgreement(agreement=signed.agreement, signatures=(*signed.signatures, theirs))
    complete = api.call("POST", "/peer/v1/agreements", content=encode_signed_agreement(both), role=None)
    assert complete.is_success, complete.text


def test_a_check_finds_what_agreements_do_together(api: Api) -> None:
    agree(api)
    assert api.done("/v1/agreements/check", {}) == {"agreements": 1, "multiplies": False, "findings": []}
    agree_with_copper(api, 400)
    assert api.done("/v1/agreements/check", {})["agreements"] == 2
    triangle = api.done("/v1/agreements/check", {"proposal": json.loads(bluebird_and_copper(gives=3))})
    assert (triangle["agreements"], triangle["multiplies"]) == (3, True)
    findings = triangle["findings"]
    assert isinstance(findings, list)
    loop = findings[0]
    assert (loop["kind"], loop["ratio"], loop["by_proposal"]) == ("loop", "15/8", True)
    assert loop["path"] == [AURORA.ledger, BLUEBIRD.ledger, COPPER.ledger, AURORA.ledger]
    assert [(rate["gives"], rate["gets"]) for rate in loop["rates"]] == [(400, 250), (1, 3), (400, 400)]
    assert any(one["kind"] == "detour" and one["direct"] for one in findings)


def test_a_proposal_that_the_node_keeps_is_checked_by_its_digest_and_at_a_time(api: Api) -> None:
    agree(api)
    know_copper(api)
    proposed = api.done("/v1/agreements/proposals", with_copper(400))
    report = api.done("/v1/agreements/check", {"digest": proposed["digest"]})
    assert (report["agreements"], report["multiplies"]) == (2, False)
    early = api.done("/v1/agreements/check", {"digest": proposed["digest"], "at": "2020-01-01T00:00:00Z"})
    assert early["findings"] == []
    assert refusal(api, "/v1/agreements/check", {"digest": "0" * 64}) == (404, "proposal_unknown")


def test_an_agreement_may_be_ended_with_notice(api: Api) -> None:
    cited = agreed(api)
    path = f"/v1/agreements/{cited}/end"
    assert refusal(api, path, {"ends_at": "2026-03-02T00:00:00Z"}) == (422, "notice_too_short")
    assert refusal(api, f"/v1/agreements/{'0' * 64}/end", {"ends_at": "2026-05-01T00:00:00Z"}) == (
        404,
        "agreement_unknown",
    )
    ended = api.done(path, {"ends_at": "2026-05-01T00:00:00Z"})
    assert (ended["kind"], ended["by"], ended["ends_at"]) == (
        "agreement_ended",
        AURORA.ledger,
        "2026-05-01T00:00:00.000000Z",
    )
    assert api.done(path, {"ends_at": "2026-05-01T00:00:00Z"}) == ended
    assert refusal(api, path, {"ends_at": "2026-06-01T00:00:00Z"}) == (409, "id_reused")
    assert api.read(f"/v1/agreements/{cited}")["ends_at"] == "2026-05-01T00:00:00.000000Z"
    (said,) = [each for each in api.node.reader.messages_sent() if each.kind == "end"]
    assert (said.partner, said.conversion) == (BLUEBIRD.ledger, None)
    api.clock.advance(61 * 86_400)
    assert refused_order(api, 900) == (422, "agreement_lapsed")


def credited(api: Api) -> Prepare:
    """Let Bluebird's member have converted three steps to ann, and return the PREPARE."""
    issued = api.done("/v1/links", {"id": request_id("issue"), "account": ANN, "partner": BLUEBIRD.ledger})
    cited = str(api.read("/v1/agreements")["agreements"][0]["digest"])  # type: ignore[index]
    asked = prepare(source=BLUEBIRD, destination=AURORA, cited=Digest(cited), alias=Alias(str(issued["alias"])))
    asked = msgspec.structs.replace(asked, source_points=780, destination_points=1_080, value=7_200_000)
    digest = digest_of_body(asked)
    command = DecidePrepare(id=names.decision_id(asked.key), request=digest, prepare=asked, digest=digest)
    api.node.submit(CommandWork([command])).result()
    return asked


def test_a_conversion_that_came_in_can_be_refunded(api: Api) -> None:
    agreed(api)
    asked = credited(api)
    back = order(api, "refund", 800, refund_of=asked.id)
    assert (back["refund_of"], back["steps"], back["source_points"]) == (asked.id, 2, 720)
    assert (back["destination_points"], back["fee_points"], back["value"]) == (520, 0, 4_800_000)
    assert refused_order(api, 720, refund_of=asked.id) == (409, "refund_exceeded")
    assert refused_order(api, 720, refund_of=uuid("nothing")) == (404, "refund_unknown")
    shown = api.read(f"/v1/conversions/{request_id('refund')}")
    assert (shown["refund_of"], shown["forced"], shown["refunded_steps"]) == (asked.id, False, 0)


def test_force_gives_the_points_back_and_shows_as_such(api: Api) -> None:
    agreed(api)
    order(api, "one", 900)
    path = f"/v1/conversions/{request_id('one')}/force-release"
    body = {"id": request_id("force"), "reason": "partner_gone"}
    forced = api.done(path, body)
    assert (forced["kind"], forced["conversion"], forced["reason"]) == (
        "conversion_forced",
        request_id("one"),
        "partner_gone",
    )
    assert forced["postings"] == [
        ["loss/bluebird.example/main", "USD", -5_000_000],
        ["contingent/bluebird.example/main", "USD", 5_000_000],
    ]
    assert api.done(path, body) == forced
    shown = api.read(f"/v1/conversions/{request_id('one')}")
    assert (shown["state"], shown["forced"], shown["waiting_for"]) == ("returned", True, None)
    assert [one["id"] for one in listed(api, "/v1/conversions?state=returned", "conversions")] == [request_id("one")]
    assert [each.kind for each in api.node.reader.sent_of_conversion(request_id("one"))] == ["prepare", "cancel"]
    assert refusal(api, path, {**body, "id": request_id("again")}) == (409, "conversion_decided")
    unknown = f"/v1/conversions/{uuid('nothing')}/force-release"
    assert refusal(api, unknown, {**body, "id": request_id("other")}) == (404, "conversion_unknown")
    assert api.post(path, {**body, "reason": "Ann Smith"}).status_code == 422


def listed(api: Api, path: str, name: str) -> list[Json]:
    found = api.read(path)[name]
    assert isinstance(found, list)
    return found


def exceptions(api: Api, older_than_seconds: int = 600) -> list[Json]:
    return listed(api, f"/v1/exceptions?older_than_seconds={older_than_seconds}", "exceptions")


def test_exceptions_name_what_is_stuck_forced_and_undelivered(api: Api) -> None:
    agreed(api)
    assert exceptions(api) == []
    order(api, "stuck", 900)
    order(api, "forced", 900)
    api.done(
        f"/v1/conversions/{request_id('forced')}/force-release",
        {"id": request_id("force"), "reason": "partner_gone"},
    )
    assert [one["kind"] for one in exceptions(api)] == ["forced"]
    api.clock.advance(700)
    api.node.exchange.begin(BLUEBIRD.ledger)
    api.node.exchange.deliver(BLUEBIRD.ledger)
    stuck, forced, waiting = exceptions(api)
    assert (stuck["kind"], stuck["conversion"]) == ("stuck", request_id("stuck"))
    assert stuck["age_seconds"] in (699, 700)
    assert (stuck["points"], stuck["value"], stuck["currency"]) == (812, 5_000_000, "USD")
    assert (forced["kind"], forced["reason"]) == ("forced", "partner_gone")
    assert (waiting["kind"], waiting["partner"], waiting["reason"]) == (
        "waiting_for_partner",
        BLUEBIRD.ledger,
        "nobody is there",
    )
    assert all(one["to_do"] for one in (stuck, forced, waiting))
    assert [one["kind"] for one in exceptions(api, 1_000)] == ["forced", "waiting_for_partner"]
    assert ROWS_MAX > 0


def test_the_digest_of_an_agreement_in_a_quote_is_the_documents(api: Api) -> None:
    cited = agreed(api)
    signed = msgspec.convert(api.read(f"/v1/agreements/{cited}")["agreement"], SignedAgreement)
    assert agreement_digest(signed.agreement) == quote(api, 900)["agreement"]
