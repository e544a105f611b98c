"""Rates of many agreements side by side, in exact fractions: loops that multiply points, detours that beat a rate.

What is proven. A conversion is a whole number of steps, so it gives exactly its source points times the step's ratio,
and what fills no step stays: no conversion ever gives more than the ratio. Where no loop of ratios passes 1, points
have prices under which no conversion gains (the longest products of ratios from any ledger); so no sequence of
conversions, however split, mixed or ordered, ends with more points of a ledger than it began with. Fees, minimums,
maximums and limits only take away, and are left out. The reverse does not hold: a loop found here may be too small,
too short-lived or too costly in fees to be used (specs/rates.md).
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from math import prod
from typing import Final

from protocol.agreement import Agreement, Direction, agreement_digest
from protocol.errors import AgreementInvalid
from protocol.identifiers import Digest, Ledger
from protocol.limits import INTEGER_MAX
from protocol.points import Step

LOOP_RATES_MAX: Final = 4
"""Loops up to this length are all listed; of the longer ones, one is, when there are no shorter ones."""

_DECIMAL: Final = "(?:0|[1-9][0-9]{0,15})(?:[.][0-9]{1,16})?"
_RATIO: Final = re.compile(f"(?:({_DECIMAL}):)?({_DECIMAL})")


class FindingKind(StrEnum):
    """What is wrong with a way through the rates."""

    LOOP = "loop"
    DETOUR = "detour"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """One step of one agreement; `promotion` is its name, or None for the rate that always holds."""

    source: Ledger
    destination: Ledger
    step: Step
    agreement: Digest
    number: int
    promotion: str | None

    @property
    def ratio(self) -> Fraction:
        """Return the destination points that one source point gives."""
        return Fraction(self.step.destination, self.step.source)


@dataclass(frozen=True, slots=True, kw_only=True)
class RateFinding:
    """A loop whose ratio passes 1, or a detour whose ratio passes that of the direct rate."""

    kind: FindingKind
    rates: tuple[Rate, ...]
    direct: Rate | None

    @property
    def path(self) -> tuple[Ledger, ...]:
        """Return the ledgers on the way; a loop ends where it begins, at the first of them by name."""
        return (self.rates[0].source, *(rate.destination for rate in self.rates))

    @property
    def ratio(self) -> Fraction:
        """Return the exact product of the ratios."""
        return product_of(self.rates)


_Graph = Mapping[Ledger, tuple[Rate, ...]]


def product_of(rates: Iterable[Rate]) -> Fraction:
    """Return the exact product of the ratios of `rates`."""
    return prod((rate.ratio for rate in rates), start=Fraction(1))


def check_rates(agreements: Iterable[Agreement], *, at: str | None) -> tuple[RateFinding, ...]:
    """Return the loops that multiply points and, for each rate, the best indirect way that beats it.

    With a time `at`, the agreements and promotions of that moment count. With None, all that `agreements` ever promise
    count together, since points can wait for the next promotion: check that before signing. Loops come before detours,
    short ways before long ones, then by name. No loop is listed only if there is none of any length; detours are
    complete, of any length, when no loop is listed.
    """
    graph = _best_rates(agreements, at=at)
    loops = [RateFinding(kind=FindingKind.LOOP, rates=rates, direct=None) for rates in _loops(graph)]
    detours = [finding for source in sorted(graph) for finding in _detours(graph, source)]
    return (*sorted(loops, key=_place), *sorted(detours, key=_place))


def rates_of(agreements: Iterable[Agreement], *, at: str | None) -> tuple[Rate, ...]:
    """Return every rate of `agreements`, promotions included, that holds at the time `at`, or ever when it is None."""
    known = list(agreements)
    in_force = known if at is None else _in_force(known, at)
    return tuple(
        rate
        for agreement in in_force
        for direction in agreement.directions
        for rate in _rates(agreement, direction, at=at)
    )


def step_from_decimal(text: str) -> Step:
    """Return the smallest step whose ratio is exactly what `text` says, or raise `AgreementInvalid`.

    A number says what one point gives: "0.625" is 8 to 5. Two numbers say what gives what: "3:1.1" is 30 to 11.
    """
    found = _RATIO.fullmatch(text)
    if found is None:
        raise AgreementInvalid(f"{text[:40]!r} is not a ratio like 0.625 or 400:250")
    source, destination = Fraction(found[1] or "1"), Fraction(found[2])
    if not source or not destination:
        raise AgreementInvalid("a rate gives and takes more than nothing")
    ratio = destination / source
    if max(ratio.numerator, ratio.denominator) > INTEGER_MAX:
        raise AgreementInvalid("the step of this ratio is larger than an agreement can state")
    return Step(source=ratio.denominator, destination=ratio.numerator)


def _in_force(agreements: list[Agreement], at: str) -> list[Agreement]:
    """Return the agreements that bind at `at`: begun, not ended, and the latest of their two ledgers."""
    begun = [agreement for agreement in agreements if agreement.valid_from <= at]
    latest: dict[tuple[str, ...], int] = {}
    for agreement in begun:
        latest[_pair(agreement)] = max(agreement.number, latest.get(_pair(agreement), 0))
    return [
        agreement
        for agreement in begun
        if agreement.number == latest[_pair(agreement)]
        and (agreement.valid_until is None or at < agreement.valid_until)
    ]


def _pair(agreement: Agreement) -> tuple[str, ...]:
    return (agreement.network, *(party.ledger for party in agreement.parties))


def _rates(agreement: Agreement, direction: Direction, *, at: str | None) -> Iterator[Rate]:
    steps: list[tuple[str | None, Step]] = [(None, direction.step)]
    steps += [
        (promotion.name, promotion.step)
        for promotion in direction.promotions
        if at is None or promotion.starts_at <= at < promotion.ends_at
    ]
    for name, step in steps:
        yield Rate(
            source=direction.source,
            destination=direction.destination,
            step=step,
            agreement=agreement_digest(agreement),
            number=agreement.number,
            promotion=name,
        )


def _best_rates(agreements: Iterable[Agreement], *, at: str | None) -> _Graph:
    """Return the best rate for each pair of ledgers: what a lesser one multiplies or beats, the best one does too."""
    best: dict[tuple[Ledger, Ledger], Rate] = {}
    for rate in sorted(rates_of(agreements, at=at), key=lambda rate: (rate.promotion or "", rate.agreement)):
        pair = (rate.source, rate.destination)
        if pair not in best or rate.ratio > best[pair].ratio:
            best[pair] = rate
    graph: dict[Ledger, tuple[Rate, ...]] = {}
    for _, rate in sorted(best.items()):
        graph[rate.source] = (*graph.get(rate.source, ()), rate)
    return graph


def _loops(graph: _Graph) -> list[tuple[Rate, ...]]:
    """Return the loops that multiply, if there are any at all: the short ones, or else one that is longer."""
    some = _any_loop(graph)
    if some is None:
        return []
    short = [
        way
        for start in sorted(graph)
        for rate in graph[start]
        if rate.destination > start
        for way in _closed(graph, (rate,))
        if product_of(way) > 1
    ]
    return short or [some]


def _closed(graph: _Graph, way: tuple[Rate, ...]) -> Iterator[tuple[Rate, ...]]:
    """Yield the loops up to `LOOP_RATES_MAX` that begin with `way`, whose first ledger is the first by name."""
    start = way[0].source
    passed = {rate.destination for rate in way}
    for rate in graph[way[-1].destination]:
        if rate.destination == start:
            yield (*way, rate)
        elif rate.destination > start and rate.destination not in passed and len(way) < LOOP_RATES_MAX - 1:
            yield from _closed(graph, (*way, rate))


def _any_loop(graph: _Graph) -> tuple[Rate, ...] | None:
    """Return a loop of any length that multiplies, or None only if there is none (Bellman and Ford's algorithm)."""
    best = dict.fromkeys(graph, Fraction(1))
    before: dict[Ledger, Rate] = {}
    changed: Ledger | None = None
    for _ in graph:
        changed = None
        for rates in graph.values():
            for rate in rates:
                product = best[rate.source] * rate.ratio
                if product > best[rate.destination]:
                    best[rate.destination], before[rate.destination] = product, rate
                    changed = rate.destination
        if changed is None:
            return None
    if changed is None:
        return None
    for _ in graph:  # As many steps back as there are ledgers lead into the loop, wherever it is.
        changed = before[changed].source
    loop = [before[changed]]
    while loop[-1].source != changed:
        loop.append(before[loop[-1].source])
    loop.reverse()
    first = min(range(len(loop)), key=lambda index: loop[index].source)
    return (*loop[first:], *loop[:first])


def _detours(graph: _Graph, source: Ledger) -> Iterator[RateFinding]:
    """Yield the best indirect way for each rate out of `source` that it beats."""
    ways: dict[Ledger, tuple[Rate, ...]] = {rate.destination: (rate,) for rate in graph[source]}
    changed = dict(ways)
    while changed:
        longer: dict[Ledger, tuple[Rate, ...]] = {}
        for way in changed.values():
            passed = {rate.source for rate in way}
            for rate in graph[way[-1].destination]:
                known = longer.get(rate.destination) or ways.get(rate.destination, ())
                # A way that visits a ledger twice is never better than without the loop, unless the loop multiplies.
                if rate.destination not in passed and (not known or product_of((*way, rate)) > product_of(known)):
                    longer[rate.destination] = (*way, rate)
        ways |= longer
        changed = longer
    for direct in graph[source]:
        if len(ways[direct.destination]) > 1:
            yield RateFinding(kind=FindingKind.DETOUR, rates=ways[direct.destination], direct=direct)


def _place(finding: RateFinding) -> tuple[int, tuple[Ledger, ...]]:
    return len(finding.rates), finding.path
