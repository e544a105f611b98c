import pytest

from protocol.audit.conversions import ConversionBook
from protocol.audit.days import DayBook
from protocol.audit.figures import (
    ConversionFigures,
    MoneyLine,
    ReasonCount,
    RollForward,
    Tally,
    TrialLine,
    check_roll_forward,
    figures_of,
)
from protocol.audit.findings import FindingCode, Findings
from protocol.audit.log import LogAudit, audit_log
from protocol.identifiers import Account, Asset, Partner
from protocol.ledger import commands
from protocol.ledger.state import BALANCES, BalanceRecord, Lot
from tests.support.audits import MemorySource, busy_alliance, files_of
from tests.support.documents import AURORA, BLUEBIRD, USD, uuid
from tests.support.ledger import holder, new_ledger, open_holder

AUR, BLU = AURORA.points, BLUEBIRD.points


def audited_source() -> LogAudit:
    return audit_log(MemorySource(busy_alliance().source.files()))


def test_the_roll_forward_leads_from_nothing_to_what_holders_have() -> None:
    figures = audited_source().figures
    assert figures is not None
    assert figures.roll_forward == RollForward(
        points=AUR,
        opening="0",
        issued="100000",
        converted_in="360",
        redeemed="0",
        converted_out="3200",
        fees="0",
        expired="0",
        adjusted="0",
        closing="97160",
        holders="97160",
    )


def test_every_account_has_its_line_and_holders_have_one_a_kind() -> None:
    figures = audited_source().figures
    assert figures is not None
    partner = "bluebird.example/main"
    assert figures.trial_balance == (
        TrialLine(account=f"conversion_cost/{partner}", asset=USD, amount="-20000000"),
        TrialLine(account=f"conversion_income/{partner}", asset=USD, amount="2400000"),
        TrialLine(account=f"converted_in/{partner}", asset=AUR, amount="-360"),
        TrialLine(account=f"converted_out/{partner}", asset=AUR, amount="3200"),
        TrialLine(account="issuance", asset=AUR, amount="-100000"),
        TrialLine(account="member/*", asset=AUR, amount="97160"),
        TrialLine(account=f"payable/{partner}", asset=USD, amount="20000000"),
        TrialLine(account=f"receivable/{partner}", asset=USD, amount="-2400000"),
    )
    assert [(line.partner, line.account, line.currency, line.amount) for line in figures.money] == [
        (partner, "conversion_cost", USD, "-20000000"),
        (partner, "conversion_income", USD, "2400000"),
        (partner, "payable", USD, "20000000"),
        (partner, "receivable", USD, "-2400000"),
    ]
    assert isinstance(figures.money[0], MoneyLine)
    assert figures.money[0].partner == Partner(partner)


def test_conversions_are_counted_by_where_they_stand() -> None:
    figures = audited_source().figures
    assert figures is not None
    out, back = figures.conversions
    assert out == ConversionFigures(
        partner=BLUEBIRD.ledger,
        direction="out",
        completed=2,
        pending=2,
        returned=(ReasonCount(reason="cancelled", count=1), ReasonCount(reason="expired", count=1)),
        source_points="3200",
        destination_points="2000",
        value="20000000",
    )
    assert back == ConversionFigures(
        partner=BLUEBIRD.ledger,
        direction="in",
        completed=1,
        pending=0,
        returned=(),
        source_points="250",
        destination_points="360",
        value="2400000",
    )


def test_redemptions_and_holds_are_part_of_the_figures() -> None:
    ledger = new_ledger(AURORA)
    ann = open_holder(ledger, "ann", points=1_000)
    ledger.execute(commands.RedeemPoints(id=uuid("redeem"), account=ann, amount=100))
    ledger.execute(commands.PlaceHold(id=uuid("hold"), account=ann, amount=300))
    ledger.execute(commands.CaptureHold(id=uuid("capture"), hold=uuid("hold"), amount=50, final=False))
    audit = audit_log(MemorySource(files_of(AURORA, [sealed.data for sealed in ledger.sealed])))
    assert audit.findings.listed == ()
    assert audit.figures is not None
    rolled = audit.figures.roll_forward
    assert (rolled.issued, rolled.redeemed, rolled.closing, rolled.holders) == ("1000", "150", "850", "850")
    assert audit.figures.conversions == ()


@pytest.mark.parametrize("unit", [1, 2**60])
def test_sums_that_differ_are_found(unit: int) -> None:
    ledger = new_ledger(AURORA)
    ann = open_holder(ledger, "ann", points=1_000)
    days, findings = DayBook(), Findings()
    days.passed([sealed.entry for sealed in ledger.sealed], points=AUR)
    tally = days.until(None)
    tally.check(ledger.state, findings)
    assert findings.count == 0
    tally.totals["issuance", AUR] -= unit
    tally.check(ledger.state, findings)
    assert [(one.place, one.code) for one in findings.listed] == [
        ("figures", FindingCode.FIGURES_DIFFER),
        ("account issuance", FindingCode.FIGURES_DIFFER),
    ]
    tally.totals["issuance", AUR] += unit
    ledger.state.put(BALANCES, (Account("fees"), AUR), BalanceRecord(amount=7))
    lot = Lot(seq=1, part=0, origin="own", earned_on="2026-03-01", expires_on=None, remaining=1)
    ledger.state.put_lot(ann, lot)
    findings = Findings()
    tally.check(ledger.state, findings)
    assert [one.place for one in findings.listed] == ["account fees", "figures"]
    assert "in lots 1001" in findings.listed[1].detail


def test_a_roll_forward_that_does_not_close_is_found() -> None:
    tally = Tally()
    tally.totals["issuance", BLU] = -10
    tally.totals["adjustment", BLU] = -3
    tally.totals["breakage", BLU] = 2
    tally.totals["fees", BLU] = 1
    tally.totals["member/*", BLU] = 10
    tally.totals["employee/*", Asset("BLU")] = 1
    rolled = figures_of(tally, ConversionBook(), points=BLU).roll_forward
    assert (rolled.adjusted, rolled.expired, rolled.fees, rolled.closing, rolled.holders) == ("3", "2", "1", "10", "11")
    findings = Findings()
    check_roll_forward(rolled, findings)
    assert [one.code for one in findings.listed] == [FindingCode.FIGURES_DIFFER]


def test_the_names_of_holders_are_in_no_figure() -> None:
    audit = audited_source()
    assert str(holder("ann")) not in str(audit.figures)
