import msgspec
import pytest

from protocol.errors import Code, Refusal
from protocol.ledger.commands import AnyCommand, IssuePoints, OpenAccount, OrderConversion, PlaceHold
from protocol.ledger.moment import Moment, check_day, check_recent, check_time, occurred
from tests.support.documents import BLUEBIRD, NOW, TODAY, uuid
from tests.support.history import examples
from tests.support.ledger import holder, issue, new_ledger, open_holder, refused

MOMENT = Moment(time=NOW, today=TODAY)


def opening(occurred_on: str | None) -> OpenAccount:
    return OpenAccount(id=uuid("open"), account=holder("ann"), occurred_on=occurred_on)


def test_a_command_happens_today_or_on_its_own_day() -> None:
    assert occurred(opening(None), MOMENT) == TODAY
    assert occurred(opening("2025-12-31"), MOMENT) == "2025-12-31"
    assert occurred(opening("2026-03-02"), MOMENT) == "2026-03-02"


@pytest.mark.parametrize(
    "day", ["2026-02-29", "2026-13-01", "2026-00-01", "0000-01-01", "2026-W01-1", "20260301", "", "x" * 50]
)
def test_date_invalid_for_what_is_no_day(day: str) -> None:
    with pytest.raises(Refusal) as caught:
        check_day(day)
    assert caught.value.code == Code.DATE_INVALID


@pytest.mark.parametrize("day", ["0001-01-01", "2024-02-29", "9999-12-31"])
def test_every_day_of_the_calendar_is_a_day(day: str) -> None:
    check_day(day)


@pytest.mark.parametrize(
    "time",
    [
        "2026-99-99T12:00:00.000000Z",
        "2026-02-29T12:00:00.000000Z",
        "2026-03-01T24:00:00.000000Z",
        "2026-03-01T23:60:00.000000Z",
        "2026-03-01T23:59:60.000000Z",
        "0000-01-01T00:00:00.000000Z",
        "now",
    ],
)
def test_date_invalid_for_what_is_no_time(time: str) -> None:
    with pytest.raises(Refusal) as caught:
        check_time(time)
    assert caught.value.code == Code.DATE_INVALID


def test_the_first_and_last_moments_are_times() -> None:
    check_time("0001-01-01T00:00:00.000000Z")
    check_time("9999-12-31T23:59:59.999999Z")


def test_date_invalid_wherever_a_command_brings_text_for_a_day_or_a_time() -> None:
    ledger = new_ledger()
    ann = open_holder(ledger, "ann", points=5)
    wrong: list[AnyCommand] = [
        OpenAccount(id=uuid("1"), account=holder("bob"), occurred_on="2026-02-30"),
        IssuePoints(id=uuid("1"), account=ann, amount=1, expires_on="9999-99-99"),
        PlaceHold(id=uuid("1"), account=ann, amount=1, expires_at="2027-01-01"),
        OrderConversion(id=uuid("1"), account=ann, destination=BLUEBIRD.ledger, amount=400, accept_by="soon"),
    ]
    for command in wrong:
        with refused(Code.DATE_INVALID, ledger):
            ledger.execute(command)


def test_a_ledger_goes_on_until_the_calendar_ends() -> None:
    ledger = new_ledger()
    ledger.wall = "9999-12-31T23:59:59.999999Z"
    ann = open_holder(ledger, "ann")
    with refused(Code.CHAIN_BROKEN, ledger):
        issue(ledger, ann, 1)


@pytest.mark.parametrize("day", ["2026-03-03", "9999-12-31"])
def test_date_invalid_for_a_day_that_no_time_zone_has_reached(day: str) -> None:
    ledger = new_ledger()
    with refused(Code.DATE_INVALID, ledger):
        ledger.execute(opening(day))
    with refused(Code.DATE_INVALID, ledger):
        ledger.judge(msgspec.structs.replace(examples()["account_opened"].entry, occurred_on=day))


def test_an_entry_is_recent_until_its_day_has_passed_everywhere() -> None:
    entry = msgspec.structs.replace(examples()["account_opened"].entry, time=NOW)
    check_recent(msgspec.structs.replace(entry, occurred_on="2026-02-28"))
    with pytest.raises(Refusal) as caught:
        check_recent(msgspec.structs.replace(entry, occurred_on="2026-02-27"))
    assert caught.value.code == Code.DATE_INVALID
