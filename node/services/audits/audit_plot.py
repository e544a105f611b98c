"""A plot of points outstanding over time, as an SVG drawing that stands in a page by itself."""

from collections.abc import Iterator, Sequence
from html import escape
from typing import Final

from protocol.audit.papers import DayTotal
from protocol.fields import parse_date

WIDTH: Final = 720
HEIGHT: Final = 220
_LEFT: Final = 110
_RIGHT: Final = 20
_TOP: Final = 14
_BOTTOM: Final = 34
_LINES: Final = 4
_DATES_MAX: Final = 8
_STEPS: Final = (1, 2, 5, 10)


def plot(totals: Sequence[DayTotal], *, points: str) -> str:
    """Return the drawing of `totals`, one a day in their order, or nothing where there are none.

    The line has steps, since points stay what they were until the next entry. The axis need not begin at zero, so that
    a change can be seen; it says where it begins.
    """
    if not totals:
        return ""
    days = [parse_date(each.day).toordinal() for each in totals]
    values = [int(each.points) for each in totals]
    marks = ticks(min(values), max(values))
    scale = _Scale(days[0], days[-1], marks[0], marks[-1])
    steps = [f"M{scale.x(days[0])},{scale.y(values[0])}"]
    for day, value in zip(days[1:], values[1:], strict=True):
        steps.append(f"H{scale.x(day)}V{scale.y(value)}")
    title = f"Points outstanding ({points}), {totals[0].day} to {totals[-1].day}: {values[0]:,} to {values[-1]:,}"
    parts = [
        f'<svg class="plot" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">',
        f"<title>{escape(title)}</title>",
        *_rulers(scale, marks),
        *_dates(scale, totals, days),
        f'<path class="line" d="{"".join(steps)}"/>',
        *(f'<circle class="dot" cx="{scale.x(d)}" cy="{scale.y(v)}" r="2.5"/>' for d, v in _ends(days, values)),
        "</svg>",
    ]
    return "\n".join(parts)


def ticks(low: int, high: int) -> list[int]:
    """Return round numbers in even steps, the first not above `low`, the last not below `high`."""
    span = max(high - low, 1)
    unit = 10 ** max(len(str(span // _LINES)) - 1, 0)
    step = next(factor * unit for factor in _STEPS if factor * unit * _LINES >= span)
    first = low // step * step
    count = -(-(high - first) // step)
    return [first + step * number for number in range(max(count, 1) + 1)]


class _Scale:
    """Where a day and a number of points stand in the drawing."""

    def __init__(self, first: int, last: int, low: int, high: int) -> None:
        self._first, self._days = first, max(last - first, 1)
        self._low, self._points = low, high - low

    def x(self, day: int) -> float:
        return round(_LEFT + (WIDTH - _LEFT - _RIGHT) * (day - self._first) / self._days, 1)

    def y(self, points: int) -> float:
        return round(_TOP + (HEIGHT - _TOP - _BOTTOM) * (1 - (points - self._low) / self._points), 1)


def _rulers(scale: _Scale, marks: Sequence[int]) -> Iterator[str]:
    for mark in marks:
        y = scale.y(mark)
        yield f'<line class="rule" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y}" y2="{y}"/>'
        yield f'<text class="mark" x="{_LEFT - 8}" y="{y + 4}" text-anchor="end">{mark:,}</text>'


def _dates(scale: _Scale, totals: Sequence[DayTotal], days: Sequence[int]) -> Iterator[str]:
    every = -(-len(totals) // _DATES_MAX)
    for number in range(0, len(totals), every):
        anchor = "start" if number == 0 else "end" if number == len(totals) - 1 else "middle"
        x = scale.x(days[number])
        yield f'<text class="mark" x="{x}" y="{HEIGHT - 12}" text-anchor="{anchor}">{totals[number].day}</text>'


def _ends(days: Sequence[int], values: Sequence[int]) -> list[tuple[int, int]]:
    return [(days[0], values[0]), (days[-1], values[-1])]
