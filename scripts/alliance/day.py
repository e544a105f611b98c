"""A seeded day of the alliance: members earn, redeem, transfer and convert, and one node dies in the middle of it.

What members do follows from the seed. When a conversion is decided depends on the machine; how it ends does not.
"""

import random
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import cycle, islice
from typing import Final
from uuid import UUID

from node.client import Query, RequestRefused
from node.client.answers import ConversionList, ConversionState
from protocol.encoding import JsonValue
from scripts.alliance.alliance import Alliance
from scripts.alliance.brands import AURORA, BLUEBIRD, BRANDS, CEDAR, RATES, Brand, Rate, rate
from scripts.alliance.members import Clients, Person, join_all, link, open_account
from scripts.alliance.process import AllianceFailed
from scripts.alliance.progress import say

PERSONS: Final = 10
EARNINGS_MIN: Final = 6
EARNED_POINTS: Final = (6_000, 12_000)
STEPS_MAX: Final = 2
CLOSED: Final = 3
SHORT_DEADLINE_SECONDS: Final = 1
KNOCK_SECONDS: Final = 0.1
SETTLE_SECONDS_MAX: Final = 40.0
LOOK_SECONDS: Final = 0.1
CONVERSIONS_MIN: Final = 24
REASONS: Final = ("account_closed", "cancelled", "expired")
"""Every reason for which something that a member did, or left undone, makes a partner return a conversion."""


@dataclass(frozen=True, slots=True)
class Order:
    """A conversion that was ordered, and the reason for which it must be returned, if it must."""

    id: str
    source: Brand
    destination: Brand
    reason: str | None


@dataclass(slots=True)
class Day:
    """What happens in a day, and what came of it."""

    alliance: Alliance
    clients: Clients
    rng: random.Random
    people: list[Person] = field(default_factory=list)
    orders: list[Order] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)

    def make_id(self) -> str:
        """Return the next random UUID of this day."""
        return str(UUID(int=self.rng.getrandbits(128), version=4))

    def person(self) -> Person:
        """Return somebody."""
        return self.rng.choice(self.people)

    def post(self, brand: Brand, path: str, body: dict[str, JsonValue]) -> None:
        """Send a request with a fresh id, which must succeed."""
        self.clients[brand].post(path, {"id": self.make_id(), **body})

    def issue(self, brand: Brand, account: str, amount: int) -> None:
        """Let an account earn points."""
        self.post(brand, "/v1/transactions", {"type": "issue", "account": account, "amount": amount})

    def order(
        self, one: Rate, *, person: Person | None = None, reason: str | None = None, within: int | None = None
    ) -> str:
        """Order a conversion of one or two steps and a rest that does not fill a step; return its id."""
        amount = self.rng.randint(1, STEPS_MAX) * one.source_step + self.rng.randrange(one.source_step)
        conversion = self.make_id()
        body: dict[str, JsonValue] = {
            "id": conversion,
            "account": (person or self.person()).account(one.source),
            "partner": one.destination.ledger,
            "amount": amount,
            "accept_within_seconds": within,
        }
        self.clients[one.source].post("/v1/conversions", body)
        self.orders.append(Order(conversion, one.source, one.destination, reason))
        return conversion

    def order_cancelled(self, one: Rate) -> None:
        """Order a conversion and think better of it at once."""
        conversion = self.order(one, reason="cancelled")
        self.post(one.source, f"/v1/conversions/{conversion}/cancel", {})

    def expect_refusal(self, code: str, brand: Brand, path: str, body: dict[str, JsonValue]) -> None:
        """Send a request that must be refused with `code`."""
        try:
            self.clients[brand].post(path, {"id": self.make_id(), **body})
        except RequestRefused as refused:
            if refused.code != code:
                raise AllianceFailed(f"{path} was refused with {refused.code}, not {code}: {refused}") from refused
            self.refused[code] += 1
            return
        raise AllianceFailed(f"{path} was accepted, where {code} was due")


def play(day: Day, *, conversions: int) -> None:
    """Play the whole day, with `conversions` conversions in it, and return when nothing is pending."""
    late = max(3, conversions // 30)
    special = CLOSED + 2 * late
    ordinary = conversions - special
    part = (ordinary - late) * 2 // 5
    rates = cycle(RATES)
    _arrive(day)
    _earn_and_spend(day, earnings=max(EARNINGS_MIN, conversions // 20))
    say(f"members convert: {ordinary} ordinary conversions and {special} that will be returned")
    _convert(day, islice(rates, part))
    _leave_closed_accounts(day)
    _try_what_is_refused(day)
    _storm(day, list(islice(rates, part)), count=late)
    _convert(day, islice(rates, ordinary - late - 2 * part))
    _settle(day)


def _arrive(day: Day) -> None:
    say(f"{PERSONS} people open accounts at all three brands and link them")
    for _ in range(PERSONS):
        person = Person({brand: day.make_id() for brand in BRANDS})
        join_all(day.clients, person, day.make_id)
        day.people.append(person)


def _earn_and_spend(day: Day, *, earnings: int) -> None:
    say("members earn, redeem, transfer and reserve points")
    for person in day.people:
        for brand in BRANDS:
            items: list[JsonValue] = [
                {
                    "id": day.make_id(),
                    "type": "issue",
                    "account": person.account(brand),
                    "amount": day.rng.randint(*EARNED_POINTS),
                }
                for _ in range(earnings)
            ]
            day.clients[brand].post("/v1/transactions/batch", {"atomic": True, "items": items})
    for brand in BRANDS:
        for giver, taker in zip(day.people, [*day.people[1:], day.people[0]], strict=True):
            account = giver.account(brand)
            redeemed, given = day.rng.randint(100, 2_000), day.rng.randint(100, 900)
            day.post(brand, "/v1/transactions", {"type": "redeem", "account": account, "amount": redeemed})
            transfer: dict[str, JsonValue] = {"type": "transfer", "account": account, "amount": given}
            day.post(brand, "/v1/transactions", {**transfer, "to": taker.account(brand)})
        for capture in (True, False):
            hold = day.make_id()
            day.post(brand, "/v1/holds", {"id": hold, "account": day.person().account(brand), "amount": 500})
            day.post(brand, f"/v1/holds/{hold}/{'capture' if capture else 'release'}", {})


def _convert(day: Day, rates: Iterable[Rate]) -> None:
    for one in rates:
        day.order(one)


def _leave_closed_accounts(day: Day) -> None:
    """Close accounts at the destination that the source still knows: conversions to them come back."""
    for one in (rate(AURORA, BLUEBIRD), rate(BLUEBIRD, CEDAR), rate(CEDAR, AURORA)):
        person = Person({brand: day.make_id() for brand in BRANDS})
        for brand in (one.source, one.destination):
            open_account(day.clients[brand], person.ids[brand])
        link(day.clients, one.source, one.destination, person=person, ids=(day.make_id(), day.make_id()))
        day.issue(one.source, person.account(one.source), 3 * one.source_step)
        day.post(one.destination, f"/v1/accounts/{person.account(one.destination)}/close", {})
        day.order(one, person=person, reason="account_closed")


def _try_what_is_refused(day: Day) -> None:
    say("members ask for what cannot be done")
    account = day.person().account(AURORA)
    nobody, poor = f"member/{day.make_id()}", day.make_id()
    open_account(day.clients[AURORA], poor)
    transactions, conversions = "/v1/transactions", "/v1/conversions"
    to_bluebird: dict[str, JsonValue] = {"account": account, "partner": BLUEBIRD.ledger}
    cases: list[tuple[str, str, dict[str, JsonValue]]] = [
        ("insufficient_points", transactions, {"type": "redeem", "account": account, "amount": 10**9}),
        ("account_unknown", transactions, {"type": "redeem", "account": nobody, "amount": 1}),
        ("same_account", transactions, {"type": "transfer", "account": account, "to": account, "amount": 1}),
        ("less_than_a_step", conversions, {**to_bluebird, "amount": 999}),
        ("link_unknown", conversions, {**to_bluebird, "account": f"member/{poor}", "amount": 1_000}),
        ("partner_unknown", conversions, {**to_bluebird, "partner": "dahlia.example/main.1", "amount": 1_000}),
        ("conversion_unknown", f"{conversions}/{day.make_id()}/cancel", {}),
    ]
    for code, path, body in cases:
        day.expect_refusal(code, AURORA, path, body)
    body = {"id": day.make_id(), "type": "issue", "account": account, "amount": 1}
    day.post(AURORA, transactions, body)
    day.expect_refusal("id_reused", AURORA, transactions, {**body, "amount": 2})


def _storm(day: Day, rates: list[Rate], *, count: int) -> None:
    """Kill one node while conversions to and from it are open, go on without it, and start it again."""
    dead = BLUEBIRD
    _convert(day, rates[: len(rates) // 2])
    day.alliance.nodes[dead].kill()
    say(f"{dead.title}'s node is killed with signal 9; conversions to it stay pending")
    to_dead = [rate(source, dead) for source in BRANDS if source is not dead]
    for one in islice(cycle(to_dead), count):
        day.order(one, reason="expired", within=SHORT_DEADLINE_SECONDS)
    late = time.monotonic() + 1.5 * SHORT_DEADLINE_SECONDS
    _convert(day, [one for one in rates[len(rates) // 2 :] if one.source is not dead])
    time.sleep(max(0.0, late - time.monotonic()))
    for one in islice(cycle(to_dead), count):
        # A source that has just tried in vain waits a while before it tries again: time enough to think better of it.
        day.order(one)
        time.sleep(KNOCK_SECONDS)
        day.order_cancelled(one)
    day.alliance.restart(dead)
    say(f"{dead.title}'s node runs again")
    _convert(day, [one for one in rates[len(rates) // 2 :] if one.source is dead])


def _settle(day: Day) -> None:
    say("waiting until nothing is pending")
    deadline = time.monotonic() + SETTLE_SECONDS_MAX
    while pending := _pending(day):
        if time.monotonic() > deadline:
            raise AllianceFailed(f"still pending after {SETTLE_SECONDS_MAX:.0f} s: {', '.join(pending)}")
        for node in day.alliance.nodes.values():
            node.check_alive()
        time.sleep(LOOK_SECONDS)


def _pending(day: Day) -> list[str]:
    query: Query = {"state": "pending", "limit": 100}
    pages = [day.clients[brand].get("/v1/conversions", query).read(ConversionList) for brand in BRANDS]
    return [one.id for page in pages for one in page.conversions]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How the day's conversions ended: how many were credited, and how many returned for each reason."""

    ordered: int
    completed: int
    returned: Counter[str]
    surprises: tuple[str, ...]


def outcome_of(day: Day) -> Outcome:
    """Return how each ordered conversion ended; a surprise is one that ended otherwise than it had to."""
    returned: Counter[str] = Counter()
    surprises = []
    completed = 0
    for order in day.orders:
        state = day.clients[order.source].get(f"/v1/conversions/{order.id}").read(ConversionState)
        if state.state == "completed":
            completed += 1
        else:
            returned[state.reason or state.state] += 1
        if not _fits(order, state):
            surprises.append(f"{order.id} is {state.state} ({state.reason}), where {order.reason} was due")
    surprises += [f"no conversion was returned for {reason}" for reason in REASONS if not returned[reason]]
    return Outcome(ordered=len(day.orders), completed=completed, returned=returned, surprises=tuple(surprises))


def _fits(order: Order, state: ConversionState) -> bool:
    if order.reason is None:
        return state.state == "completed"
    # A member who cancels may come too late: then the conversion is completed.
    return state.reason == order.reason or (order.reason == "cancelled" and state.state == "completed")
