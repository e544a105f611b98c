"""A program's terms: one encoding, parts that make sense together, and a day that needs no time zone database."""

from itertools import pairwise

import msgspec
import pytest

from protocol.errors import ProgramInvalid
from protocol.fields import days_later
from protocol.identifiers import Account, Ledger
from protocol.ledger.expiry import fixed_last_day
from protocol.program import (
    DEFAULT_TERMS,
    TERMS_BYTES_MAX,
    ExpiryRule,
    KindPolicy,
    Limit,
    ProgramTerms,
    TransferTerms,
    ZoneOffset,
    check_terms,
    day_of,
    decode_terms,
    encode_terms,
    offset_at,
    read_terms,
)
from tests.support.documents import uuid

WINTER, SUMMER = 3_600, 7_200
BERLIN = ProgramTerms(
    time_zone="Europe/Berlin",
    offsets=(
        ZoneOffset(starts_at="2026-01-01T00:00:00.000000Z", seconds=WINTER),
        ZoneOffset(starts_at="2026-03-29T01:00:00.000000Z", seconds=SUMMER),
        ZoneOffset(starts_at="2026-10-25T01:00:00.000000Z", seconds=WINTER),
    ),
)
DAILY = Limit(activity="redeem", scope="account", per="day", measure="points", most=100)


def test_terms_have_one_encoding() -> None:
    for terms in (DEFAULT_TERMS, BERLIN, ProgramTerms(limits=(DAILY,), kinds=(KindPolicy(kind="supplier"),))):
        assert decode_terms(encode_terms(terms)) == terms
    with pytest.raises(ProgramInvalid):
        decode_terms(b"{}")
    with pytest.raises(ProgramInvalid):
        decode_terms(b"\xff")


def test_a_person_writes_what_differs() -> None:
    assert read_terms(b'{ "pending_days": 14 }') == ProgramTerms(pending_days=14)
    for wrong in (b'{"pending": 14}', b"[", b'{"pending_days": -1}', b" " * (TERMS_BYTES_MAX + 1)):
        with pytest.raises(ProgramInvalid):
            read_terms(wrong)


@pytest.mark.parametrize(
    "terms",
    [
        ProgramTerms(time_zone="Europe/Berlin"),
        msgspec.structs.replace(BERLIN, time_zone="UTC"),
        msgspec.structs.replace(BERLIN, offsets=BERLIN.offsets[::-1]),
        msgspec.structs.replace(BERLIN, offsets=BERLIN.offsets[:1] * 2),
        ProgramTerms(expiry=ExpiryRule(kind="fixed")),
        ProgramTerms(expiry=ExpiryRule(months=12)),
        ProgramTerms(expiry=ExpiryRule(round_to="year")),
        ProgramTerms(expiry=ExpiryRule(kind="fixed", months=2), pending_days=57),
        ProgramTerms(expiry=ExpiryRule(kind="fixed", months=2, round_to="year"), pending_days=57),
        ProgramTerms(kinds=(KindPolicy(kind="member"), KindPolicy(kind="member"))),
        ProgramTerms(kinds=(KindPolicy(kind="member", limits=(msgspec.structs.replace(DAILY, scope="kind"),)),)),
        ProgramTerms(limits=(DAILY, msgspec.structs.replace(DAILY, most=50))),
        ProgramTerms(limits=(msgspec.structs.replace(DAILY, per="transaction", measure="count"),)),
        ProgramTerms(limits=(msgspec.structs.replace(DAILY, scope="partner"),)),
        ProgramTerms(limits=(msgspec.structs.replace(DAILY, partner=Ledger("bluebird.example/main.1")),)),
    ],
)
def test_parts_that_make_no_sense_together_are_refused(terms: ProgramTerms) -> None:
    with pytest.raises(ProgramInvalid):
        check_terms(terms)
    with pytest.raises(ProgramInvalid):
        decode_terms(encode_terms(terms))


@pytest.mark.parametrize("months", [1, 2, 11, 12, 1_200])
def test_points_of_any_day_can_be_spent_before_they_expire(months: int) -> None:
    terms = ProgramTerms(expiry=ExpiryRule(kind="fixed", months=months), pending_days=min(28 * months, 3_660))
    check_terms(terms)
    for number in range(1_461):
        day = days_later("2024-01-01", days=number)
        last = fixed_last_day(terms.expiry, day)
        assert last is not None
        assert days_later(day, days=terms.pending_days) <= last


def test_parts_that_make_sense_together_are_taken() -> None:
    out = Limit(activity="convert_out", scope="partner", per="year", measure="count", most=0)
    named = msgspec.structs.replace(out, partner=Ledger("bluebird.example/main.1"))
    check_terms(
        ProgramTerms(
            expiry=ExpiryRule(kind="rolling", months=18, round_to="quarter"),
            kinds=(KindPolicy(kind="employee", may_convert=False, limits=(DAILY,)),),
            limits=(DAILY, out, named, msgspec.structs.replace(DAILY, per="transaction")),
        )
    )


@pytest.mark.parametrize(
    ("time", "day"),
    [
        ("2025-12-31T22:59:59.999999Z", "2025-12-31"),
        ("2025-12-31T23:00:00.000000Z", "2026-01-01"),
        ("2026-03-28T22:59:59.999999Z", "2026-03-28"),
        ("2026-03-29T21:59:59.999999Z", "2026-03-29"),
        ("2026-03-29T22:00:00.000000Z", "2026-03-30"),
        ("2026-10-24T22:00:00.000000Z", "2026-10-25"),
        ("2026-10-25T22:59:59.999999Z", "2026-10-25"),
        ("2026-10-25T23:00:00.000000Z", "2026-10-26"),
        ("2090-07-01T23:00:00.000000Z", "2090-07-02"),
        ("9999-12-31T23:30:00.000000Z", "9999-12-31"),
    ],
)
def test_the_day_is_that_of_the_programs_clocks(time: str, day: str) -> None:
    assert day_of(BERLIN, time) == day


def test_the_day_without_a_time_zone_is_that_of_utc() -> None:
    assert day_of(DEFAULT_TERMS, "2026-03-01T23:59:59.999999Z") == "2026-03-01"


def test_days_follow_each_other() -> None:
    times = [
        f"2026-{month:02}-{day:02}T{hour:02}:30:00.000000Z"
        for month in (3, 10)
        for day in (24, 29)
        for hour in range(24)
    ]
    days = [day_of(BERLIN, time) for time in times]
    assert all(before <= after for before, after in pairwise(days))


def test_the_offset_is_that_of_the_moment() -> None:
    assert offset_at(BERLIN, "2026-07-01T12:00:00.000000Z") == SUMMER
    assert offset_at(BERLIN, "2020-07-01T12:00:00.000000Z") == WINTER, "before the first, that one holds"
    assert offset_at(DEFAULT_TERMS, "2026-07-01T12:00:00.000000Z") == 0


def test_a_kind_has_its_policy() -> None:
    terms = ProgramTerms(kinds=(KindPolicy(kind="employee", may_earn=False),))
    assert terms.policy(Account(f"employee/{uuid('ann')}")) == terms.kinds[0]
    assert terms.policy(Account(f"member/{uuid('ann')}")) is None


def test_a_fee_is_rounded_down() -> None:
    assert TransferTerms(fee_per_transfer=5, fee_per_mille=15).fee(999) == 5 + 14
    assert TransferTerms().fee(10**9) == 0
