"""What a program owes its holders, by the month in which the points are lost if nothing happens (specs/audit.md §4)."""

from collections import Counter
from collections.abc import Iterator
from typing import Final

import msgspec

from protocol.ledger.lots import last_day_of
from protocol.ledger.state import ACCOUNTS, HOLDS, LOTS
from protocol.ledger.view import Overlay

NEVER: Final = "never"
HELD: Final = "held"
_MONTH_CHARACTERS: Final = 7
_MONTHS_TOLD: Final = 6


class LiabilityLine(msgspec.Struct, frozen=True, kw_only=True):
    """Points whose last day is in the month `when`, `2026-05`; or `never`, or in no lot since they are `held`."""

    when: str
    points: str


def liability_of(view: Overlay) -> tuple[LiabilityLine, ...]:
    """Return the points of all holders by the month of their last day, as it is now, earliest first."""
    months: Counter[str] = Counter()
    active = {account: record.active_on for account, record in view.rows(ACCOUNTS)}
    for (account, _, _), lot in view.rows(LOTS):
        if lot.remaining:
            last = last_day_of(lot, active[account])
            months[NEVER if last is None else last[:_MONTH_CHARACTERS]] += lot.remaining
    for _, hold in view.rows(HOLDS):
        months[HELD] += hold.remaining
    # Digits come before letters: the months, then what is held, then what never expires.
    return tuple(LiabilityLine(when=when, points=str(points)) for when, points in sorted(months.items()) if points)


def liability_text(lines: tuple[LiabilityLine, ...]) -> Iterator[str]:
    """Yield what a person reads of it: nothing where no points ever expire."""
    months = [line for line in lines if line.when not in {NEVER, HELD}]
    if not months:
        return
    told = [f"{line.when} {int(line.points):,}" for line in months[:_MONTHS_TOLD]]
    later = sum(int(line.points) for line in months[_MONTHS_TOLD:])
    rest = [f"{line.when} {int(line.points):,}" for line in lines if line.when in {NEVER, HELD}]
    yield f"last days: {', '.join([*told, *([f'later {later:,}'] if later else []), *rest])}"
