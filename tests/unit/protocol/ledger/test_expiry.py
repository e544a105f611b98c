"""Last days, against the calendar of the standard library, and at the edges that calendars have."""

from calendar import monthrange
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.ledger.expiry import clock_ends_on, clock_of, end_of, fixed_last_day, idle_since, last_day, months_later
from protocol.program import ExpiryRule

DAYS = st.dates(date(1, 1, 1), date(9_900, 12, 31))


@pytest.mark.parametrize(
    ("day", "months", "later"),
    [
        ("2026-01-31", 1, "2026-02-28"),
        ("2028-01-31", 1, "2028-02-29"),
        ("2024-02-29", 12, "2025-02-28"),
        ("2024-02-29", 48, "2028-02-29"),
        ("2023-02-28", 12, "2024-02-28"),
        ("2096-02-29", 48, "2100-02-28"),
        ("2026-12-31", 2, "2027-02-28"),
        ("2026-11-30", 13, "2027-12-30"),
        ("2026-03-15", 0, "2026-03-15"),
        ("9998-12-31", 12, "9999-12-31"),
        ("9999-01-31", 12, "9999-12-31"),
        ("9999-12-31", 1_200, "9999-12-31"),
    ],
)
def test_a_month_later_is_the_same_day_or_the_end_of_a_shorter_month(day: str, months: int, later: str) -> None:
    assert months_later(day, months=months) == later


@pytest.mark.parametrize(
    ("day", "round_to", "end"),
    [
        ("2026-02-10", "none", "2026-02-10"),
        ("2028-02-10", "month", "2028-02-29"),
        ("2026-02-28", "month", "2026-02-28"),
        ("2026-01-01", "quarter", "2026-03-31"),
        ("2026-04-30", "quarter", "2026-06-30"),
        ("2026-09-30", "quarter", "2026-09-30"),
        ("2026-10-01", "quarter", "2026-12-31"),
        ("2026-01-01", "year", "2026-12-31"),
        ("9999-12-31", "year", "9999-12-31"),
    ],
)
def test_a_last_day_moves_to_the_end_of_what_it_lies_in(day: str, round_to: str, end: str) -> None:
    assert end_of(day, round_to=round_to) == end


@given(DAYS, st.integers(0, 600), st.sampled_from(["none", "month", "quarter", "year"]))
def test_last_days_are_days_of_the_calendar_and_never_run_backwards(since: date, months: int, round_to: str) -> None:
    found = date.fromisoformat(last_day(since.isoformat(), months=months, round_to=round_to))
    year, month = divmod(since.year * 12 + since.month - 1 + months, 12)
    assert found >= date(year, month + 1, min(since.day, monthrange(year, month + 1)[1]))
    if round_to != "none":
        assert found.day == monthrange(found.year, found.month)[1]
    following = date.fromordinal(since.toordinal() + 1)
    assert last_day(following.isoformat(), months=months, round_to=round_to) >= found.isoformat()


def test_a_rule_gives_a_day_or_a_clock_or_nothing() -> None:
    never, fixed = ExpiryRule(), ExpiryRule(kind="fixed", months=24, round_to="year")
    rolling = ExpiryRule(kind="rolling", months=18, round_to="month")
    assert (fixed_last_day(never, "2026-03-01"), clock_of(never)) == (None, None)
    assert (fixed_last_day(fixed, "2026-03-01"), clock_of(fixed)) == ("2028-12-31", None)
    assert (fixed_last_day(rolling, "2026-03-01"), clock_of(rolling)) == (None, "18-month")
    assert clock_ends_on("18-month", "2026-08-31") == "2028-02-29"


@pytest.mark.parametrize("round_to", ["none", "month", "quarter", "year"])
@pytest.mark.parametrize("as_of", ["0001-01-01", "0001-01-02", "2026-03-01", "2024-02-29", "2024-03-01", "9999-12-31"])
def test_idle_since_is_the_latest_day_with_which_a_clock_has_run_out(round_to: str, as_of: str) -> None:
    clock = f"1-{round_to}"
    found = idle_since(clock, as_of)
    if found is None:
        assert clock_ends_on(clock, "0001-01-01") >= as_of
        return
    following = date.fromordinal(date.fromisoformat(found).toordinal() + 1).isoformat()
    assert clock_ends_on(clock, found) < as_of <= clock_ends_on(clock, following)
