"""The year, sent to a running grocer's node: accounts, baskets in batches, then every household's conversions."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeVar

import msgspec

from node.client import Problem
from node.client.answers import AccountList, ConversionList
from protocol.encoding import JsonValue
from scripts.alliance.alliance import Alliance
from scripts.alliance.brands import AURORA, BLUEBIRD, BRANDS, CEDAR, Brand, rate
from scripts.alliance.members import Clients, Person, link, open_account
from scripts.alliance.process import AllianceFailed
from scripts.purchases.baskets import Basket, amounts_to_convert, id_for

BATCH_ITEMS: Final = 2_000
BATCHES_AT_ONCE: Final = 2
CALLERS: Final = 8
SETTLE_SECONDS_MAX: Final = 300.0
LOOK_SECONDS: Final = 0.25
PAGE: Final = 256

Advance = Callable[[int], None]
Track = Callable[[str, int], Advance]
"""Begins one line of progress: what is done, and how many; returns what counts it up."""

_T = TypeVar("_T")


class _Outcome(msgspec.Struct, frozen=True):
    status: int
    problem: Problem | None = None


class _Outcomes(msgspec.Struct, frozen=True):
    results: tuple[_Outcome, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """What was sent, and how long the transactions and the conversions took."""

    transactions: int
    transaction_seconds: float
    conversions: int
    conversion_seconds: float


def household(number: int) -> Person:
    """Return a household as a member: an account of its own at each brand."""
    return Person({brand: id_for(f"household/{brand.name}", number) for brand in BRANDS})


def replay(alliance: Alliance, baskets: Sequence[Basket], points: dict[int, int], *, track: Track) -> Replayed:
    """Send everything, wait until nothing is pending, and return the times."""
    with ExitStack() as stack:
        clients = {brand: stack.enter_context(alliance.client(brand)) for brand in BRANDS}
        callers = stack.enter_context(ThreadPoolExecutor(CALLERS))
        _each(callers, partial(_open, clients, CEDAR), points, track("accounts", len(points)))
        earning = [basket for basket in baskets if basket.points]
        started = time.monotonic()
        _send_baskets(clients, earning, track("baskets", len(earning)))
        sent = time.monotonic()
        wanted = list(_conversions(points))
        _each(callers, partial(_convert, clients), wanted, track("conversions", len(wanted)))
        _settle(clients, len(wanted), track)
    return Replayed(
        transactions=len(earning),
        transaction_seconds=sent - started,
        conversions=len(wanted),
        conversion_seconds=time.monotonic() - sent,
    )


def _each(callers: ThreadPoolExecutor, work: Callable[[_T], None], items: Iterable[_T], advance: Advance) -> None:
    for _ in callers.map(work, items):
        advance(1)


def _open(clients: Clients, brand: Brand, number: int) -> None:
    open_account(clients[brand], household(number).ids[brand])


def _send_baskets(clients: Clients, baskets: Sequence[Basket], advance: Advance) -> None:
    batches = [baskets[start : start + BATCH_ITEMS] for start in range(0, len(baskets), BATCH_ITEMS)]
    with ThreadPoolExecutor(BATCHES_AT_ONCE) as senders:
        for count in senders.map(partial(_send_batch, clients), batches):
            advance(count)


def _send_batch(clients: Clients, baskets: Sequence[Basket]) -> int:
    items: list[JsonValue] = [
        {
            "id": id_for("basket", basket.number),
            "type": "issue",
            "account": household(basket.household).account(CEDAR),
            "amount": basket.points,
            "occurred_on": basket.day,
        }
        for basket in baskets
    ]
    reply = clients[CEDAR].post("/v1/transactions/batch", {"atomic": False, "items": items})
    refused = [outcome.problem for outcome in reply.read(_Outcomes).results if outcome.problem is not None]
    if refused:
        raise AllianceFailed(f"{len(refused)} baskets were refused; the first with {refused[0]}")
    return len(baskets)


@dataclass(frozen=True, slots=True)
class _Wanted:
    household: int
    destination: Brand
    amount: int


def _conversions(points: dict[int, int]) -> Iterator[_Wanted]:
    steps = [rate(CEDAR, brand).source_step for brand in (AURORA, BLUEBIRD)]
    for number, earned in points.items():
        amounts = amounts_to_convert(earned, first_step=steps[0], second_step=steps[1])
        for brand, amount in zip((AURORA, BLUEBIRD), amounts, strict=True):
            if amount:
                yield _Wanted(number, brand, amount)


def _convert(clients: Clients, wanted: _Wanted) -> None:
    """Open the household's account at the other brand, link it, and order the conversion."""
    number, brand = wanted.household, wanted.destination
    person = household(number)
    open_account(clients[brand], person.ids[brand])
    ids = (id_for(f"link/{brand.name}", number), id_for(f"accept/{brand.name}", number))
    link(clients, CEDAR, brand, person=person, ids=ids)
    order: dict[str, JsonValue] = {
        "id": id_for(f"conversion/{brand.name}", number),
        "account": person.account(CEDAR),
        "partner": brand.ledger,
        "amount": wanted.amount,
    }
    clients[CEDAR].post("/v1/conversions", order)


def _settle(clients: Clients, count: int, track: Track) -> None:
    advance = track("decided", count)
    left = count
    deadline = time.monotonic() + SETTLE_SECONDS_MAX
    while left:
        pending = _count_pending(clients)
        advance(max(left - pending, 0))
        left = min(left, pending)
        if time.monotonic() > deadline:
            raise AllianceFailed(f"{pending} conversions are pending after {SETTLE_SECONDS_MAX:.0f} s")
        time.sleep(LOOK_SECONDS if left else 0)


def _count_pending(clients: Clients) -> int:
    pages = clients[CEDAR].pages("/v1/conversions", {"state": "pending", "limit": PAGE}, ConversionList)
    return sum(len(page.conversions) for page in pages)


def balances_at_cedar(alliance: Alliance) -> tuple[int, ...]:
    """Return what each account at the grocer has, in ascending order."""
    with alliance.client(CEDAR) as client:
        pages = client.pages("/v1/accounts", {"limit": PAGE}, AccountList)
        return tuple(sorted(row.posted for page in pages for row in page.accounts))
