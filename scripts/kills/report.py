"""What a storm came to, in one object and in words."""

from collections import Counter
from collections.abc import Iterator, Sequence

import msgspec

from scripts.kills.judge import Judgement
from scripts.kills.plan import Plan
from scripts.kills.storm import Struck


class KillSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One kill: orders answered before it, orders that waited for their answer, conversions that were open."""

    victim: str
    answered: int
    under_way: int
    open: int


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """A storm in one object: `faults` names everything that did not hold, `unanswered` counts requests sent again."""

    seed: int
    store: str
    conversions: int
    completed: int
    returned: dict[str, int]
    kills: tuple[KillSummary, ...]
    unanswered: dict[str, int]
    repeated: int
    statements: int
    entries: dict[str, int]
    faults: tuple[str, ...]
    storm_seconds: float
    seconds: float

    @property
    def is_good(self) -> bool:
        """Return whether everything held."""
        return not self.faults


def summarise(
    plan: Plan,
    judgement: Judgement,
    *,
    struck: Sequence[Struck],
    unanswered: Counter[str],
    store: str,
    seconds: tuple[float, float],
) -> Summary:
    """Return the summary of a storm; `seconds` are those of the storm alone, and of everything."""
    return Summary(
        seed=plan.seed,
        store=store,
        conversions=len(plan.orders),
        completed=judgement.completed,
        returned=dict(sorted(judgement.returned.items())),
        kills=tuple(
            KillSummary(
                victim=each.victim.title,
                answered=each.answered,
                under_way=each.under_way,
                open=sum(since <= each.at < concluded for since, concluded in judgement.spans),
            )
            for each in struck
        ),
        unanswered=dict(sorted(unanswered.items())),
        repeated=judgement.repeated,
        statements=judgement.statements,
        entries=judgement.entries,
        faults=tuple(judgement.faults),
        storm_seconds=round(seconds[0], 1),
        seconds=round(seconds[1], 1),
    )


def lines_of(summary: Summary) -> Iterator[str]:
    """Yield the summary as a person reads it."""
    yield f"seed {summary.seed} on {summary.store}: {summary.storm_seconds} s of storm, {summary.seconds} s in all"
    for number, kill in enumerate(summary.kills, 1):
        yield (
            f"  kill {number:>2}: {kill.victim:<16} {kill.answered:>5} orders answered, {kill.under_way:>3} under way, "
            f"{kill.open:>4} conversions open"
        )
    reasons = ", ".join(f"{count} {reason}" for reason, count in summary.returned.items()) or "none"
    yield f"  {summary.conversions:,} conversions: {summary.completed:,} completed; returned: {reasons}"
    lost = ", ".join(f"{count:,} {reason}" for reason, count in summary.unanswered.items()) or "none"
    yield f"  requests sent again until they were answered: {lost}"
    yield f"  {summary.repeated:,} orders repeated afterwards; {summary.statements} statements of both sides compared"
    yield f"  entries: {', '.join(f'{count:,} in {ledger}' for ledger, count in summary.entries.items())}"
    yield from (f"  FAULT: {fault}" for fault in summary.faults)
    if summary.is_good:
        yield "  everything held"
