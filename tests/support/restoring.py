"""Real nodes under load whose stores are copied while they run, and put back later; all else is left as it is."""

import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import permutations
from pathlib import Path
from typing import Final
from uuid import UUID

import msgspec

from node.client import NodeClient, NodeUnreachable, RequestRefused
from node.workers.keep_state import read_state
from protocol.encoding import JsonValue
from scripts.alliance.alliance import AUDITOR, OPERATOR, Alliance, running_alliance
from scripts.alliance.brands import Brand, rate
from scripts.alliance.members import Clients, Person, link, open_account
from scripts.alliance.process import ROOT
from tests.support.copied_stores import PostgresStore, SqliteStore, Store
from tests.support.postgres import PostgresServer

CLIENTS: Final = 3
"""Clients of each node; all are at work at the same time."""

PEOPLE: Final = 5
POINTS: Final = 1_000_000
WAIT_SECONDS: Final = 60.0
LOOK_SECONDS: Final = 0.05


def poll(look: Callable[[], bool], what: str, *, tell: Callable[[], str] = str) -> None:
    """Return once `look` says so, or fail with what `tell` has to say about it."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not look():
        assert time.monotonic() < deadline, f"waited {WAIT_SECONDS:.0f} s for {what}: {tell()}"
        time.sleep(LOOK_SECONDS)


# --- Load.


@dataclass(slots=True)
class Load:
    """Members who convert between all brands, and programs that give and take points, until they are told to stop.

    A request that got no answer is sent again, as a client does.
    """

    alliance: Alliance
    people: Sequence[Person]
    brands: Sequence[Brand]
    seed: int
    ordered: dict[str, tuple[Brand, Brand]] = field(default_factory=dict)
    refused: Counter[str] = field(default_factory=Counter)
    answered: Counter[Brand] = field(default_factory=Counter)
    _stop: threading.Event = field(default_factory=threading.Event)
    _moved: threading.Lock = field(default_factory=threading.Lock)
    _failures: list[BaseException] = field(default_factory=list)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Let the clients work meanwhile."""
        self._stop.clear()
        threads = [
            threading.Thread(target=self._serve, args=(brand, number), daemon=True)
            for brand in self.brands
            for number in range(CLIENTS)
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join(WAIT_SECONDS)
        assert not self._failures, self._failures

    def wait_for_more(self, brand: Brand, count: int) -> None:
        """Return once the node of `brand` has answered so many more requests."""
        wanted = self.answered[brand] + count
        poll(lambda: bool(self._failures) or self.answered[brand] >= wanted, f"{count} more answers of {brand.title}")

    def _serve(self, brand: Brand, number: int) -> None:
        rng = random.Random(f"{self.seed} {brand.name} {number} {time.monotonic_ns()}")
        try:
            with self.alliance.client(brand, OPERATOR) as client:
                while not self._stop.is_set():
                    self._do_something(client, brand, rng)
        except BaseException as failure:  # noqa: BLE001 - the test is told
            self._failures.append(failure)

    def _do_something(self, client: NodeClient, brand: Brand, rng: random.Random) -> None:
        person, chance = rng.choice(self.people), rng.random()
        request = str(UUID(int=rng.getrandbits(128), version=4))
        if chance < 0.1:
            points: JsonValue = rng.randrange(1, 2_000)
            kind = rng.choice(["issue", "redeem"])
            self._ask(
                client,
                brand,
                "/v1/transactions",
                {"id": request, "type": kind, "account": person.account(brand), "amount": points},
            )
            return
        other = rng.choice([each for each in self.brands if each is not brand])
        terms = rate(brand, other)
        body: dict[str, JsonValue] = {
            "id": request,
            "account": person.account(brand),
            "partner": other.ledger,
            "amount": terms.source_step * rng.randrange(1, 4),
        }
        self.ordered[request] = (brand, other)
        self._ask(client, brand, "/v1/conversions", body)
        if chance < 0.25:
            self._ask(client, brand, f"/v1/conversions/{request}/cancel", {})

    def _ask(self, client: NodeClient, brand: Brand, path: str, body: dict[str, JsonValue]) -> None:
        while not self._stop.is_set():
            try:
                client.post(path, body)
            except NodeUnreachable:
                time.sleep(LOOK_SECONDS)
                continue
            except RequestRefused as refusal:
                with self._moved:
                    self.refused[refusal.code] += 1
            with self._moved:
                self.answered[brand] += 1
            return


# --- The world.


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """A conversion as its source shows it."""

    id: str
    state: str
    partner: str
    source_points: int
    destination_points: int


class Decided(msgspec.Struct, frozen=True, kw_only=True):
    """A conversion as its destination shows it."""

    id: str
    partner: str
    state: str
    destination_points: int


class _SentList(msgspec.Struct, frozen=True, kw_only=True):
    conversions: tuple[Sent, ...]


class _DecidedList(msgspec.Struct, frozen=True, kw_only=True):
    conversions: tuple[Decided, ...]


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How a node says that its ledger stands."""

    log: str
    size: int
    first_seq: int
    condition: str
    reason: str | None


@dataclass(slots=True)
class World:
    """Running nodes with members, their stores, and clients of all."""

    directory: Path
    alliance: Alliance
    brands: Sequence[Brand]
    clients: Clients
    stores: Mapping[Brand, Store]
    load: Load

    def copy(self, brand: Brand) -> Path:
        """Copy a brand's store while its node runs, and return where the copy is."""
        copy = self.directory / f"{brand.name}.copy"
        self.stores[brand].copy(copy)
        return copy

    def put_back(self, copies: Mapping[Brand, Path], *, keep_state: bool = True) -> None:
        """Kill nodes, put copies of their stores back, and start them again; keys and tokens stay."""
        for brand in copies:
            self.alliance.nodes[brand].kill()
        for brand, copy in copies.items():
            self.stores[brand].put_back(copy)
            if not keep_state:
                (self.alliance.nodes[brand].directory / "state.json").unlink()
        for brand in copies:
            self.alliance.nodes[brand].start()
        for brand in copies:
            poll(lambda brand=brand: self.lives(brand), f"{brand.title} to answer")  # type: ignore[misc]

    def lives(self, brand: Brand) -> bool:
        """Return whether a node answers at all."""
        self.alliance.nodes[brand].check_alive()
        try:
            return bool(self.clients[brand].get("/livez").data)
        except NodeUnreachable:
            return False

    def standing(self, brand: Brand) -> Standing:
        """Return how a node says that its ledger stands."""
        return self.clients[brand].get("/v1/ledger/standing").read(Standing)

    def checkpoint(self, brand: Brand) -> bytes:
        """Return the checkpoint that a node publishes."""
        return self.clients[brand].get("/checkpoint").data

    def await_condition(self, brand: Brand, condition: str) -> Standing:
        """Return how a ledger stands once it does so."""
        poll(
            lambda: self.standing(brand).condition == condition, f"{brand.title} to be {condition}", tell=self.tell_all
        )
        return self.standing(brand)

    def tell_all(self) -> str:
        """Return how all ledgers say that they stand, and what their nodes said last that was not routine."""
        told = [self.clients[brand].get("/v1/ledger/standing").data.decode() for brand in self.brands]
        for brand in self.brands:
            lines = self.alliance.nodes[brand].log_lines()
            told += [line for line in lines if '"level": "info"' not in line][-20:]
        return "\n".join(told)

    def cli(self, brand: Brand, *words: str, role: str = OPERATOR) -> "subprocess.CompletedProcess[str]":
        """Run a command against a node."""
        node = self.alliance.nodes[brand]
        return tallystick(*words, "--node", node.url, "--token-file", str(node.token_file(role)))

    def refused(self, brand: Brand) -> str:
        """Return the code with which a node refuses to write, or an empty text where it does not."""
        body: dict[str, JsonValue] = {"id": str(UUID(bytes=os.urandom(16), version=4)), "kind": "member"}
        try:
            self.clients[brand].post("/v1/accounts", body)
        except NodeUnreachable as refusal:
            return str(refusal)
        return ""

    def order(self, source: Brand, destination: Brand) -> None:
        """Order one conversion."""
        body: dict[str, JsonValue] = {
            "id": str(UUID(bytes=os.urandom(16), version=4)),
            "account": self.load.people[0].account(source),
            "partner": destination.ledger,
            "amount": rate(source, destination).source_step,
        }
        self.clients[source].post("/v1/conversions", body)

    def has_kept_state(self, brand: Brand) -> bool:
        """Return whether a node's state file names the end of its log."""
        note = read_state(self.alliance.nodes[brand].directory / "state.json")
        return note is not None and int(note.splitlines()[1]) == self.standing(brand).size

    def await_quiet(self) -> None:
        """Return once no conversion is pending anywhere, and all that was written is published."""
        for brand in self.brands:
            poll(lambda brand=brand: not self.pending(brand), f"{brand.title}'s conversions to end")  # type: ignore[misc]
        for brand in self.brands:
            poll(lambda brand=brand: self.has_published(brand), f"{brand.title} to publish its log")  # type: ignore[misc]

    def has_published(self, brand: Brand) -> bool:
        """Return whether the checkpoint that a node publishes covers its whole log."""
        return int(self.checkpoint(brand).splitlines()[1]) == self.standing(brand).size

    def pending(self, brand: Brand) -> bool:
        """Return whether anything is undecided."""
        query: dict[str, str | int | None] = {"state": "pending", "limit": 1}
        return bool(self.clients[brand].get("/v1/conversions", query).read(_SentList).conversions)

    def check_conversions(self) -> Mapping[tuple[str, str], tuple[int, int]]:
        """Hold that both sides of every pair have the same conversions; return count and points of each direction."""
        sent = {brand: self._sent(brand) for brand in self.brands}
        decided = {brand: self._decided(brand) for brand in self.brands}
        found = {}
        for source, destination in permutations(self.brands, 2):
            ours = {one.id: one for one in sent[source] if one.partner == destination.ledger}
            theirs = {one.id: one for one in decided[destination] if one.partner == source.ledger}
            taken = {key: one.destination_points for key, one in ours.items() if one.state == "completed"}
            given = {key: one.destination_points for key, one in theirs.items() if one.state == "completed"}
            assert taken == given, (source.name, destination.name, taken.items() ^ given.items())
            back = {key for key, one in ours.items() if one.state == "returned"}
            assert not back & given.keys()
            assert not [key for key, one in ours.items() if one.state == "pending"]
            found[source.name, destination.name] = len(taken), sum(taken.values())
        return found

    def check_audit(self) -> str:
        """Hold that an audit of all nodes holds, and return what it says."""
        words = ["audit", *(self.alliance.nodes[brand].url for brand in self.brands)]
        for brand in self.brands:
            words += ["--token-file", str(self.alliance.nodes[brand].token_file(AUDITOR))]
        done = tallystick(*words)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def check_stores(self) -> None:
        """Stop the nodes and hold that their stores are sound, each to the column."""
        for node in self.alliance.nodes.values():
            node.ask_to_stop()
        for brand in self.brands:
            node = self.alliance.nodes[brand]
            node.stop()
            done = tallystick("fsck", str(node.directory))
            assert done.returncode == 0, done.stdout + done.stderr
            bad = [line for line in node.log_lines() if "Traceback" in line or '_failed"' in line or '_bug"' in line]
            assert not [line for line in bad if "delivery_failed" not in line], bad[:3]

    def _sent(self, brand: Brand) -> list[Sent]:
        pages = self.clients[brand].pages("/v1/conversions", {"limit": 256}, _SentList)
        return [one for page in pages for one in page.conversions]

    def _decided(self, brand: Brand) -> list[Decided]:
        pages = self.clients[brand].pages("/v1/conversions/incoming", {"limit": 256}, _DecidedList)
        return [one for page in pages for one in page.conversions]


def tallystick(*words: str) -> "subprocess.CompletedProcess[str]":
    """Run the command line as a person does."""
    command = [sys.executable, "-m", "node.cli.main", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)


@contextmanager
def world_of(directory: Path, brands: Sequence[Brand], *, server: PostgresServer | None, seed: int) -> Iterator[World]:
    """Lend running nodes of `brands` with members who can convert, on SQLite, or each in a database of `server`."""
    names = {} if server is None else {brand: server.create_database() for brand in brands}
    urls = {} if server is None else {brand: server.url(name) for brand, name in names.items()}
    with ExitStack() as stack:
        alliance = stack.enter_context(
            running_alliance(directory / "alliance", port_base=None, ephemeral=True, brands=brands, database_urls=urls)
        )
        clients = {brand: stack.enter_context(alliance.client(brand, OPERATOR)) for brand in brands}
        stores: dict[Brand, Store] = {
            brand: SqliteStore(alliance.nodes[brand].directory)
            if server is None
            else PostgresStore(server, names[brand])
            for brand in brands
        }
        rng = random.Random(seed)
        people = [_join(clients, brands, rng) for _ in range(PEOPLE)]
        load = Load(alliance, people, brands, seed)
        yield World(directory, alliance, brands, clients, stores, load)


def _join(clients: Clients, brands: Sequence[Brand], rng: random.Random) -> Person:
    def make_id() -> str:
        return str(UUID(int=rng.getrandbits(128), version=4))

    person = Person({brand: make_id() for brand in brands})
    for brand in brands:
        open_account(clients[brand], person.ids[brand])
        giving: dict[str, JsonValue] = {
            "id": make_id(),
            "type": "issue",
            "account": person.account(brand),
            "amount": POINTS,
        }
        clients[brand].post("/v1/transactions", giving)
    for source, destination in permutations(brands, 2):
        link(clients, source, destination, person=person, ids=(make_id(), make_id()))
    return person
