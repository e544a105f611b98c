"""Two brands wind their partnership down, day files and journals agreeing all the way, and nothing begins after it."""

import csv
from collections import Counter
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest

from protocol.settlement.daily import DailyFault, compare_daily, decode_daily
from scripts.alliance.brands import AURORA, BLUEBIRD, CEDAR, Brand
from tests.support.linked import Json, Linked, linked

DAY = "2026-03-02"


@pytest.fixture
def brands(tmp_path: Path) -> Iterator[Linked]:
    with linked(tmp_path) as found:
        yield found


def other(brand: Brand) -> Brand:
    return BLUEBIRD if brand is AURORA else AURORA


def begin(found: Linked) -> tuple[str, str]:
    """Convert both ways, and return the two accounts."""
    here, there = found.open(AURORA), found.open(BLUEBIRD)
    found.link(BLUEBIRD, there, AURORA, here)
    found.link(AURORA, here, BLUEBIRD, there)
    found.convert(AURORA, here, BLUEBIRD, 300)
    found.convert(BLUEBIRD, there, AURORA, 100)
    return here, there


def run_off(found: Linked, brand: Brand) -> Json:
    return found.read(brand, f"/v1/partners/run-off?partner={other(brand).ledger}")


def open_matters(found: Linked, brand: Brand) -> list[tuple[object, object, object]]:
    steps = run_off(found, brand)["steps"]
    assert isinstance(steps, list)
    return [(step["step"], step["who"], step["act"]) for step in steps if not step["done"]]


def end(found: Linked, brand: Brand) -> str:
    body = {"partner": other(brand).ledger, "reason": "contract_over"}
    response = found.call(brand, "POST", "/v1/partners/endings", body)
    return "" if response.is_success else str(response.json()["code"])


def suspend(found: Linked, brand: Brand) -> None:
    body = {"id": found.fresh(), "partner": other(brand).ledger, "reason": "contract_over"}
    found.done(brand, "/v1/partners/suspensions", body)


def statement(found: Linked) -> tuple[str, Brand]:
    """Return the digest of the agreed statement, and who pays it."""
    rows = found.read(AURORA, f"/v1/statements?partner={BLUEBIRD.ledger}")["statements"]
    assert isinstance(rows, list)
    return str(rows[0]["digest"]), AURORA if rows[0]["payer"] == AURORA.ledger else BLUEBIRD


def settle(found: Linked) -> None:
    """Close the window early, let both sign, and pay."""
    found.done(AURORA, "/v1/windows/close", {"partner": BLUEBIRD.ledger, "window": 1})
    found.street.work(3)
    digest, payer = statement(found)
    found.done(payer, f"/v1/statements/{digest}/payment", {"id": found.fresh(), "reference": "RF 1"})
    found.street.talk()
    found.done(other(payer), f"/v1/statements/{digest}/confirmation", {"id": found.fresh()})
    found.street.talk()


def test_a_partnership_is_wound_down_on_both_sides(brands: Linked) -> None:
    here, _ = begin(brands)
    day_files_show_what_is_not_the_same(brands, here)
    assert run_off(brands, AURORA)["state"] == "active"
    assert open_matters(brands, AURORA)[0] == ("agreement", "us", "give_notice")
    assert end(brands, AURORA) == "partner_busy"
    for brand in (AURORA, BLUEBIRD):
        suspend(brands, brand)
        assert run_off(brands, brand)["state"] == "winding_down"
        assert open_matters(brands, brand) == [("window", "us", "close_window")]
        assert end(brands, brand) == "partner_busy"
    brands.done(AURORA, "/v1/windows/close", {"partner": BLUEBIRD.ledger, "window": 1})
    brands.street.work(3)
    digest, payer = statement(brands)
    assert open_matters(brands, payer) == [("payment", "us", "pay")]
    assert open_matters(brands, other(payer)) == [("payment", "partner", "pay")]
    brands.done(payer, f"/v1/statements/{digest}/payment", {"id": brands.fresh(), "reference": "RF 1"})
    brands.street.talk()
    assert open_matters(brands, payer) == [("payment", "partner", "confirm")]
    assert open_matters(brands, other(payer)) == [("payment", "us", "confirm")]
    brands.done(other(payer), f"/v1/statements/{digest}/confirmation", {"id": brands.fresh()})
    brands.street.talk()
    for brand in (AURORA, BLUEBIRD):
        assert run_off(brands, brand)["state"] == "ready"
        assert end(brands, brand) == ""
        assert end(brands, brand) == ""
        assert run_off(brands, brand)["state"] == "ended"
        assert open_matters(brands, brand) == []
    for per in ("entry", "day"):
        the_journal_sums_to_the_balances_of_the_ledger(brands, per)
    nothing_begins(brands, here)


def nothing_begins(found: Linked, account: str) -> None:
    order = {"account": account, "partner": BLUEBIRD.ledger, "amount": 100}
    assert found.refused(AURORA, "/v1/quotes", order) == "partner_ended"
    assert found.refused(AURORA, "/v1/conversions", {**order, "id": found.fresh()}) == "partner_ended"
    again = {"id": found.fresh(), "partner": BLUEBIRD.ledger, "reason": "second_thoughts"}
    assert found.refused(AURORA, "/v1/partners/resumptions", again) == "partner_ended"
    window = {"partner": BLUEBIRD.ledger, "window": 2}
    assert found.refused(AURORA, "/v1/windows/close", window) == "partner_ended"
    found.street.clock.advance(40 * 86_400)
    found.street.work(2)
    rows = found.read(AURORA, "/v1/partners")["partners"]
    assert isinstance(rows, list)
    assert {row["ledger"]: row["ended"] for row in rows}[BLUEBIRD.ledger] is True
    listed = found.read(AURORA, "/v1/exceptions")["exceptions"]
    assert isinstance(listed, list)
    assert not [row for row in listed if row["partner"] == BLUEBIRD.ledger]
    node = found.node(AURORA).node
    node.exchange.ask()
    assert node.gate.waiting == {CEDAR.ledger}, "a start waits for nobody who is a partner no more"


def test_an_order_of_one_that_does_not_know_yet_comes_back(brands: Linked) -> None:
    here, _ = begin(brands)
    strangers_have_no_run_off(brands)
    suspend(brands, BLUEBIRD)
    a_refused_conversion_stands_in_both_day_files(brands, here)
    settle(brands)
    assert end(brands, BLUEBIRD) == ""
    concluded = brands.convert(AURORA, here, BLUEBIRD, 100)
    assert (concluded["state"], concluded["reason"]) == ("returned", "partner_ended")
    suspend(brands, AURORA)
    assert end(brands, AURORA) == ""


def strangers_have_no_run_off(brands: Linked) -> None:
    stranger = "dahlia.example/main.1"
    response = brands.call(AURORA, "GET", f"/v1/partners/run-off?partner={stranger}")
    assert response.json()["code"] == "partner_unknown"
    body = {"partner": stranger, "reason": "contract_over"}
    assert brands.refused(AURORA, "/v1/partners/endings", body) == "partner_unknown"


def day_file(found: Linked, brand: Brand) -> bytes:
    path = f"/v1/reconciliation.csv?partner={other(brand).ledger}&date={DAY}"
    return found.call(brand, "GET", path).content


def day_files_show_what_is_not_the_same(brands: Linked, here: str) -> None:
    ours, theirs = (decode_daily(day_file(brands, brand)) for brand in (AURORA, BLUEBIRD))
    assert len(ours.lines) == 2
    assert compare_daily(ours, theirs) == []
    body = {"id": brands.fresh(), "account": here, "partner": BLUEBIRD.ledger, "amount": 100}
    brands.done(AURORA, "/v1/conversions", body)
    waiting = decode_daily(day_file(brands, AURORA))
    assert compare_daily(waiting, theirs) == []
    brands.street.talk()
    decided = decode_daily(day_file(brands, BLUEBIRD))
    (late,) = compare_daily(waiting, decided)
    assert (late.conversion, late.fault) == (body["id"], DailyFault.UNDELIVERED)
    assert compare_daily(decode_daily(day_file(brands, AURORA)), decided) == []


def a_refused_conversion_stands_in_both_day_files(brands: Linked, here: str) -> None:
    assert brands.convert(AURORA, here, BLUEBIRD, 100)["state"] == "returned"
    ours, theirs = (decode_daily(day_file(brands, brand)) for brand in (AURORA, BLUEBIRD))
    assert {line.reason for line in ours.lines} == {"", "partner_suspended"}
    assert compare_daily(ours, theirs) == []


def the_journal_sums_to_the_balances_of_the_ledger(brands: Linked, per: str) -> None:
    path = f"/v1/journal.csv?from=2026-01-01&to=2026-12-31&per={per}"
    rows = list(csv.DictReader(StringIO(brands.call(BLUEBIRD, "GET", path).text)))
    sums: Counter[tuple[str, str]] = Counter()
    for row in rows:
        sums[row["account"], row["asset"]] += int(row["credit"] or 0) - int(row["debit"] or 0)
    kept = {(account, asset): amount for account, asset, amount in brands.node(BLUEBIRD).node.reader.balances()}
    assert {key: amount for key, amount in sums.items() if not key[0].endswith("/*") and amount} == {
        key: amount for key, amount in kept.items() if amount
    }
    assert {row["origin"] for row in rows if row["account"] == "member/*"} == {"own", "aurora.example/main"}
    none = brands.call(BLUEBIRD, "GET", "/v1/journal.csv?from=2026-01-01&to=2026-01-02").text
    assert none.splitlines() == ["day,occurred_on,entry,id,kind,account,origin,asset,debit,credit"]
    assert brands.call(BLUEBIRD, "GET", "/v1/journal.csv?from=yesterday&to=2026-01-02").status_code == 422
    swapped = brands.call(BLUEBIRD, "GET", "/v1/journal.csv?from=2026-01-02&to=2026-01-01")
    assert (swapped.status_code, swapped.json()["code"]) == (422, "date_invalid")
