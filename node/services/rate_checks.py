"""Rates side by side: what the agreements that a node knows, and a proposal, would do together (specs/rates.md)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from protocol.agreement import Agreement, agreement_digest
from protocol.errors import Code, Refusal
from protocol.identifiers import Digest, Ledger
from protocol.ledger.state import AgreementRecord
from protocol.rates import FindingKind, Rate, RateFinding, check_rates


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLine:
    """One rate on the way: every `gives` points of `source` become `gets` of `destination`, by which agreement."""

    source: Ledger
    destination: Ledger
    gives: int
    gets: int
    agreement: Digest
    promotion: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingView:
    """A way through the rates, `ratio` as an exact fraction: a loop above 1, or a detour that beats `direct`."""

    kind: Literal["loop", "detour"]
    path: tuple[Ledger, ...]
    ratio: str
    rates: tuple[RateLine, ...]
    direct: RateLine | None
    by_proposal: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RateReport:
    """What was checked: how many agreements, whether points can be multiplied, and what was found."""

    agreements: int
    multiplies: bool
    findings: tuple[FindingView, ...]


def still_counting(
    records: Iterable[AgreementRecord], proposal: Agreement | None, *, now: str
) -> tuple[Agreement, ...]:
    """Return the agreements that count beside `proposal`: not ended by `now`, and not between its own two parties."""
    parties = {party.ledger for party in proposal.parties} if proposal else set()
    return tuple(
        record.signed.agreement
        for record in records
        if (record.end is None or record.end > now)
        and {party.ledger for party in record.signed.agreement.parties} != parties
    )


def report_of(known: Sequence[Agreement], proposal: Agreement | None, *, at: str | None) -> RateReport:
    """Return what `known` agreements and a proposal do together, at a time or over all that they ever promise."""
    agreements = [*known, *([proposal] if proposal else [])]
    digest = agreement_digest(proposal) if proposal else None
    findings = check_rates(agreements, at=at)
    return RateReport(
        agreements=len(agreements),
        multiplies=any(finding.kind is FindingKind.LOOP for finding in findings),
        findings=tuple(_view(finding, digest) for finding in findings),
    )


def refuse_loops(known: Sequence[Agreement], proposal: Agreement) -> None:
    """Refuse `agreement_loop` where a proposal, with what is agreed with others, would multiply points."""
    for finding in report_of(known, proposal, at=None).findings:
        if finding.kind == "loop" and finding.by_proposal:
            way = " to ".join(finding.path)
            raise Refusal(Code.AGREEMENT_LOOP, f"converting {way} would multiply points by {finding.ratio}")


def _view(finding: RateFinding, proposal: Digest | None) -> FindingView:
    return FindingView(
        kind="loop" if finding.kind is FindingKind.LOOP else "detour",
        path=finding.path,
        ratio=str(finding.ratio),
        rates=tuple(map(_line, finding.rates)),
        direct=None if finding.direct is None else _line(finding.direct),
        by_proposal=any(rate.agreement == proposal for rate in (*finding.rates, finding.direct) if rate is not None),
    )


def _line(rate: Rate) -> RateLine:
    return RateLine(
        source=rate.source,
        destination=rate.destination,
        gives=rate.step.source,
        gets=rate.step.destination,
        agreement=rate.agreement,
        promotion=rate.promotion,
    )
