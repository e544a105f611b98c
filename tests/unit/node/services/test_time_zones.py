"""The offsets of a time zone are found to the second, and the day made of them is that of the zone itself."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from node.services.program.time_zones import YEARS, offsets_of
from protocol.errors import ProgramInvalid
from protocol.fields import format_time
from protocol.program import ProgramTerms, ZoneOffset, check_terms, day_of

SINCE = datetime(2026, 6, 1, tzinfo=UTC)


def test_utc_has_no_offsets() -> None:
    assert offsets_of("UTC", since=SINCE) == ()


def test_summer_and_winter_begin_when_they_begin() -> None:
    found = offsets_of("Europe/Berlin", since=SINCE)
    assert found[:3] == (
        ZoneOffset(starts_at="2026-01-01T00:00:00.000000Z", seconds=3_600),
        ZoneOffset(starts_at="2026-03-29T01:00:00.000000Z", seconds=7_200),
        ZoneOffset(starts_at="2026-10-25T01:00:00.000000Z", seconds=3_600),
    )
    assert len(found) == 1 + 2 * YEARS


@pytest.mark.parametrize("zone", ["Asia/Shanghai", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca"])
def test_the_day_is_that_of_the_zone(zone: str) -> None:
    terms = ProgramTerms(time_zone=zone, offsets=offsets_of(zone, since=SINCE))
    check_terms(terms)
    clock = ZoneInfo(zone)
    for hours in range(0, 24 * 800, 5):
        at = datetime(2026, 1, 1, 0, 30, tzinfo=UTC) + timedelta(hours=hours)
        assert day_of(terms, format_time(at)) == at.astimezone(clock).date().isoformat(), at


@pytest.mark.parametrize("zone", ["Europe/Atlantis", "europe", "/etc/passwd", "Europe", "localtime", "Factory"])
def test_what_is_no_zone_is_refused(zone: str) -> None:
    with pytest.raises(ProgramInvalid):
        offsets_of(zone, since=SINCE)
