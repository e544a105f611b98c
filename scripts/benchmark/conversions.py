"""`conversions`: two node processes over loopback, everything durable, from an order to both ledgers' final word.

A source captures what its destination has credited, so what is completed at the source is final at both. The orders of
a batch are decided in their order: when its last is completed, all are.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Final

import msgspec

from node.cli.request import JsonObject
from scripts.alliance.brands import AURORA, BLUEBIRD, rate
from scripts.alliance.members import Person
from scripts.alliance.process import AllianceFailed
from scripts.benchmark.callers import Caller, at_a_pace, at_once
from scripts.benchmark.figures import ROUNDS, Figure, Round
from scripts.benchmark.members import Ids, any_conversion, linked_people
from scripts.benchmark.nodes import caller_of, nodes_at
from scripts.benchmark.places import Place

NAME: Final = "conversions"
PACE: Final = 100
BATCH: Final = 50
OFFERED: Final = (500, 1_000, 1_100, 1_500, 2_000)
"""Conversions a second that are asked for in batches, whatever becomes of those before.

A round ends with its last conversion, so that a second's worth is done by who is offered a tenth more.
"""

SECONDS: Final = 5
CALLERS: Final = 32
PACED_CALLERS: Final = 96
"""Enough that every batch leaves when it is due, though each caller waits until its batch is final."""

PEOPLE: Final = 64
POINTS: Final = 100_000_000
_WAIT_SECONDS: Final = 30


class _Conversion(msgspec.Struct, frozen=True):
    state: str


_CONVERSION: Final = msgspec.json.Decoder(_Conversion)


@dataclass(frozen=True, slots=True)
class _Pair:
    """Two nodes with members who can convert, and callers of the source."""

    callers: Sequence[Caller]
    people: Sequence[Person]
    ids: Ids

    def order(self, caller: Caller, number: int) -> None:
        """Order a conversion and wait until both ledgers have it."""
        order = self._order(number)
        caller.post("/v1/conversions", order)
        self._wait(caller, order)

    def orders(self, caller: Caller, number: int) -> None:
        """Order a batch and wait until both ledgers have all of it."""
        orders = [self._order(number * BATCH + place) for place in range(BATCH)]
        caller.post_each("/v1/conversions/batch", orders)
        self._wait(caller, orders[-1])

    def check(self) -> None:
        """Raise `AllianceFailed` unless all that was ordered is completed."""
        for state in ("pending", "returned"):
            if any_conversion(self.callers[0], state=state):
                raise AllianceFailed(f"a conversion of the benchmark is {state} though those after it are completed")

    def _order(self, number: int) -> JsonObject:
        person = self.people[number % len(self.people)]
        amount = rate(AURORA, BLUEBIRD).source_step
        return {
            "id": self.ids(),
            "account": person.account(AURORA),
            "partner": BLUEBIRD.ledger,
            "amount": amount,
        }

    def _wait(self, caller: Caller, order: JsonObject) -> None:
        found = _CONVERSION.decode(caller.get(f"/v1/conversions/{order['id']}?wait={_WAIT_SECONDS}"))
        if found.state != "completed":
            raise AllianceFailed(f"a conversion of the benchmark is {found.state}")


def measure(place: Place) -> Iterator[Figure]:
    """Yield the figures of two nodes: orders one by one at a pace, batches at growing paces, and all that can be."""
    for store in place.stores:
        with nodes_at(place, store, (AURORA, BLUEBIRD)) as alliance, ExitStack() as stack:
            callers = [stack.enter_context(caller_of(alliance.nodes[AURORA])) for _ in range(PACED_CALLERS)]
            pair = _Pair(callers, linked_people(alliance, Ids(1), PEOPLE, points=POINTS), Ids(2))
            tell = partial(place.conditions.figure, NAME, store=store)
            many = range(place.few(ROUNDS, quick=1))
            count = place.few(SECONDS * PACE, quick=PACE)
            few = callers[:CALLERS]
            rounds = [at_a_pace(few, pair.order, count=count, per_second=PACE) for _ in many]
            yield tell(rounds, callers=CALLERS, offered=PACE)
            yield tell([at_once(few, pair.order, each=place.few(40, quick=10)) for _ in many], callers=CALLERS)
            for offered in OFFERED if not place.quick else OFFERED[:3]:
                rounds = [_paced(pair, offered, seconds=place.few(SECONDS, quick=2)) for _ in many]
                yield tell(rounds, batch=BATCH, callers=PACED_CALLERS, offered=offered)
            each = place.few(8, quick=2)
            rounds = [at_once(few, pair.orders, each=each, units=BATCH) for _ in many]
            yield tell(rounds, batch=BATCH, callers=CALLERS)
            pair.check()


def _paced(pair: _Pair, offered: int, *, seconds: int) -> Round:
    return at_a_pace(
        pair.callers, pair.orders, count=offered * seconds // BATCH, per_second=offered / BATCH, units=BATCH
    )
