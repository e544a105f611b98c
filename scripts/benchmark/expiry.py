"""`expiry`: a node posts lots that have expired while others write: how fast, and what that does to their writes."""

import re
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec

from node.app.directory import create_node_directory, database_url
from node.app.open import keyring_of
from node.app.system import SystemRandomness
from node.client import read_token
from node.config import load_config
from node.engine.engine import Engine
from node.ports import NoFaults
from node.store.database import Database
from protocol.identifiers import Account
from protocol.ledger.commands import AnyCommand, IssuePoints, OpenAccount
from scripts.alliance.alliance import BACKEND, OPERATOR
from scripts.alliance.brands import AURORA, CURRENCY
from scripts.alliance.process import AllianceFailed, NodeProcess, find_free_ports
from scripts.alliance.progress import say
from scripts.benchmark.callers import Caller, at_a_pace
from scripts.benchmark.engine import REQUEST, commit
from scripts.benchmark.figures import Figure, Round
from scripts.benchmark.nodes import Ids
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
CALLERS: Final = 16
SEED: Final = 3
_COMMIT: Final = 8_000
_STRETCH_SECONDS: Final = 2
_LOOK_SECONDS: Final = 3
"""A look costs the node something, too: it is no part of what is measured."""

_MINUTES_MAX: Final = 60
_MEBIBYTE: Final = 1_024


class _Left(msgspec.Struct, frozen=True):
    lots: int


class _Ledger:
    """A node's directory with lots that expired yesterday, and members who go on spending."""

    def __init__(self, directory: Path, url: str, port: int, *, lots: int) -> None:
        self.directory = directory
        self.ids = Ids(SEED)
        self.spenders = [Account(f"member/{self.ids()}") for _ in range(SPENDERS)]
        settings: Mapping[str, object] = {"port": port, **({"database_url": url} if url else {})}
        create_node_directory(
            directory,
            ledger=AURORA.ledger,
            points=AURORA.points,
            points_name=AURORA.points_name,
            url=f"http://127.0.0.1:{port}",
            currencies=(CURRENCY,),
            settings=settings,
        )
        config = load_config(directory)
        with Database.open(database_url(directory, config)) as database, database.writer() as writer:
            keyring = keyring_of(directory, config)
            engine = Engine(writer, keyring=keyring, randomness=SystemRandomness(), faults=NoFaults())
            self._fill(engine, lots)

    def _fill(self, engine: Engine, lots: int) -> None:
        commands = [each for account in self.spenders for each in self._member(account, POINTS, None)]
        yesterday = (datetime.now(UTC) - timedelta(days=1)).date().isoformat()
        for number in range(0, lots, LOTS_AN_ACCOUNT):
            account = Account(f"member/{self.ids()}")
            commands += self._member(account, 100, yesterday, lots=min(LOTS_AN_ACCOUNT, lots - number))
            if len(commands) >= _COMMIT:
                commit(engine, commands)
                commands = []
        commit(engine, commands)

    def _member(self, account: Account, points: int, last: str | None, *, lots: int = 1) -> Iterator[AnyCommand]:
        yield OpenAccount(id=self.ids(), account=account, request=REQUEST)  # type: ignore[arg-type]
        for _ in range(lots):
            yield IssuePoints(
                id=self.ids(),  # type: ignore[arg-type]
                account=account,
                amount=points,
                expires_on=last,
                occurred_on=last,
                request=REQUEST,
            )


def measure(place: Place) -> Iterator[Figure]:
    """Yield, for every store, the lots that a node posts in a second, and others' writes meanwhile."""
    lots = place.few(place.lots, quick=min(place.lots, 5_000))
    for store in place.stores:
        (port,) = find_free_ports(1)
        say(f"giving members {lots:,} lots")
        ledger = _Ledger(place.fresh("expiry"), place.database(store), port, lots=lots)
        with _running(ledger, port) as node, ExitStack() as stack:
            callers = [stack.enter_context(_caller(node, BACKEND)) for _ in range(CALLERS)]
            operator = stack.enter_context(_caller(node, OPERATOR))
            before = _memory(node)
            posted, others = _while_it_expires(ledger, callers, operator, lots)
            say(f"memory: {before} MiB at the start, {_memory(node)} MiB at most")
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


@contextmanager
def _running(ledger: _Ledger, port: int) -> Iterator[NodeProcess]:
    node = NodeProcess(AURORA, ledger.directory, port, ledger.directory.with_suffix(".log"))
    try:
        node.start()
        node.wait_ready()
        yield node
    finally:
        node.stop()


def _caller(node: NodeProcess, role: str) -> Caller:
    return Caller(node.url, read_token(node.token_file(role)))


def _memory(node: NodeProcess) -> int:
    """Return the most memory that the node's process has had so far, in MiB."""
    status = Path(f"/proc/{node.pid}/status").read_text(encoding="ascii")
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(found[1]) // _MEBIBYTE if found else 0
