"""Each invariant about limits, refunds, settlement and files can be violated: a rule that is broken shows in it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import msgspec
import pytest

from node.services.channel.exchange_files import ExchangeFilesService, ImportAnswer
from protocol.agreement import Agreement, Direction, InFlightLimits
from protocol.entries import ConversionCaptured, ConversionCredited, ConversionHeld, Posting
from protocol.identifiers import Account, Ledger
from protocol.ledger import concluding, exposure, outgoing, payments, promotions, refunds
from protocol.ledger.exposure import reserve_out
from protocol.ledger.state import IncomingRecord, OutgoingRecord, Way
from protocol.ledger.view import View
from protocol.settlement.statements import settled_value
from protocol.statement import AdjustedLine, Bill, Statement
from protocol.window_entries import StatementAgreed
from scripts.simulation.campaign import run_seed
from scripts.simulation.invariants import Invariant, Violation
from scripts.simulation.place import Place
from scripts.simulation.relations import Relations
from scripts.simulation.run import Settings, Simulation
from scripts.simulation.stakes import Stakes

SEEDS_MAX = 150
SETTINGS = Settings(ignored=frozenset({Invariant.NOT_LIVE}))

_use_promotion = promotions.use_promotion
_use_member = exposure._use_member
_between = payments._between
_check_refund = refunds._check


def any_budget(view: View, key: tuple[str, Ledger, str], points: int, *, budget: int | None) -> None:
    _use_promotion(view, key, points, budget=None)  # type: ignore[arg-type]


def any_use(
    view: View, key: tuple[Account, Ledger, Way], points: int, *, at: str, limits: tuple[int | None, int | None]
) -> None:
    day, year = (limit and 10**9 for limit in limits)
    _use_member(view, key, points, at=at, limits=(day, year))


def any_flight(view: View, entry: ConversionHeld, direction: Direction) -> None:
    limits = InFlightLimits(conversions=None, value=None)
    reserve_out(view, entry, msgspec.structs.replace(direction, in_flight=limits))


def any_refund(
    entry: ConversionHeld | ConversionCredited,
    original: IncomingRecord | OutgoingRecord,
    account: Account,
    *,
    agreement: Agreement,
) -> None:
    _check_refund(entry, msgspec.structs.replace(original, refunded_steps=-1_000), account, agreement=agreement)


def half_settled(statement: Statement, previous: Statement | None, *, source: Ledger) -> int:
    return settled_value(statement, previous, source=source) // 2


def one_short(partner: Ledger, statement: Statement, amount: int) -> tuple[Posting, ...]:
    return _between(partner, statement, amount - 1 if amount > 0 else amount + 1)


def nothing(*_: object) -> tuple[()]:
    return ()


def yes(*_: object, **__: object) -> bool:
    return True


def taken(_service: object, _data: bytes) -> ImportAnswer:
    return ImportAnswer(
        sender="", number=1, expected=2, outcome="applied", parcels=1, bodies=1, applied=1, waiting=0, next="nothing"
    )


BROKEN: dict[Invariant, list[tuple[object, str, Callable[..., object]]]] = {
    Invariant.CAP_PASSED: [(exposure, "_check_cap", nothing)],
    Invariant.IN_FLIGHT_PASSED: [(outgoing, "reserve_out", any_flight)],
    Invariant.MEMBER_LIMIT_PASSED: [(exposure, "_use_member", any_use)],
    Invariant.BUDGET_PASSED: [(exposure, "use_promotion", any_budget), (promotions, "_fits", yes)],
    Invariant.REFUNDED_TOO_MUCH: [(refunds, "_check", any_refund)],
    Invariant.RESERVED_OTHERWISE: [(payments, "settled_value", half_settled)],
    Invariant.CONTINGENT: [(concluding, "release_postings", nothing)],
    Invariant.DUE: [(payments, "_between", one_short)],
    Invariant.FILE_TAKEN: [(ExchangeFilesService, "take", taken)],
}


@pytest.mark.parametrize("invariant", BROKEN)
def test_a_rule_that_is_broken_shows(invariant: Invariant, monkeypatch: pytest.MonkeyPatch) -> None:
    for owner, name, replacement in BROKEN[invariant]:
        monkeypatch.setattr(owner, name, replacement)
    outcomes = (run_seed(seed, settings=SETTINGS) for seed in range(1, SEEDS_MAX + 1))
    violation = next((outcome.violation for outcome in outcomes if outcome.violation), None)
    assert violation is not None
    assert violation.invariant is invariant, violation


# --- What two signatures stand under cannot be wrong while both nodes are honest; so it is made wrong here.


@dataclass(frozen=True, slots=True)
class Story:
    """A ledger's entries about settlement, up to a statement that ends disputes, with what its conversions are."""

    place: Place
    entries: Sequence[object]
    last: StatementAgreed


@pytest.fixture(scope="module")
def story() -> Story:
    """Return the entries of some ledger up to a statement that both bills lines and ends a dispute."""
    for seed in range(1, SEEDS_MAX + 1):
        simulation = Simulation(seed, Settings())
        if not simulation.life.settles or simulation.run().violation:
            continue
        for place in simulation.places:
            entries = [sealed.entry for sealed in place.disk.state.entries]
            for number, entry in enumerate(entries):
                if isinstance(entry, StatementAgreed) and is_telling(entry.signed.statement):
                    return Story(place, entries[:number], entry)
    pytest.fail("no seed has such a statement")


def is_telling(statement: Statement) -> bool:
    """Return whether a statement bills a line and ends a dispute."""
    bills = statement.directions
    return any(bill.totals.count for bill in bills) and any(bill.adjustments for bill in bills)


def refused(_found: object, condition: object, invariant: Invariant, detail: str) -> None:
    if not condition:
        raise Violation(invariant, detail)


def follow(story: Story, last: StatementAgreed) -> None:
    """Follow the story's entries, then `last`."""
    require = partial(refused, None)
    relations = Relations(story.place.ledger, Stakes(story.place.ledger, require), require)
    held = {entry.conversion: entry for entry in story.entries if isinstance(entry, ConversionHeld)}
    for entry in (*story.entries, last):
        if isinstance(entry, ConversionCaptured):
            relations.captured(entry, held[entry.conversion])
        elif isinstance(entry, ConversionCredited):
            relations.credited(entry)
        else:
            relations.take(entry)  # type: ignore[arg-type]


def altered(story: Story, alter: Callable[[Bill], Bill]) -> StatementAgreed:
    """Return the last statement with altered bills."""
    statement = story.last.signed.statement
    bills = tuple(map(alter, statement.directions))
    changed = msgspec.structs.replace(statement, directions=bills)
    return msgspec.structs.replace(story.last, signed=msgspec.structs.replace(story.last.signed, statement=changed))


def one_line_less(bill: Bill) -> Bill:
    return msgspec.structs.replace(bill, totals=msgspec.structs.replace(bill.totals, count=bill.totals.count - 1))


def forgotten(bill: Bill) -> Bill:
    return msgspec.structs.replace(bill, adjustments=())


def ended_twice(bill: Bill) -> Bill:
    lines: list[AdjustedLine] = [msgspec.structs.replace(line, value=1) for line in bill.adjustments]
    return msgspec.structs.replace(bill, adjustments=(*lines, *lines))


def test_an_honest_story_holds(story: Story) -> None:
    follow(story, story.last)


@pytest.mark.parametrize(
    ("alter", "invariant"),
    [
        (one_line_less, Invariant.BILLED_OTHERWISE),
        (forgotten, Invariant.BILLED_OTHERWISE),
        (ended_twice, Invariant.BILLED_TWICE),
    ],
)
def test_a_statement_that_bills_otherwise_shows(
    story: Story, alter: Callable[[Bill], Bill], invariant: Invariant
) -> None:
    with pytest.raises(Violation) as caught:
        follow(story, altered(story, alter))
    assert caught.value.invariant is invariant


def test_two_statements_of_one_window_show() -> None:
    simulation = next(each for each in map(settling, range(1, SEEDS_MAX + 1)) if each is not None)
    one, two = simulation.places[:2]
    relation = simulation.checker.book(one).relations.relation(two.ledger)
    window, statement = next(iter(relation.statements.items()))
    relation.statements[window] = msgspec.structs.replace(statement, due_at="2027-01-01T00:00:00.000000Z")
    with pytest.raises(Violation) as caught:
        simulation.checker.check_pair(one, two)
    assert caught.value.invariant is Invariant.STATEMENTS_DIFFER


def settling(seed: int) -> Simulation | None:
    """Return a simulation that has run, in which the first two brands have agreed to a statement."""
    simulation = Simulation(seed, Settings())
    if not simulation.life.closes_all or any(place.hostile for place in simulation.places[:2]):
        return None
    assert simulation.run().violation is None
    return simulation
