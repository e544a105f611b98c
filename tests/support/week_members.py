"""The members of a week: people with accounts at three brands, who order conversions, refunds and second thoughts."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import permutations
from random import Random
from typing import Final, TypeAlias

from node.services.answers import ConversionAnswer, EntryAnswer
from node.services.pending import Pending
from node.services.requests import (
    AcceptLinkRequest,
    IssueLinkRequest,
    IssueRequest,
    OpenAccountRequest,
    OrderRequest,
)
from protocol.identifiers import Account, Id, Ledger
from scripts.alliance.brands import Brand
from tests.support.documents import uuid
from tests.support.week_terms import STEPS_MAX, Pair, Terms, Way, way_between
from tests.support.whole_nodes import Street

PEOPLE: Final = 48
POINTS: Final = 5_000_000
ACCEPT_SECONDS: Final = 3_600
LATE_SECONDS: Final = 1
"""How long the partner has for an order that will reach it too late."""

REFUNDS: Final = 0.04
CANCELLED: Final = 0.02
LATE: Final = 0.01
"""Which part of the orders go back, are cancelled at once, or reach the partner after their deadline."""


@dataclass(slots=True, kw_only=True)
class Order:
    """A conversion that a member ordered; each step gives `gives` points, and `left` steps have not gone back."""

    id: Id
    source: Brand
    destination: Brand
    person: int
    day: int = 0
    gives: int = 0
    left: int = 0
    is_refund: bool = False
    completes: bool = False

    def is_between(self, pair: Pair) -> bool:
        """Return whether it goes from one brand of the pair to the other."""
        return {self.source, self.destination} == set(pair)


Asked: TypeAlias = tuple[Order, OrderRequest, Pending[EntryAnswer]]


@dataclass
class Members:
    """People with an account at every brand, linked all ways, and what they have ordered so far."""

    street: Street
    random: Random
    orders: list[Order] = field(default_factory=list)

    def settle_in(self) -> None:
        """Open and link everybody's accounts and issue points to them."""
        for brand, each in self.street.nodes.items():
            points = each.node.points
            opened = [
                points.open_account(OpenAccountRequest(id=uuid(f"open {brand.name} {person}"), account=account(person)))
                for person in range(PEOPLE)
            ]
            issued = [
                IssueRequest(id=uuid(f"issue {brand.name} {person}"), account=account(person), amount=POINTS)
                for person in range(PEOPLE)
            ]
            assert len([one.result() for one in opened]) == PEOPLE
            assert len(points.write_each(issued, atomic=True).result()) == PEOPLE
        for source, destination in permutations(self.street.nodes, 2):
            self._link(source, destination)

    def _link(self, source: Brand, destination: Brand) -> None:
        here, there = self.street.nodes[source], self.street.nodes[destination]
        issued = [
            there.node.links.issue(
                IssueLinkRequest(
                    id=uuid(f"issue link {source.name} {destination.name} {person}"),
                    account=account(person),
                    partner=here.ledger,
                )
            )
            for person in range(PEOPLE)
        ]
        accepted = [
            here.node.links.accept(
                AcceptLinkRequest(
                    id=uuid(f"accept link {source.name} {destination.name} {person}"),
                    account=account(person),
                    document=json.dumps(one.result().document, sort_keys=True, separators=(",", ":")),
                )
            )
            for person, one in enumerate(issued)
        ]
        for one in accepted:
            one.result()

    def order(self, count: int, terms: Mapping[Pair, Terms], *, day: int) -> None:
        """Let members order `count` conversions each way, and change their mind about some.

        `day` is the one on which their partners will decide.
        """
        asked = [
            self._ask(source, destination, way_between(terms, source, destination))
            for source, destination in permutations(self.street.nodes, 2)
            for _ in range(count)
        ]
        given = [_given(*one, day=day) for one in asked]
        self.orders += given
        for one in given:
            if one.completes and self.random.random() < CANCELLED:
                one.completes = False
                self.street.nodes[one.source].node.conversions.cancel(one.id).result()

    def _ask(self, source: Brand, destination: Brand, way: Way) -> Asked:
        steps, person = self.random.randint(1, STEPS_MAX), self.random.randrange(PEOPLE)
        amount = steps * way.step[0] + self.random.randrange(way.step[0])
        original = self._returnable(source, destination) if self.random.random() < REFUNDS else None
        if original is not None:
            steps, person = self.random.randint(1, original.left), original.person
            original.left -= steps
            amount = steps * original.gives
        request = OrderRequest(
            id=uuid(f"order {self.random.random()}"),
            account=account(person),
            partner=Ledger(destination.ledger),
            amount=amount,
            accept_within_seconds=LATE_SECONDS if self.random.random() < LATE else ACCEPT_SECONDS,
            refund_of=original.id if original else None,
        )
        blank = Order(id=request.id, source=source, destination=destination, person=person)
        return blank, request, self.street.nodes[source].node.conversions.order(request)

    def _returnable(self, source: Brand, destination: Brand) -> Order | None:
        """Return a conversion that came to `source` before this round and can go back, or None."""
        found = [
            one
            for one in self.orders
            if (one.source, one.destination) == (destination, source) and one.completes and one.left
        ]
        return self.random.choice(found) if found else None


def _given(order: Order, request: OrderRequest, answer: Pending[EntryAnswer], *, day: int) -> Order:
    found = answer.result()
    assert isinstance(found, ConversionAnswer)
    order.day = day
    order.gives = found.destination_points // found.steps
    order.is_refund = request.refund_of is not None
    order.left = 0 if order.is_refund else found.steps
    order.completes = request.accept_within_seconds == ACCEPT_SECONDS
    return order


def account(person: int) -> Account:
    """Return the account of a person, which has one id everywhere."""
    return Account(f"member/{uuid(f'person {person}')}")
