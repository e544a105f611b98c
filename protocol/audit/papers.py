"""The working papers of an audit: the figures and registers that finance and auditors ask for, as of the end of a day.

Everything is summed from the entries that this audit, or one before it, has replayed; the day's entries are a prefix of
the log, so every figure is tied to a size and a root that the signed checkpoint follows from.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from protocol.audit.appeals import AppealLine, appeal_lines
from protocol.audit.days import LateGroup, day_of
from protocol.audit.figures import RollForward, TrialLine, roll_forward, trial_balance
from protocol.audit.findings import Verdict
from protocol.audit.links import LinkLine, link_lines
from protocol.audit.open_items import OpenItem, Position, open_items, positions
from protocol.audit.outcome import LogAudit
from protocol.audit.registers import Register, RegisterRow
from protocol.audit.report import Report
from protocol.audit.sample import SampleRow
from protocol.audit.waiting import WaitingLine, waiting_lines
from protocol.identifiers import Asset, Ledger, partner_of

_ENCODER: Final = msgspec.json.Encoder(order="sorted")


class DayTotal(msgspec.Struct, frozen=True, kw_only=True):
    """The points in the hands of holders at the end of a day."""

    day: str
    points: str


class ProgrammePapers(msgspec.Struct, frozen=True, kw_only=True):
    """One ledger's papers: `log` had `size` entries under `root` at the end of the day.

    `misdated` is what happened on one side of that moment and was recorded on the other.
    """

    ledger: Ledger
    points: Asset
    log: Ledger
    size: int
    root: str
    roll_forward: RollForward
    trial_balance: tuple[TrialLine, ...]
    outstanding: tuple[DayTotal, ...]
    positions: tuple[Position, ...]
    open_items: tuple[OpenItem, ...]
    waiting: tuple[WaitingLine, ...]
    links: tuple[LinkLine, ...]
    registers: Mapping[Register, tuple[RegisterRow, ...]]
    appeals: tuple[AppealLine, ...]
    misdated: tuple[LateGroup, ...]
    sample: tuple[SampleRow, ...]


class ConversionLine(msgspec.Struct, frozen=True, kw_only=True):
    """The conversions from one ledger to another until the end of the day, as the source has them."""

    source: Ledger
    destination: Ledger
    completed: int
    returned: int
    pending: int
    source_points: str
    destination_points: str
    fee_points: str
    value: str
    currency: Asset


class PairPosition(msgspec.Struct, frozen=True, kw_only=True):
    """What one ledger says that the other owes it, beside what the other says that it owes."""

    first: Ledger
    second: Ledger
    currency: Asset
    first_net: str
    second_net: str


class Papers(msgspec.Struct, frozen=True, kw_only=True):
    """The papers of all ledgers that could be replayed; `since` is the first day of the roll-forward, if not all.

    `seed` is what the samples were drawn with.
    """

    v: Annotated[int, Meta(ge=1, le=1)] = 1
    verdict: Verdict
    since: str | None
    as_of: str
    seed: str
    programmes: tuple[ProgrammePapers, ...]
    conversions: tuple[ConversionLine, ...]
    pairs: tuple[PairPosition, ...]
    report: Report

    def json(self) -> bytes:
        """Return the papers as one JSON object."""
        return _ENCODER.encode(self)


def last_day(audits: Sequence[LogAudit]) -> str:
    """Return the day of the last entry in any of the logs."""
    return max((day_of(audit.replay.head.time) for audit in audits if audit.is_whole), default="")


def make_papers(
    report: Report,
    audits: Sequence[LogAudit],
    *,
    as_of: str,
    since: str | None = None,
    seed: str = "",
    samples: Mapping[Ledger, tuple[SampleRow, ...]],
) -> Papers:
    """Return the papers of the `audits` that `report` is about, as of the end of the day `as_of`."""
    whole = [audit for audit in audits if audit.is_whole and audit.books.days.end_seq(as_of)]
    programmes = tuple(
        _programme(audit, as_of=as_of, since=since, sample=samples.get(_ledger(audit), ())) for audit in whole
    )
    return Papers(
        verdict=report.verdict,
        since=since,
        as_of=as_of,
        seed=seed,
        programmes=programmes,
        conversions=tuple(line for audit in whole for line in _conversions(audit, as_of)),
        pairs=tuple(_pairs(programmes)),
        report=report,
    )


def _ledger(audit: LogAudit) -> Ledger:
    assert audit.ledger is not None, "a whole log has its genesis"
    return audit.ledger


def _programme(audit: LogAudit, *, as_of: str, since: str | None, sample: tuple[SampleRow, ...]) -> ProgrammePapers:
    record = audit.replay.ledger
    assert record is not None, "a whole log has its genesis"
    days, registers = audit.books.days, audit.books.registers
    end_seq, tally, items = days.end_seq(as_of), days.until(as_of), open_items(audit, as_of)
    log, size, root = audit.replay.prefix(end_seq)
    return ProgrammePapers(
        ledger=record.ledger,
        points=record.points,
        log=log,
        size=size,
        root=root,
        roll_forward=roll_forward(tally, record.points, before=days.before(since)),
        trial_balance=trial_balance(tally),
        outstanding=tuple(DayTotal(day=day, points=str(points)) for day, points in days.outstanding(as_of)),
        positions=positions(tally, items),
        open_items=items,
        waiting=waiting_lines(audit, day=as_of, end_seq=end_seq),
        links=link_lines(audit, end_seq=end_seq),
        registers={register: registers.of(register, end_seq=end_seq) for register in Register},
        appeals=appeal_lines(audit, day=as_of, end_seq=end_seq),
        misdated=tuple(days.misdated(as_of)),
        sample=sample,
    )


def _conversions(audit: LogAudit, day: str) -> Iterator[ConversionLine]:
    """Yield what became until the end of `day` of the conversions out of a ledger, by partner and currency."""
    for partner, sent in sorted(audit.book.sent.items()):
        ordered = [each for each in sent.values() if day_of(each.time) <= day]
        for currency in sorted({each.terms.currency for each in ordered}):
            mine = [each for each in ordered if each.terms.currency == currency]
            decided = [each for each in mine if each.decision and day_of(each.decision.time) <= day]
            completed = [each.terms for each in decided if each.decision and each.decision.credited]
            yield ConversionLine(
                source=_ledger(audit),
                destination=partner,
                completed=len(completed),
                returned=len(decided) - len(completed),
                pending=len(mine) - len(decided),
                source_points=str(sum(terms.source_points for terms in completed)),
                destination_points=str(sum(terms.destination_points for terms in completed)),
                fee_points=str(sum(terms.fee_points for terms in completed)),
                value=str(sum(terms.value for terms in completed)),
                currency=currency,
            )


def _pairs(programmes: Sequence[ProgrammePapers]) -> Iterator[PairPosition]:
    for number, first in enumerate(programmes):
        for second in programmes[number + 1 :]:
            ours = {each.currency: each for each in first.positions if each.partner == partner_of(second.ledger)}
            theirs = {each.currency: each for each in second.positions if each.partner == partner_of(first.ledger)}
            for currency in sorted(ours.keys() | theirs.keys()):
                yield PairPosition(
                    first=first.ledger,
                    second=second.ledger,
                    currency=currency,
                    first_net=ours[currency].net if currency in ours else "0",
                    second_net=theirs[currency].net if currency in theirs else "0",
                )
