from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone

import msgspec
import pytest

from protocol import fields
from protocol.fields import DATE_MAX, TIME_MAX, days_later, format_time, later, parse_date, parse_time
from protocol.limits import NAME_CHARACTERS_MAX, TEXT_CHARACTERS_MAX
from tests.support.documents import NOW

TIMES = ["0001-01-01T00:00:00.000000Z", NOW, "2024-02-29T23:59:59.999999Z", TIME_MAX]
NOT_TIMES = [
    "",
    "2026-03-01",
    "2026-03-01T12:00:00Z",
    "2026-03-01T12:00:00.000Z",
    "2026-03-01T12:00:00.0000000Z",
    "2026-03-01T12:00:00,000000Z",
    "2026-03-01T12:00:00.000000",
    "2026-03-01T12:00:00.000000z",
    "2026-03-01t12:00:00.000000Z",
    "2026-03-01 12:00:00.000000Z",
    "2026-03-01T12:00:00.000000+00:00",
    "2026-03-01T12:00:00.000000Z\n",
    " 2026-03-01T12:00:00.000000Z",
    "20260301T120000.000000Z",
    "2026-03-01T24:00:00.000000Z",
    "2026-03-01T12:60:00.000000Z",
    "2016-12-31T23:59:60.000000Z",
    "2026-02-29T12:00:00.000000Z",
    "2026-13-01T12:00:00.000000Z",
    "0000-01-01T00:00:00.000000Z",
    "10000-01-01T00:00:00.000000Z",
    "-2026-03-01T12:00:00.000000Z",
    "٢026-03-01T12:00:00.000000Z",
]
NOT_DATES = ["", "2026-3-1", "20260301", "2026-W10-1", "2026-060", "2026-03-01\n", "2026-03-01Z", "2100-02-29", NOW]


@pytest.mark.parametrize("text", TIMES)
def test_a_time_has_one_spelling(text: str) -> None:
    moment = parse_time(text)
    assert moment.utcoffset() == timedelta()
    assert format_time(moment) == text


@pytest.mark.parametrize("text", NOT_TIMES)
def test_another_spelling_of_a_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a time"):
        parse_time(text)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(text, fields.TimeField)


@pytest.mark.parametrize("text", NOT_DATES)
def test_another_spelling_of_a_date_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a date"):
        parse_date(text)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(text, fields.DateField)


def test_times_are_written_in_utc() -> None:
    moment = datetime(2026, 3, 1, 12, 30, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    assert format_time(moment) == "2026-03-01T07:00:00.000000Z"
    assert format_time(datetime(1, 1, 1, tzinfo=UTC)) == TIMES[0]


def test_order_of_texts_is_order_of_times() -> None:
    assert sorted(TIMES) == sorted(TIMES, key=parse_time)


def is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def test_the_grammar_of_dates_is_the_calendar() -> None:
    # The calendar repeats every 400 years; the years around its ends and around whole centuries are added.
    years = ["0000", "0001", "0004", *(str(year) for year in range(1600, 2001)), "2100", "2400", "9999"]
    texts = [f"{year}-{month:02}-{day:02}" for year in years for month in range(14) for day in range(33)]
    matched = [text for text in texts if fields._DATE.fullmatch(text)]
    assert matched == [text for text in texts if is_date(text)]
    assert [parse_date(text).isoformat() for text in matched[:1_000]] == matched[:1_000]


def test_the_grammar_of_hours_is_the_clock() -> None:
    texts = [f"2026-03-01T{a:02}:{b:02}:{c:02}.000000Z" for a in range(26) for b in range(62) for c in (0, 59, 60)]
    matched = [text for text in texts if fields._TIME.fullmatch(text)]
    assert len(matched) == 24 * 60 * 2
    assert [format_time(parse_time(text)) for text in matched] == matched


def test_a_later_time_is_exact_to_the_microsecond() -> None:
    assert later(NOW) == NOW
    assert later(NOW, seconds=86_400) == "2026-03-02T12:00:00.000000Z"
    assert later("2026-12-31T23:59:59.999999Z", microseconds=1) == "2027-01-01T00:00:00.000000Z"


def test_a_later_date_is_exact_to_the_day() -> None:
    assert days_later("2024-02-28", days=1) == "2024-02-29"
    assert days_later("2026-03-01", days=365) == "2027-03-01"


def test_the_calendar_ends() -> None:
    assert later("9999-12-31T23:59:59.999998Z", microseconds=1) == TIME_MAX
    assert later(NOW, seconds=2**53) == TIME_MAX
    assert later(TIME_MAX, seconds=1) == TIME_MAX
    assert days_later("9999-12-30", days=1) == DATE_MAX
    assert days_later("9999-12-30", days=36_525) == DATE_MAX
    assert days_later(DATE_MAX, days=2**53) == DATE_MAX


@pytest.mark.parametrize("move", [lambda: later("soon", seconds=1), lambda: days_later("soon", days=1)])
def test_only_a_time_or_date_is_moved(move: Callable[[], str]) -> None:
    with pytest.raises(ValueError, match="is not a"):
        move()


FIELDS: dict[str, tuple[object, str]] = {
    "ledger": (fields.LedgerField, "aurora.example/main.1"),
    "network": (fields.NetworkField, "0" * 32),
    "alias": (fields.AliasField, "0" * 32),
    "nonce": (fields.NonceField, "0" * 32),
    "asset": (fields.AssetField, "AUR"),
    "holder": (fields.HolderField, "member/0b236a74-6870-46b8-a461-23c53e8ba14c"),
    "uuid": (fields.UuidField, "0b236a74-6870-46b8-a461-23c53e8ba14c"),
    "digest": (fields.DigestField, "0" * 64),
    "time": (fields.TimeField, NOW),
    "date": (fields.DateField, "2026-03-01"),
    "reason": (fields.ReasonField, "account_closed"),
}


@pytest.mark.parametrize("name", FIELDS)
def test_nothing_stands_around_a_field(name: str) -> None:
    grammar, text = FIELDS[name]
    assert msgspec.convert(text, type=grammar) == text
    for around in ("", text + "\n", "\n" + text, text + " ", " " + text, f"x\n{text}", f"{text}\nx", text + "\0"):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(around, type=grammar)


def test_fields_are_bounded_in_length() -> None:
    for grammar, size in ((fields.ReasonField, 64), (fields.TextField, TEXT_CHARACTERS_MAX)):
        assert msgspec.convert("a" * size, type=grammar) == "a" * size
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert("a" * (size + 1), type=grammar)
    longest = f"{'a.' * ((NAME_CHARACTERS_MAX - 14) // 2)}example/main.1"
    assert len(longest) == NAME_CHARACTERS_MAX
    assert msgspec.convert(longest, fields.LedgerField) == longest
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert("a" + longest, fields.LedgerField)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert("", fields.TextField)
