"""Rates side by side: what the agreements that a node knows, and a proposal, would do together (specs/rates.md)."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from protocol.agreement import Agreement, agreement_digest
from protocol.errors import Code, Refusal
from protocol.fields import later
from protocol.identifiers import Digest, Ledger
from protocol.ledger.promotions import named_promotion
from protocol.ledger.state import AgreementRecord
from protocol.rates import FindingKind, Rate, RateFinding, check_rates, product_of, rates_of


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
    return tuple(
        record.signed.agreement
        for record in records
        if (record.end is None or record.end > now)
        and (proposal is None or not _same_parties(record.signed.agreement, proposal))
    )


def loops_in_grace(records: Iterable[AgreementRecord], proposal: Agreement, *, now: str) -> tuple[RateFinding, ...]:
    """Return the best round trip that multiplies by a rate of `proposal` and one of each agreement that it replaces.

    What it replaces is honoured for `quote_life_seconds` after it begins: for so long both have rates.
    """
    begins = max(now, proposal.valid_from)
    return tuple(
        finding
        for record in records
        if _same_parties(record.signed.agreement, proposal) and record.signed.agreement.number < proposal.number
        for finding in _loop_with(record, proposal, begins=begins)
    )


def _same_parties(one: Agreement, other: Agreement) -> bool:
    return {party.ledger for party in one.parties} == {party.ledger for party in other.parties}


def _loop_with(record: AgreementRecord, proposal: Agreement, *, begins: str) -> Iterator[RateFinding]:
    replaced = record.signed.agreement
    ends = later(min(record.end or begins, begins), seconds=replaced.quote_life_seconds)
    ways: list[tuple[Rate, ...]] = [
        (there, back) if there.source < back.source else (back, there)
        for there in _rates_between(replaced, begins, ends)
        for back in _rates_between(proposal, begins, ends)
        if there.source == back.destination
    ]
    best = max(ways, key=product_of, default=())
    if product_of(best) > 1:
        yield RateFinding(kind=FindingKind.LOOP, rates=best, direct=None)


def _rates_between(agreement: Agreement, begins: str, ends: str) -> list[Rate]:
    """Return the rates of `agreement` at which something can be ordered from `begins` on, before `ends`."""
    return [
        rate
        for rate in rates_of([agreement], at=None)
        if max(begins, agreement.valid_from) < ends and _runs(agreement, rate, begins, ends)
    ]


def _runs(agreement: Agreement, rate: Rate, begins: str, ends: str) -> bool:
    if rate.promotion is None:
        return True
    promotion = named_promotion(agreement.direction(rate.source), rate.promotion)
    return promotion.starts_at < ends and begins < later(promotion.ends_at, seconds=agreement.quote_life_seconds)


def report_of(
    known: Sequence[Agreement], proposal: Agreement | None, *, at: str | None, grace: Sequence[RateFinding] = ()
) -> RateReport:
    """Return what `known` agreements and a proposal do together, at a time or over all that they ever promise.

    It begins with the loops that were found in the `grace` of those that the proposal replaces.
    """
    agreements = [*known, *([proposal] if proposal else [])]
    digest = agreement_digest(proposal) if proposal else None
    findings = (*grace, *check_rates(agreements, at=at))
    return RateReport(
        agreements=len(agreements),
        multiplies=any(finding.kind is FindingKind.LOOP for finding in findings),
        findings=tuple(_view(finding, digest) for finding in findings),
    )


def refuse_loops(known: Sequence[Agreement], proposal: Agreement, *, grace: Sequence[RateFinding]) -> None:
    """Refuse `agreement_loop` where a proposal, with what is agreed or in `grace`, would multiply points."""
    if grace:
        text = f"{_multiplying(grace[0])}, while orders may still name the agreement that this one replaces"
        raise Refusal(Code.AGREEMENT_LOOP, text)
    for finding in report_of(known, proposal, at=None).findings:
        if finding.kind == "loop" and finding.by_proposal:
            raise Refusal(Code.AGREEMENT_LOOP, _multiplying(finding))


def _multiplying(loop: RateFinding | FindingView) -> str:
    return f"converting {' to '.join(loop.path)} would multiply points by {loop.ratio}"


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
