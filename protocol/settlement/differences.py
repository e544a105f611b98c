"""Where two sides differ about a window, from a statement's fields down to single lines, and what decides a line."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from protocol.errors import StatementInvalid
from protocol.identifiers import Ledger
from protocol.messages import BODY_LINES_MAX, Fulfil, Prepare
from protocol.settlement.lines import line_of, totals_of
from protocol.settlement.statements import Mismatch
from protocol.statement import Line, Statement, Totals


class DifferenceKind(StrEnum):
    """How two sides differ about one decision."""

    MISSING_HERE = "missing_here"
    MISSING_THERE = "missing_there"
    TERMS = "terms"


@dataclass(frozen=True, slots=True, kw_only=True)
class LineDifference:
    """One decision, named by the conversions' source, the window and the number, as either side has it."""

    source: Ledger
    window: int
    dec_seq: int
    ours: Line | None
    theirs: Line | None

    @property
    def kind(self) -> DifferenceKind:
        """Return how the sides differ."""
        if self.ours is None:
            return DifferenceKind.MISSING_HERE
        return DifferenceKind.MISSING_THERE if self.theirs is None else DifferenceKind.TERMS


def compare(ours: Statement | Totals, theirs: Statement | Totals) -> Mismatch | None:
    """Return the fields in which two documents of one kind differ, or None when they are the same."""
    fields = tuple(_differing(msgspec.to_builtins(ours), msgspec.to_builtins(theirs)))
    return Mismatch(fields=fields) if fields else None


def _differing(ours: object, theirs: object, path: str = "") -> Iterator[str]:
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for name in ours:
            yield from _differing(ours[name], theirs[name], f"{path}.{name}".removeprefix("."))
    elif isinstance(ours, list | tuple) and isinstance(theirs, list | tuple) and len(ours) == len(theirs):
        for index, (left, right) in enumerate(zip(ours, theirs, strict=True)):
            yield from _differing(left, right, f"{path}.{index}")
    elif ours != theirs:
        yield path


def narrow(our_lines: Iterable[Line], their_lines: Iterable[Line]) -> tuple[LineDifference, ...]:
    """Return the decisions about which the two sides' lines differ, by source, window and number.

    Raises `StatementInvalid` if one side has two lines for one decision: two signed FULFILs of that are evidence.
    """
    ours, theirs = _by_place(our_lines), _by_place(their_lines)
    return tuple(
        LineDifference(
            source=place[0], window=place[1], dec_seq=place[2], ours=ours.get(place), theirs=theirs.get(place)
        )
        for place in sorted(ours.keys() | theirs.keys())
        if ours.get(place) != theirs.get(place)
    )


def _by_place(lines: Iterable[Line]) -> dict[tuple[Ledger, int, int], Line]:
    found: dict[tuple[Ledger, int, int], Line] = {}
    for line in lines:
        place = (line.source, line.window, line.dec_seq)
        if place in found:
            raise StatementInvalid(f"two lines for decision {line.dec_seq} of conversions out of {line.source}")
        found[place] = line
    return found


def pages(lines: Iterable[Line]) -> Iterator[tuple[Line, ...]]:
    """Yield the lines of one direction, in the order of their numbers, as the source's `lines` bodies carry them.

    The last page alone has fewer lines than a body has room for, and may be empty: so nobody waits for another.
    """
    ordered = sorted(lines, key=lambda line: line.dec_seq)
    for first in range(0, len(ordered) + 1, BODY_LINES_MAX):
        yield tuple(ordered[first : first + BODY_LINES_MAX])


def is_last(page: Collection[Line]) -> bool:
    """Return whether a page of the source's lines is its last."""
    return len(page) < BODY_LINES_MAX


def decided(ours: Iterable[Line], shown: Iterable[Line], *, totals: Totals) -> tuple[Line, ...] | None:
    """Return the lines behind a decider's close of one direction: ours, with those that it has `shown` in their place.

    None unless they sum to the `totals` of the close, whose root commits to every FULFIL: then none is left out.
    """
    numbers = range(totals.first_dec_seq, totals.last_dec_seq + 1)
    found = {line.dec_seq: line for line in (*ours, *shown) if line.dec_seq in numbers}
    try:
        same = totals_of(found.values(), first_dec_seq=totals.first_dec_seq) == totals
    except StatementInvalid:
        return None
    return tuple(found[number] for number in numbers) if same else None


def standing(difference: LineDifference, shown: Iterable[tuple[Prepare, Fulfil]]) -> Line | None:
    """Return the line that signed bodies show for the decision, whatever either side has; None if nothing decides it.

    `shown` are bodies whose signatures hold: the source's PREPARE with the decider's FULFIL. A line that nobody can
    show does not stand, and of two that contradict each other neither does: that pair is evidence against the decider.
    """
    place = (difference.source, difference.window, difference.dec_seq)
    lines = {line_of(prepare, fulfil) for prepare, fulfil in shown}
    found = [line for line in lines if (line.source, line.window, line.dec_seq) == place]
    return found[0] if len(found) == 1 else None
