"""The successions of one ledger as its log tells them: what was restored, lost, given back, and at whose cost.

What a lost entry had moved without telling anybody is nowhere any more: it can be counted, not said (specs/audit.md).
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec

from protocol.audit.findings import Findings
from protocol.entries import Genesis, Sealed
from protocol.errors import Code
from protocol.identifiers import Digest, Ledger, partner_of
from protocol.ledger.postings import ledger_record
from protocol.ledger.view import Overlay
from protocol.messages import Fulfil, Predecessor, Prepare, kind_of
from protocol.recovery_entries import (
    PartnerSucceeded,
    Recovered,
    RecoveryBegun,
    RecoveryEnded,
    RecoveryWaived,
    StartOverridden,
)

WAITING: Final = "waiting"
ENDED: Final = "ended"
WAIVED: Final = "waived"


class WordCount(msgspec.Struct, frozen=True, kw_only=True):
    """How many messages of one kind a partner gave back."""

    kind: str
    count: int


class RecoveryReport(msgspec.Struct, frozen=True, kw_only=True):
    """What one partner gave back: `state` is `waiting`, `ended` or `waived`.

    `shortfall` points were given to accounts that no longer had what they had promised; `unknown` conversions name
    accounts that the gap took, and `unknown_points` of them were the program's to give or take.
    """

    partner: Ledger
    state: str
    reason: str | None
    words: tuple[WordCount, ...]
    shortfall: str
    unknown: int
    unknown_points: str


class SuccessionReport(msgspec.Struct, frozen=True, kw_only=True):
    """A log that goes on as another: `lost` entries came after the `restored`, of which `recovered` stand again."""

    log: Ledger
    predecessor: Ledger
    seq: int
    time: str
    restored: int
    lost: int
    recovered: int
    partners: tuple[RecoveryReport, ...]


class PartnerLogReport(msgspec.Struct, frozen=True, kw_only=True):
    """A partner's log that goes on as another, as that partner said."""

    partner: Ledger
    log: Ledger
    seq: int


class OverrideReport(msgspec.Struct, frozen=True, kw_only=True):
    """A start for which an operator did not wait for the answers of `partners` and `witnesses`."""

    seq: int
    time: str
    partners: tuple[Ledger, ...]
    witnesses: tuple[str, ...]
    reason: str


@dataclass(slots=True)
class _Recovery:
    state: str = WAITING
    reason: str | None = None
    begun: RecoveryBegun | None = None
    ended: RecoveryEnded | None = None
    kinds: dict[str, int] = field(default_factory=dict)
    shortfall: int = 0
    unknown: int = 0
    unknown_points: int = 0

    def report(self, partner: Ledger) -> RecoveryReport:
        return RecoveryReport(
            partner=partner,
            state=self.state,
            reason=self.reason,
            words=tuple(WordCount(kind=kind, count=count) for kind, count in sorted(self.kinds.items())),
            shortfall=str(self.shortfall),
            unknown=self.unknown,
            unknown_points=str(self.unknown_points),
        )


@dataclass(slots=True)
class _Succession:
    log: Ledger
    seq: int
    time: str
    before: Predecessor
    lost: int
    partners: dict[Ledger, _Recovery]
    entries: set[int] = field(default_factory=set)

    def report(self) -> SuccessionReport:
        before = self.before
        return SuccessionReport(
            log=self.log,
            predecessor=before.ledger,
            seq=self.seq,
            time=self.time,
            restored=before.restored_size,
            lost=self.lost,
            recovered=len(self.entries),
            partners=tuple(found.report(partner) for partner, found in sorted(self.partners.items())),
        )


@dataclass(slots=True)
class KeptSuccessions:
    """Everything that a `SuccessionBook` knows; `end` is the `seq` that would follow without a gap."""

    found: list[_Succession] = field(default_factory=list)
    partner_logs: list[PartnerLogReport] = field(default_factory=list)
    overrides: list[OverrideReport] = field(default_factory=list)
    recovered: dict[int, Digest] = field(default_factory=dict)
    end: int = 0


class SuccessionBook:
    """Collects what a log says of its own successions and of its partners'."""

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        """Start with none."""
        self._kept = KeptSuccessions()

    def kept(self) -> KeptSuccessions:
        """Return all that is known, to `restore` it another time."""
        return self._kept

    def restore(self, kept: KeptSuccessions) -> None:
        """Go on from what was known."""
        self._kept = kept

    @property
    def recovered(self) -> dict[int, Digest]:
        """Return the leaf hashes of lost entries that stand again, by their `seq`."""
        return self._kept.recovered

    def add(self, sealed: Sealed, view: Overlay) -> None:
        """Take note of an entry that the rules accepted."""
        match sealed.entry:
            case Genesis(predecessor=Predecessor() as before) as entry:
                waiting = {partner: _Recovery() for partner in ledger_record(view).recovering}
                lost = entry.seq - self._kept.end
                self._kept.found.append(_Succession(entry.ledger, entry.seq, entry.time, before, lost, waiting))
            case RecoveryBegun() as entry:
                self._of(entry.partner).begun, self._of(entry.partner).state = entry, WAITING
            case RecoveryWaived() as entry:
                self._of(entry.partner).reason, self._of(entry.partner).state = entry.reason, WAIVED
            case RecoveryEnded() as entry:
                self._of(entry.partner).ended, self._of(entry.partner).state = entry, ENDED
            case Recovered() as entry:
                self._recovered(entry)
            case PartnerSucceeded() as entry:
                self._kept.partner_logs.append(PartnerLogReport(partner=entry.partner, log=entry.log, seq=entry.seq))
            case StartOverridden() as entry:
                self._kept.overrides.append(
                    OverrideReport(
                        seq=entry.seq,
                        time=entry.time,
                        partners=entry.partners,
                        witnesses=entry.witnesses,
                        reason=entry.reason,
                    )
                )
            case _:
                pass

    def passed(self, end_seq: int) -> None:
        """Take note of how far the ledger went: a succession has lost what lies between that and its genesis."""
        self._kept.end = end_seq

    def _of(self, partner: Ledger) -> _Recovery:
        return self._kept.found[-1].partners.setdefault(partner, _Recovery())

    def _recovered(self, entry: Recovered) -> None:
        body, found = entry.body, self._of(entry.partner)
        self.recovered[body.entry.seq] = body.entry.leaf
        self._kept.found[-1].entries.add(body.entry.seq)
        found.kinds[kind_of(body)] = found.kinds.get(kind_of(body), 0) + 1
        found.shortfall += entry.shortfall
        if isinstance(body, Prepare | Fulfil) and entry.account is None:
            points = body.source_points + body.fee_points if isinstance(body, Prepare) else body.destination_points
            found.unknown += 1
            found.unknown_points += points

    def check(self, findings: Findings) -> None:
        """Hold that no recovery ended before as many words were back as the partner had at its beginning."""
        for succession in self._kept.found:
            for partner, found in succession.partners.items():
                if found.begun is not None and found.ended is not None and found.ended.words < found.begun.words:
                    text = f"{partner} had applied {found.begun.words} words, {found.ended.words} were back"
                    findings.broken(Code.RECOVERY_MISMATCH, f"entry {found.ended.seq}", text)

    @property
    def successions(self) -> tuple[SuccessionReport, ...]:
        """Return the successions in their order."""
        return tuple(found.report() for found in self._kept.found)

    @property
    def partner_logs(self) -> tuple[PartnerLogReport, ...]:
        """Return the successions of partners in the order in which they became known."""
        return tuple(self._kept.partner_logs)

    @property
    def overrides(self) -> tuple[OverrideReport, ...]:
        """Return the starts for which an operator did not wait for answers."""
        return tuple(self._kept.overrides)


def succession_lines(report: SuccessionReport) -> Iterator[str]:
    """Yield a succession as a person reads it."""
    yield (
        f"{report.log} succeeds {report.predecessor} at {report.time}: {report.restored:,} entries were restored, "
        f"{report.lost:,} after them were lost"
    )
    left = report.lost - report.recovered
    yield f"{report.recovered:,} of those stand again by what partners gave back; {left:,} are gone for good"
    for each in report.partners:
        yield _recovery_line(each)


def _recovery_line(report: RecoveryReport) -> str:
    words = ", ".join(f"{each.count} {each.kind}" for each in report.words) or "nothing"
    ends: Mapping[str, str] = {
        WAITING: "not all of it yet",
        ENDED: "all it had",
        WAIVED: f"not waited for ({report.reason})",
    }
    costs = [
        f"{int(points):,} points {what}"
        for points, what in (
            (report.shortfall, "were given to accounts that lacked them"),
            (report.unknown_points, f"of {report.unknown} conversions belong to accounts that are not known any more"),
        )
        if points != "0"
    ]
    return "; ".join((f"{partner_of(report.partner)} gave back {words}: {ends[report.state]}", *costs))


def story_lines(
    successions: Iterable[SuccessionReport],
    partner_logs: Iterable[PartnerLogReport],
    overrides: Iterable[OverrideReport],
) -> Iterator[str]:
    """Yield what became of a ledger's logs and its partners', as a person reads it."""
    for succession in successions:
        yield from succession_lines(succession)
    for each in partner_logs:
        yield f"{each.partner} goes on as {each.log}, having lost the end of the log before (entry {each.seq})"
    for override in overrides:
        names = ", ".join((*override.partners, *override.witnesses))
        yield f"an operator did not wait for {names} at the start before {override.time} ({override.reason})"
