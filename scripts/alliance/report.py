"""The report of a day: what the audit of all three ledgers found, and how each conversion ended."""

from collections.abc import Iterator
from typing import Final

import msgspec

from protocol.audit.figures import RollForward
from protocol.audit.findings import Verdict
from protocol.audit.report import LogReport, Report
from scripts.alliance.brands import BRANDS
from scripts.alliance.day import Outcome

_TITLES: Final = {brand.ledger: brand.title for brand in BRANDS}
_FLOWS: Final = (
    ("opening", "opening"),
    ("+ issued", "issued"),
    ("+ converted in", "converted_in"),
    ("− redeemed", "redeemed"),
    ("− converted out", "converted_out"),
    ("− fees", "fees"),
    ("= closing", "closing"),
)


class ProgramSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One brand: how many entries its ledger has, and how its points outstanding came about."""

    name: str
    ledger: str
    points: str
    entries: int
    opening: int
    issued: int
    converted_in: int
    redeemed: int
    converted_out: int
    fees: int
    closing: int


class AuditSummary(msgspec.Struct, frozen=True, kw_only=True):
    """The ledgers by what their audit came to; a pair whose halves do not match makes both its ledgers broken."""

    verdict: Verdict
    held: tuple[str, ...]
    broken: tuple[str, ...]
    incomplete: tuple[str, ...]


class DaySummary(msgspec.Struct, frozen=True, kw_only=True):
    """The day in one object: `rejected` conversions were returned, `refused` requests never became conversions."""

    programs: tuple[ProgramSummary, ...]
    conversions: int
    completed: int
    rejected: int
    matched: int
    returned: dict[str, int]
    refused: dict[str, int]
    audit: AuditSummary
    surprises: tuple[str, ...]
    seconds: float

    @property
    def is_good(self) -> bool:
        """Return whether everything held and ended as it had to."""
        return self.audit.verdict is Verdict.HELD and not self.surprises


def summarise(report: Report, outcome: Outcome, *, refused: dict[str, int], seconds: float) -> DaySummary:
    """Return the summary of an audited day."""
    matched = sum(each.completed + each.returned for pair in report.pairs for each in pair.directions)
    return DaySummary(
        programs=tuple(_program(log, log.figures.roll_forward) for log in report.logs if log.figures is not None),
        conversions=outcome.ordered,
        completed=outcome.completed,
        rejected=sum(outcome.returned.values()),
        matched=matched,
        returned=dict(sorted(outcome.returned.items())),
        refused=dict(sorted(refused.items())),
        audit=audit_summary(report),
        surprises=outcome.surprises,
        seconds=round(seconds, 1),
    )


def audit_summary(report: Report) -> AuditSummary:
    """Return the ledgers of `report` by their verdicts, its pairs' included."""
    by_verdict: dict[Verdict, list[str]] = {verdict: [] for verdict in Verdict}
    for log in report.logs:
        name = log.ledger or log.source
        verdicts = {log.verdict, *(pair.verdict for pair in report.pairs if name in (pair.first, pair.second))}
        worst = next(each for each in (Verdict.BROKEN, Verdict.INCOMPLETE, Verdict.HELD) if each in verdicts)
        by_verdict[worst].append(name)
    return AuditSummary(
        verdict=report.verdict,
        held=tuple(by_verdict[Verdict.HELD]),
        broken=tuple(by_verdict[Verdict.BROKEN]),
        incomplete=tuple(by_verdict[Verdict.INCOMPLETE]),
    )


def _program(log: LogReport, rolled: RollForward) -> ProgramSummary:
    ledger = log.ledger or log.source
    flows = {name: int(getattr(rolled, name)) for _, name in _FLOWS}
    return ProgramSummary(
        name=_TITLES.get(ledger, ledger), ledger=ledger, points=rolled.points, entries=log.size or 0, **flows
    )


def report_lines(summary: DaySummary, report: Report) -> Iterator[str]:
    """Yield the report as a person reads it."""
    yield ""
    yield from _roll_forward_lines(summary)
    yield ""
    yield f"{summary.conversions} conversions: {summary.completed} completed, {summary.rejected} returned"
    yield from _count_lines("returned by the partner", summary.returned)
    yield from _count_lines("refused at once", summary.refused)
    yield ""
    yield f"{summary.matched} conversions of the ledgers' whole lives match pair by pair"
    for pair in report.pairs:
        for each in pair.directions:
            money = ", ".join(f"{int(one.payable) / 1e6:,.2f} {one.currency} owed" for one in each.money)
            names = f"{_TITLES.get(each.source, each.source)} to {_TITLES.get(each.destination, each.destination)}"
            yield f"  {names:<34}{each.completed:>5} completed {each.returned:>3} returned   {money}"
    yield ""
    audit = summary.audit
    yield f"audit: {len(audit.held)} held, {len(audit.broken)} broken, {len(audit.incomplete)} incomplete"
    findings = [each for log in report.logs for each in log.findings]
    findings += [each for log in report.logs for each in log.accusations]
    findings += [each for pair in report.pairs for each in pair.findings]
    for finding in findings:
        yield f"  {finding.verdict}: {finding.line}"
    yield from (f"  surprise: {surprise}" for surprise in summary.surprises)


def _roll_forward_lines(summary: DaySummary) -> Iterator[str]:
    yield "".join(f"{text:>26}" for text in ("", *(f"{one.name} ({one.points})" for one in summary.programs)))
    for label, name in _FLOWS:
        yield f"{label:>26}" + "".join(f"{getattr(one, name):>26,}" for one in summary.programs)


def _count_lines(what: str, counts: dict[str, int]) -> Iterator[str]:
    for code, count in counts.items():
        yield f"  {count:>4} {what}: {code}"
