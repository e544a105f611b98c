"""The points of all holders by the month in which they are lost, and how a report tells it."""

from protocol.audit.liability import LiabilityLine, liability_of, liability_text
from protocol.ledger import commands
from protocol.ledger.program_commands import SetProgram
from protocol.program import ExpiryRule, ProgramTerms
from tests.support.documents import uuid
from tests.support.ledger import issue, new_ledger, open_holder, replay


def line(when: str, points: int) -> LiabilityLine:
    return LiabilityLine(when=when, points=str(points))


def test_points_stand_in_the_month_of_their_last_day() -> None:
    ledger = new_ledger()
    ann, bob = open_holder(ledger, "ann", points=7), open_holder(ledger, "bob")
    issue(ledger, ann, 5, expires_on="2026-05-31")
    issue(ledger, bob, 6, expires_on="2026-05-01")
    terms = ProgramTerms(expiry=ExpiryRule(kind="rolling", months=2, round_to="quarter"))
    ledger.execute(SetProgram(id=uuid("program"), terms=terms, reason="rolling"))
    issue(ledger, ann, 8)
    ledger.execute(commands.PlaceHold(id=uuid("hold"), account=ann, amount=3))
    found = liability_of(replay(ledger))
    assert found == (line("2026-05", 8), line("2026-06", 8), line("held", 3), line("never", 7))
    assert list(liability_text(found)) == ["last days: 2026-05 8, 2026-06 8, held 3, never 7"]


def test_nothing_is_told_where_no_points_ever_expire() -> None:
    assert list(liability_text((line("held", 3), line("never", 7)))) == []


def test_what_is_far_away_is_one_figure() -> None:
    lines = tuple(line(f"2026-0{month}", 1_000) for month in range(1, 10))
    (text,) = liability_text(lines)
    assert text.startswith("last days: 2026-01 1,000, ")
    assert text.endswith("2026-06 1,000, later 3,000")
