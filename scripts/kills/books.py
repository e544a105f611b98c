"""What a node's books say after a storm, read over HTTP, and the second count that they are held against."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Final

import msgspec

from node.client import NodeClient
from node.client.answers import AccountList, AccountState, ConversionList, ConversionState
from scripts.alliance.brands import Brand
from scripts.kills.plan import Order, Plan
from scripts.kills.storm import POINTS

PAGE: Final = 256


class Incoming(msgspec.Struct, frozen=True, kw_only=True):
    """A partner's conversion as it was decided here."""

    id: str
    state: str
    destination_points: int


class IncomingList(msgspec.Struct, frozen=True, kw_only=True):
    """A page of partners' conversions."""

    conversions: tuple[Incoming, ...]


class _Entry(msgspec.Struct, frozen=True, kw_only=True):
    kind: str
    conversion: str | None = None


class _Logged(msgspec.Struct, frozen=True, kw_only=True):
    leaf: str
    entry: _Entry


class _LoggedList(msgspec.Struct, frozen=True, kw_only=True):
    entries: tuple[_Logged, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """One node's books: conversions of both directions, accounts, and the log's leaves by number.

    `kinds` counts the entries of each kind, `wishes` are the conversions whose cancellation stands in the log.
    """

    sent: tuple[ConversionState, ...]
    decided: tuple[Incoming, ...]
    accounts: Mapping[str, AccountState]
    leaves: tuple[str, ...]
    kinds: Mapping[str, int]
    wishes: frozenset[str]


def read_book(client: NodeClient) -> Book:
    """Return a node's books."""
    sent = client.pages("/v1/conversions", {"limit": PAGE}, ConversionList)
    decided = client.pages("/v1/conversions/incoming", {"limit": PAGE}, IncomingList)
    names = [
        row.account for page in client.pages("/v1/accounts", {"limit": PAGE}, AccountList) for row in page.accounts
    ]
    logged = [each for page in client.pages("/v1/entries", {"limit": PAGE}, _LoggedList) for each in page.entries]
    return Book(
        sent=tuple(chain.from_iterable(page.conversions for page in sent)),
        decided=tuple(chain.from_iterable(page.conversions for page in decided)),
        accounts={name: client.get(f"/v1/accounts/{name}").read(AccountState) for name in names},
        leaves=tuple(each.leaf for each in logged),
        kinds=Counter(each.entry.kind for each in logged),
        wishes=frozenset(
            each.entry.conversion or "" for each in logged if each.entry.kind == "conversion_cancel_requested"
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """What went from one brand to the other; `value` is in millionths of the currency."""

    completed: int = 0
    returned: int = 0
    source_points: int = 0
    destination_points: int = 0
    fee_points: int = 0
    value: int = 0


def flow(orders: Iterable[Order], completed: frozenset[str], source: Brand) -> Flow:
    """Return what must have gone from `source` to the other brand if exactly the conversions `completed` were."""
    ordered = [order for order in orders if order.source is source]
    done = [order for order in ordered if order.id in completed]
    return Flow(
        completed=len(done),
        returned=len(ordered) - len(done),
        source_points=sum(order.steps * order.rate.source_step for order in done),
        destination_points=sum(order.steps * order.rate.destination_step for order in done),
        fee_points=sum(order.rate.fee_points for order in done),
        value=sum(order.steps * order.rate.price for order in done),
    )


def balances(plan: Plan, completed: frozenset[str], brand: Brand) -> dict[str, int]:
    """Return what every account of a brand must hold if exactly the conversions `completed` were."""
    counted = {person.account(brand): POINTS for person in plan.people}
    counted |= {person.account(brand): POINTS if home is brand else 0 for home, person in plan.barred.items()}
    for order in plan.orders:
        if order.id not in completed:
            continue
        points = order.steps * order.rate.source_step + order.rate.fee_points
        gained = order.steps * order.rate.destination_step
        counted[order.person.account(brand)] += gained if order.destination is brand else -points
    return counted


def given(plan: Plan) -> int:
    """Return the points that either brand issued: to everybody, and to who is barred at its partner."""
    return POINTS * (len(plan.people) + 1)
