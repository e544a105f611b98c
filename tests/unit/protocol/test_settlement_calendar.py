import pytest

from protocol.agreement import WindowCalendar
from protocol.fields import TIME_MAX
from protocol.settlement.calendar import TIME_MIN, Slot, closes_at, due_at, slot, slot_at

CALENDAR = WindowCalendar(starts_at="2026-01-01T06:00:00.000000Z", hours=24, due_days=5, minor_unit=10_000)
WEEKLY = WindowCalendar(starts_at="2026-01-05T00:00:00.000000Z", hours=168, due_days=0, minor_unit=1)


@pytest.mark.parametrize(
    ("time", "index", "starts_at", "ends_at"),
    [
        ("0001-01-01T00:00:00.000000Z", 0, TIME_MIN, "2026-01-01T06:00:00.000000Z"),
        ("2026-01-01T05:59:59.999999Z", 0, TIME_MIN, "2026-01-01T06:00:00.000000Z"),
        ("2026-01-01T06:00:00.000000Z", 1, "2026-01-01T06:00:00.000000Z", "2026-01-02T06:00:00.000000Z"),
        ("2026-01-02T05:59:59.999999Z", 1, "2026-01-01T06:00:00.000000Z", "2026-01-02T06:00:00.000000Z"),
        ("2026-01-02T06:00:00.000000Z", 2, "2026-01-02T06:00:00.000000Z", "2026-01-03T06:00:00.000000Z"),
        ("2028-02-29T12:00:00.000000Z", 790, "2028-02-29T06:00:00.000000Z", "2028-03-01T06:00:00.000000Z"),
    ],
)
def test_every_time_lies_in_one_slot(time: str, index: int, starts_at: str, ends_at: str) -> None:
    expected = Slot(index=index, starts_at=starts_at, ends_at=ends_at)
    assert slot_at(CALENDAR, time) == expected == slot(CALENDAR, index)


def test_slots_follow_each_other_without_a_gap() -> None:
    for calendar in (CALENDAR, WEEKLY):
        for index in range(400):
            assert slot(calendar, index).ends_at == slot(calendar, index + 1).starts_at


def test_the_calendar_ends_with_time() -> None:
    last = slot_at(CALENDAR, TIME_MAX)
    assert last.starts_at == "9999-12-31T06:00:00.000000Z"
    assert last.ends_at == TIME_MAX
    assert slot(CALENDAR, 2**53).ends_at == TIME_MAX


def test_a_window_closes_with_its_slot_and_one_closed_early_leaves_the_rest_to_the_next() -> None:
    assert closes_at(WEEKLY, opened_at="2026-01-05T00:00:00.000000Z") == "2026-01-12T00:00:00.000000Z"
    assert closes_at(WEEKLY, opened_at="2026-01-08T13:30:00.000000Z") == "2026-01-12T00:00:00.000000Z"


def test_a_payment_is_due_days_after_the_close() -> None:
    assert due_at(CALENDAR, closed_at="2026-02-26T06:00:00.000000Z") == "2026-03-03T06:00:00.000000Z"
    assert due_at(WEEKLY, closed_at="2026-02-26T06:00:00.000000Z") == "2026-02-26T06:00:00.000000Z"
    assert due_at(CALENDAR, closed_at=TIME_MAX) == TIME_MAX
