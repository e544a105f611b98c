"""Audit reports as tests of what reads them need: one log with its figures, one pair with its conversions."""

from collections.abc import Iterable

from protocol.audit.figures import Figures, RollForward
from protocol.audit.findings import Finding, Verdict
from protocol.audit.matching import DirectionReport, MoneyMatch, PairReport
from protocol.audit.report import LogReport
from protocol.identifiers import Asset, Ledger


def log_report(ledger: str, rolled: RollForward, *, verdict: Verdict = Verdict.HELD) -> LogReport:
    """Return the report of one log."""
    return LogReport(
        source="http://x",
        ledger=Ledger(ledger),
        log=Ledger(ledger),
        verdict=verdict,
        size=12,
        root="ab" * 32,
        last_time=None,
        key_given=False,
        witnesses=(),
        messages=3,
        figures=Figures(roll_forward=rolled, trial_balance=(), money=(), conversions=()),
        successions=(),
        partner_logs=(),
        overrides=(),
        findings=(),
        finding_count=0,
        accusations=(),
    )


def direction_report(source: str, destination: str, *, completed: int, returned: int, value: int) -> DirectionReport:
    """Return the report of the conversions from one ledger to another, which made both sides book `value`."""
    return DirectionReport(
        source=Ledger(source),
        destination=Ledger(destination),
        completed=completed,
        returned=returned,
        pending=0,
        money=(MoneyMatch(currency=Asset("USD"), payable=str(value), receivable=str(value)),),
    )


def pair_report(
    first: str,
    second: str,
    directions: Iterable[DirectionReport],
    *,
    verdict: Verdict = Verdict.HELD,
    findings: tuple[Finding, ...] = (),
) -> PairReport:
    """Return the report of two ledgers."""
    return PairReport(
        first=first,
        second=second,
        verdict=verdict,
        agreements=1,
        directions=tuple(directions),
        findings=findings,
        finding_count=len(findings),
    )
