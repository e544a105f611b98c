"""A week of three brands: members convert all day, operators dispute, decide, pay and confirm; all of it from one seed.

Members' orders go to the services; what operators and partners do goes over HTTP. Windows close at midnight and are
settled the next morning.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from random import Random
from typing import Final

import msgspec

from protocol.fields import parse_time
from protocol.statement import DisputedLine, SignedStatement
from scripts.alliance.brands import AURORA, BLUEBIRD, CEDAR, Brand
from tests.support.documents import uuid
from tests.support.week_members import Members, Order
from tests.support.week_terms import DAYS, FIRST, LATER, MONDAY, ORDERS_A_DAY, Pair, Terms, document
from tests.support.week_views import (
    Exceptions,
    Exposure,
    Flagged,
    Partners,
    Proposals,
    Row,
    Shown,
    Statements,
    Window,
    Windows,
)
from tests.support.whole_nodes import Street, WholeNode

SEED: Final = "a week in March"
ROUNDS: Final = (9, 12, 15, 18, 21)
"""The hours of the day at which members order; a few more order half a minute before midnight."""

MIDNIGHT_ORDERS: Final = 3
DISPUTED: Final = 0.01
AWAY: Final = ((BLUEBIRD, CEDAR), 4)
"""The pair and the window that no operator looks at: what is in dispute is listed again by itself after a day."""

REGRETTED: Final = ((AURORA, CEDAR), 5)
"""The pair and the window whose statement takes back what an earlier one has billed."""

REGRETTED_VALUE: Final = 1_234_567
BOUNCED: Final = ((AURORA, BLUEBIRD), 2)
"""The pair and the window whose first payment comes back."""

PRICES_CHANGE: Final = ((AURORA, CEDAR), 4)
"""The pair that agrees on new terms, and the morning on which it does."""


class Moment(StrEnum):
    """When a line is put in dispute: on its day, once its window is closed, or once its bill is proposed."""

    OPEN = "open"
    CLOSED = "closed"
    PROPOSED = "proposed"


class Fate(StrEnum):
    """How a line in dispute goes on in the next statement."""

    UPHELD = "upheld"
    REDUCED = "reduced"
    WAIVED = "waived"
    KEPT = "kept"


FATES: Final = {Fate.UPHELD: 5, Fate.REDUCED: 3, Fate.WAIVED: 3, Fate.KEPT: 3}
REASONS: Final = ("terms", "not_credited", "late", "other", "missing", "rejected")


class _Digest(msgspec.Struct, frozen=True):
    digest: str


class _Reply(msgspec.Struct, frozen=True):
    reply: dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """A line that one brand puts in dispute."""

    order: Order
    by: Brand
    moment: Moment


@dataclass
class Week:
    """Everything that happens; `terms` are those in force, `agreed` all that were, by their documents' digests."""

    street: Street
    random: Random = field(default_factory=lambda: Random(SEED))
    terms: dict[Pair, Terms] = field(default_factory=dict)
    agreed: dict[str, Terms] = field(default_factory=dict)
    doubts: dict[tuple[Pair, int], list[Doubt]] = field(default_factory=dict)
    fates: dict[tuple[str, int], Fate] = field(default_factory=dict)
    regretted: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.members = Members(self.street, self.random)

    def live(self) -> None:
        """Let the brands become partners, live for a week and settle it."""
        self.begin()
        for day in range(1, DAYS + 1):
            self._day(day)
            self._night(day)
            self._morning(day)

    def node(self, brand: Brand) -> WholeNode:
        """Return a brand's node."""
        return self.street.nodes[brand]

    def lines(self, pair: Pair, day: int | None = None) -> list[Order]:
        """Return what a pair's members have ordered to be decided, and credited, on a day, or on all so far."""
        return [
            order
            for order in self.members.orders
            if order.completes and order.is_between(pair) and (day is None or order.day == day)
        ]

    # --- Before the week.

    def begin(self) -> None:
        """Let everybody meet: partners, agreements, members."""
        for first, second in FIRST:
            invitation = msgspec.json.decode(self.node(first).post("/v1/partners/invitations", {}))
            reply = self.node(second).post("/v1/partners", {"invitation": invitation})
            self.node(first).post("/v1/partners", {"invitation": msgspec.json.decode(reply, type=_Reply).reply})
        for pair, terms in FIRST.items():
            self._agree(pair, terms)
        self.members.settle_in()
        self.street.talk()

    def _agree(self, pair: Pair, terms: Terms) -> None:
        first, second = map(self.node, pair)
        body = {"partner": second.ledger, "terms": document(pair, terms)}
        digest = msgspec.json.decode(first.post("/v1/agreements/proposals", body), type=_Digest).digest
        self.street.work()
        second.post("/v1/agreements", {"digest": digest})
        self.street.work()
        self.terms[pair] = self.agreed[digest] = terms

    # --- A day, its night and the morning after.

    def _day(self, day: int) -> None:
        for hour in ROUNDS:
            self._wait_until(day, hours=hour)
            self.members.order(ORDERS_A_DAY // len(ROUNDS), self.terms, day=day)
            self.street.clock.advance(5)
            self.street.talk()
        self._wait_until(day, hours=22)
        for pair in FIRST:
            self.doubts[pair, day] = self._doubt(pair, day)
            self._dispute(pair, day, Moment.OPEN)
        self.street.talk()
        if day < DAYS:
            self._wait_until(day, hours=23, minutes=59, seconds=30)
            self.members.order(MIDNIGHT_ORDERS, self.terms, day=day + 1)

    def _night(self, day: int) -> None:
        self._wait_until(day, hours=24)
        self.street.work()
        for pair in FIRST:
            self._dispute(pair, day, Moment.CLOSED)
        self.street.talk()
        self.street.work()
        for pair in FIRST:
            self._dispute_proposal(pair, day)
        self.street.work(3)

    def _morning(self, day: int) -> None:
        self._wait_until(day + 1, hours=8)
        self.street.work(3)
        for pair in FIRST:
            if (pair, day) != AWAY:
                self._decide(pair, day)
        self._pay()
        pair, morning = PRICES_CHANGE
        if day + 1 == morning:
            self._agree(pair, LATER)

    def _wait_until(self, day: int, *, hours: int, minutes: int = 0, seconds: int = 0) -> None:
        clock = self.street.clock
        until = parse_time(MONDAY) + timedelta(days=day - 1, hours=hours, minutes=minutes, seconds=seconds)
        left = (until - clock.now()).total_seconds()
        assert left >= 0, "the day is too full"
        clock.advance(left)

    # --- Disputes, and how they end.

    def _doubt(self, pair: Pair, day: int) -> list[Doubt]:
        """Choose what is put in dispute: one in a hundred of all lines so far."""
        before = sum(len(doubts) for (one, _), doubts in self.doubts.items() if one == pair)
        wanted = round(len(self.lines(pair)) * DISPUTED) - before
        chosen = self.random.sample(self.lines(pair, day), wanted)
        return [self._doubt_of(order, pair, day) for order in chosen]

    def _doubt_of(self, order: Order, pair: Pair, day: int) -> Doubt:
        moment = self.random.choice(list(Moment))
        if moment is Moment.PROPOSED and (pair, day) == AWAY:
            moment = Moment.CLOSED
        by = pair[1] if moment is Moment.PROPOSED else self.random.choice(pair)
        return Doubt(order=order, by=by, moment=moment)

    def _dispute(self, pair: Pair, day: int, moment: Moment) -> bool:
        chosen = [doubt for doubt in self.doubts[pair, day] if doubt.moment is moment]
        for doubt in chosen:
            partner = pair[0] if doubt.by is pair[1] else pair[1]
            body = {
                "id": uuid(f"dispute {doubt.order.id}"),
                "partner": partner.ledger,
                "window": day,
                "direction": "out" if doubt.order.source is doubt.by else "in",
                "lines": [doubt.order.id],
                "reason": self.random.choice(REASONS),
            }
            self.node(doubt.by).post("/v1/windows/disputes", body)
        return bool(chosen)

    def _dispute_proposal(self, pair: Pair, window: int) -> bool:
        """Let the second party dispute what it does not want to sign, if the first one has proposed a statement."""
        if self._window(pair, window).proposed is None:
            return False
        disputed = self._dispute(pair, window, Moment.PROPOSED)
        self.street.talk()
        return disputed

    def _decide(self, pair: Pair, window: int) -> None:
        """Let both operators end disputes of the window before and sign, unless their nodes have signed already."""
        if self._window(pair, window).state != "reconciled":
            return
        first, second = map(self.node, pair)
        adjustments = [*self._adjustments(pair, window), *self._taken_back(pair, window)]
        asked = {"partner": second.ledger, "window": window, "adjustments": adjustments}
        first.post("/v1/statements", asked)
        self.street.talk()
        if self._dispute_proposal(pair, window):
            first.post("/v1/statements", asked)
            self.street.talk()
        (found,) = second.read("/v1/statements/proposals", Proposals, partner=first.ledger).proposals
        assert (found.window, found.by) == (window, first.ledger)
        second.post("/v1/statements", {"partner": first.ledger, "proposal": found.digest})
        self.street.talk()

    def _adjustments(self, pair: Pair, window: int) -> Iterator[dict[str, object]]:
        for line in self._open_disputes(pair, window):
            fate = self.random.choices(list(FATES), weights=list(FATES.values()))[0]
            self.fates[line.id, window] = fate
            if fate is Fate.REDUCED:
                yield {"conversion": line.id, "reason": fate, "value": line.value * 37 // 100 + 1}
            elif fate is not Fate.KEPT:
                yield {"conversion": line.id, "reason": fate}

    def _taken_back(self, pair: Pair, window: int) -> Iterator[dict[str, object]]:
        """Take back what the second window has billed: one line as a whole, and a part of another."""
        if (pair, window) != REGRETTED:
            return
        doubted = {doubt.order.id for doubt in self.doubts[pair, 2]}
        whole, part = self.random.sample([order for order in self.lines(pair, 2) if order.id not in doubted], 2)
        self.regretted = {whole.id, part.id}
        yield {"conversion": whole.id, "reason": "taken_back"}
        yield {"conversion": part.id, "reason": "taken_back", "value": REGRETTED_VALUE}

    def _open_disputes(self, pair: Pair, window: int) -> Sequence[DisputedLine]:
        for row in self.statements(*pair):
            if row.window == window - 1:
                bills = self.signed(row.digest, pair[0]).statement.directions
                return [line for bill in bills for line in bill.disputed]
        return []

    # --- Money.

    def _pay(self) -> None:
        for pair in FIRST:
            for row in self.statements(*pair):
                if row.state == "agreed":
                    self._pay_one(pair, row)

    def _pay_one(self, pair: Pair, row: Row) -> None:
        payer, payee = map(self.node, pair if row.payer == pair[0].ledger else pair[::-1])
        path, name = f"/v1/statements/{row.digest}", f"{pair[0].points}{pair[1].points} {row.window}"
        payer.post(f"{path}/payment", {"id": uuid(f"payment {name}"), "reference": f"RF {name}"})
        self.street.talk()
        if (pair, row.window) == BOUNCED:
            payer.post(f"{path}/return", {"id": uuid(f"return {name}")})
            payer.post(f"{path}/payment", {"id": uuid(f"another payment {name}"), "reference": f"RF {name} again"})
            self.street.talk()
        payee.post(f"{path}/confirmation", {"id": uuid(f"confirmation {name}")})
        self.street.talk()

    # --- What operators see.

    def fates_of(self, pair: Pair, window: int) -> dict[str, Fate]:
        """Return how operators decided about the lines in dispute when they signed a window's statement."""
        lines: set[str] = {order.id for order in self.lines(pair)}
        return {line: fate for (line, at), fate in self.fates.items() if at == window and line in lines}

    def statements(self, brand: Brand, partner: Brand) -> list[Row]:
        """Return the statements with a partner, the first window first."""
        found = self.node(brand).read("/v1/statements", Statements, partner=partner.ledger)
        assert found.next is None
        return list(found.statements[::-1])

    def windows(self, brand: Brand, partner: Brand) -> list[Window]:
        """Return the windows with a partner, the first one first."""
        found = self.node(brand).read("/v1/windows", Windows, partner=partner.ledger)
        assert found.next is None
        return list(found.windows[::-1])

    def shown(self, digest: str, brand: Brand) -> Shown:
        """Return a statement as one party's node shows it."""
        return self.node(brand).read(f"/v1/statements/{digest}", Shown)

    def signed(self, digest: str, brand: Brand) -> SignedStatement:
        """Return a statement's document, as it is written: nothing in it is checked."""
        return msgspec.json.decode(self.shown(digest, brand).signed, type=SignedStatement)

    def exposure(self, at: Brand, partner: Brand, direction: str) -> Exposure:
        """Return what is open at one brand's node with another, one way."""
        rows = self.node(at).read("/v1/partners", Partners).partners
        found = (row.exposure for row in rows if row.ledger == partner.ledger)
        return next(each for each in next(found) if each.direction == direction)

    def exceptions(self, brand: Brand) -> tuple[Flagged, ...]:
        """Return what a brand's operator should look at."""
        return self.node(brand).read("/v1/exceptions", Exceptions).exceptions

    def _window(self, pair: Pair, window: int) -> Window:
        return next(one for one in self.windows(*pair) if one.window == window)
