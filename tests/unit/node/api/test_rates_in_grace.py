"""Rates that multiply points only together with those that they replace, which are honoured a while longer."""

import json

import msgspec
import pytest

from protocol.agreement import SignedAgreement, encode_signed_agreement
from tests.support.api import Api, Json, agree, signed_by_bluebird, terms_with
from tests.support.documents import AURORA, BLUEBIRD

FIRST_ENDS = "2026-03-05T00:00:00Z"
PROPOSALS = "/v1/agreements/proposals"


@pytest.fixture
def api(met: Api) -> Api:
    return met


def terms(there: tuple[int, int], back: tuple[int, int], *, promotions: tuple[Json, ...] = (), **more: object) -> Json:
    """Return terms with these steps, and promotions there."""
    found = terms_with()
    directions = found["directions"]
    assert isinstance(directions, list)
    for direction, (source, destination) in zip(directions, (there, back), strict=True):
        direction["step"] = {"source": source, "destination": destination}
    directions[0]["promotions"] = list(promotions)
    return {**found, **more}


REVALUED = terms((400, 100), (100, 360))
"""400 points give 100 from now on, and come back: but those who still get 250 for them get 900 back."""


def asked(api: Api, wanted: Json) -> int:
    return api.post(PROPOSALS, {"partner": BLUEBIRD.ledger, "terms": wanted}).status_code


def test_rates_that_multiply_with_those_they_replace_are_refused_unless_forced(api: Api) -> None:
    first = agree(api)
    body: Json = {"partner": BLUEBIRD.ledger, "terms": REVALUED}
    refused = api.post(PROPOSALS, body)
    assert (refused.status_code, refused.json()["code"]) == (409, "agreement_loop")
    forced = api.done(PROPOSALS, {**body, "force": True})
    report = api.done("/v1/agreements/check", {"digest": forced["digest"]})
    assert report["multiplies"] is True
    findings = report["findings"]
    assert isinstance(findings, list)
    (loop,) = findings
    assert (loop["kind"], loop["ratio"], loop["by_proposal"]) == ("loop", "9/4", True)
    assert loop["path"] == [AURORA.ledger, BLUEBIRD.ledger, AURORA.ledger]
    assert [rate["agreement"] for rate in loop["rates"]] == [first, forced["digest"]]


def test_what_a_partner_proposes_is_held_against_what_it_replaces(api: Api) -> None:
    agree(api)
    forced = api.done(PROPOSALS, {"partner": BLUEBIRD.ledger, "terms": REVALUED, "force": True})
    both = msgspec.json.decode(signed_by_bluebird(forced["proposal"]), type=SignedAgreement)
    theirs = tuple(each for each in both.signatures if each.ledger == BLUEBIRD.ledger)
    alone = json.loads(encode_signed_agreement(msgspec.structs.replace(both, signatures=theirs)))
    refused = api.post("/v1/agreements", {"proposal": alone})
    assert (refused.status_code, refused.json()["code"]) == (409, "agreement_loop")


@pytest.mark.parametrize(("back", "status"), [((250, 400), 201), ((250, 401), 409)])
def test_rates_may_come_as_near_as_what_they_replace_lets_them(api: Api, back: tuple[int, int], status: int) -> None:
    agree(api)
    assert asked(api, terms((400, 200), back)) == status


@pytest.mark.parametrize(
    ("begins", "status"), [("2026-03-05T00:14:59Z", 409), ("2026-03-05T00:15:00Z", 201), ("2026-03-06T00:00:00Z", 201)]
)
def test_rates_are_free_once_those_before_are_honoured_no_more(api: Api, begins: str, status: int) -> None:
    agree(api, valid_until=FIRST_ENDS)
    assert asked(api, {**REVALUED, "valid_from": begins}) == status


def promotion(starts_at: str, ends_at: str) -> Json:
    step = {"source": 400, "destination": 270}
    return {"name": "spring", "starts_at": starts_at, "ends_at": ends_at, "step": step, "price": 1}


@pytest.mark.parametrize(
    ("runs", "status"),
    [
        (("2026-02-01T00:00:00Z", "2026-03-01T11:44:00Z"), 201),
        (("2026-02-01T00:00:00Z", "2026-03-01T11:46:00Z"), 409),
        (("2026-03-01T12:14:00Z", "2026-04-01T00:00:00Z"), 409),
        (("2026-03-01T12:16:00Z", "2026-04-01T00:00:00Z"), 201),
    ],
)
def test_promotions_count_while_an_order_may_name_them(api: Api, runs: tuple[str, str], status: int) -> None:
    first = terms((400, 250), (250, 360), promotions=(promotion(*runs),))
    agree(api, directions=first["directions"])
    assert asked(api, terms((400, 240), (250, 380))) == status
