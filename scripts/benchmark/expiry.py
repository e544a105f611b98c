"""`expiry`: a node posts lots that have expired while others write: how fast, and what that does to their writes."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from protocol.identifiers import Account
from protocol.ledger.commands import AnyCommand, IssuePoints, OpenAccount
from scripts.alliance.alliance import OPERATOR
from scripts.alliance.process import AllianceFailed, NodeProcess
from scripts.alliance.progress import say
from scripts.benchmark.callers import Caller, at_a_pace
from scripts.benchmark.engine import REQUEST, commit_all, engine_at, fill
from scripts.benchmark.figures import Figure, Round
from scripts.benchmark.members import Ids
from scripts.benchmark.nodes import caller_of, new_node, peak_mib, running
from scripts.benchmark.places import Place

NAME: Final = "expiry"
OTHERS: Final = "expiry.others"
QUIET: Final = "expiry.quiet"
"""Others' writes once nothing is left to expire: what the machine can do without."""

PACE: Final = 100
"""Writes of others a second."""

LOTS_AN_ACCOUNT: Final = 2
SPENDERS: Final = 500
POINTS: Final = 1_000_000
EXPIRING_POINTS: Final = 100
CALLERS: Final = 16
SEED: Final = 3
_STRETCH_SECONDS: Final = 2
_LOOK_SECONDS: Final = 3
"""A look costs the node something, too: it is no part of what is measured."""

_MINUTES_MAX: Final = 60


class _Left(msgspec.Struct, frozen=True):
    lots: int


class _Ledger:
    """A node with lots that expired yesterday, and members who go on spending."""

    def __init__(self, node: NodeProcess, *, lots: int) -> None:
        self.ids = Ids(SEED)
        with engine_at(node.directory) as (engine, _):
            self.spenders = fill(engine, self.ids, SPENDERS, points=POINTS)
            commit_all(engine, self._expiring(lots))

    def _expiring(self, lots: int) -> Iterator[AnyCommand]:
        yesterday = (datetime.now(UTC) - timedelta(days=1)).date().isoformat()
        for number in range(0, lots, LOTS_AN_ACCOUNT):
            account = Account(f"member/{self.ids()}")
            yield OpenAccount(id=self.ids(), account=account, request=REQUEST)
            for _ in range(min(LOTS_AN_ACCOUNT, lots - number)):
                yield IssuePoints(
                    id=self.ids(),
                    account=account,
                    amount=EXPIRING_POINTS,
                    expires_on=yesterday,
                    occurred_on=yesterday,
                    request=REQUEST,
                )


def measure(place: Place) -> Iterator[Figure]:
    """Yield, for every store, the lots that a node posts in a second, and others' writes meanwhile."""
    lots = place.few(place.lots, quick=min(place.lots, 5_000))
    for store in place.stores:
        say(f"giving members {lots:,} lots")
        node = new_node(place.fresh("expiry"), place.database(store))
        ledger = _Ledger(node, lots=lots)
        with running(node), ExitStack() as stack:
            callers = [stack.enter_context(caller_of(node)) for _ in range(CALLERS)]
            operator = stack.enter_context(caller_of(node, OPERATOR))
            before = peak_mib(node)
            posted, others = _while_it_expires(ledger, callers, operator, lots)
            say(f"memory: {before:,.0f} MiB at the start, {peak_mib(node):,.0f} MiB at most")
            quiet = _stretch(ledger, callers)
        yield place.conditions.figure(NAME, [posted], store=store)
        yield place.conditions.figure(OTHERS, [others], store=store, callers=CALLERS, offered=PACE)
        yield place.conditions.figure(QUIET, [quiet], store=store, callers=CALLERS, offered=PACE)


def _while_it_expires(ledger: _Ledger, callers: list[Caller], operator: Caller, lots: int) -> tuple[Round, Round]:
    """Return how fast the lots went, which the node begins to post by itself, and how others' writes fared."""
    begun = time.perf_counter()
    taken: list[float] = []
    with ThreadPoolExecutor(1) as pool:
        looking = pool.submit(_until_none_is_left, operator)
        while not looking.done():
            taken += _stretch(ledger, callers).calls
        seconds = looking.result() - begun
    posted = Round(units=lots, seconds=seconds, calls=(seconds,))
    return posted, Round(units=len(taken), seconds=time.perf_counter() - begun, calls=tuple(taken))


def _stretch(ledger: _Ledger, callers: list[Caller]) -> Round:
    """Let others write for a while, at their pace."""
    count = PACE * _STRETCH_SECONDS
    return at_a_pace(callers, lambda caller, number: _spend(ledger, caller, number), count=count, per_second=PACE)


def _until_none_is_left(operator: Caller) -> float:
    """Return when the last lot was posted."""
    for _ in range(_MINUTES_MAX * 60 // _LOOK_SECONDS):
        if not msgspec.json.decode(operator.get("/v1/expiry"), type=_Left).lots:
            return time.perf_counter()
        time.sleep(_LOOK_SECONDS)
    raise AllianceFailed("the lots are not posted after an hour")


def _spend(ledger: _Ledger, caller: Caller, number: int) -> None:
    account = ledger.spenders[number % SPENDERS]
    caller.post("/v1/transactions", {"id": ledger.ids(), "type": "redeem", "account": account, "amount": 1})
