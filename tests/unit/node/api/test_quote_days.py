"""Quotes for an account are given on the program's own day, as the order that follows is judged on it."""

from tests.support.api import ANN, POINTS, Api, request_id
from tests.support.documents import BLUEBIRD, NOW


def in_zone(api: Api, name: str) -> str:
    """Let the program have the days of a time zone, and return its day."""
    body = {"id": request_id("zone"), "terms": {"time_zone": name}, "reason": "opening"}
    assert api.call("PUT", "/v1/program", body=body).is_success
    return str(api.read("/v1/program")["today"])


def test_an_account_is_quoted_in_the_evening_of_a_western_program(linked: Api) -> None:
    linked.clock.advance(13 * 3_600)
    assert in_zone(linked, "Pacific/Honolulu") == NOW[:10], "it is still the day before there"
    asked = {"account": ANN, "partner": BLUEBIRD.ledger, "amount": 900}
    quote = linked.done("/v1/quotes", asked)
    ordered = linked.done("/v1/conversions", {"id": request_id("order"), **asked})
    assert ordered["destination_points"] == quote["gives"]


def test_points_whose_last_day_is_over_are_not_quoted_in_an_eastern_program(linked: Api) -> None:
    moved = {"id": request_id("spent"), "type": "redeem", "account": ANN, "amount": POINTS}
    given = {"id": request_id("short"), "type": "issue", "account": ANN, "amount": 900, "expires_on": NOW[:10]}
    for body in (moved, given):
        linked.done("/v1/transactions", body)
    asked = {"account": ANN, "partner": BLUEBIRD.ledger, "amount": 800}
    assert linked.done("/v1/quotes", asked)["used"] == 800
    assert in_zone(linked, "Pacific/Kiritimati") > NOW[:10], "their last day is over there"
    for path, body in (("/v1/conversions", {"id": request_id("order"), **asked}), ("/v1/quotes", asked)):
        assert linked.post(path, body).json()["code"] == "insufficient_points", path
