"""A brand's place in the world: its disk, its clock, and the node that runs there until it crashes."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, TypeVar, cast

from node.app.system import SeedKeyring
from node.engine.engine import Engine
from node.engine.work import Work
from node.engine.writer import WriterQueue
from node.ports import Keyring, Logs, Papers, Transport
from node.services.node import Node, Ports
from node.services.refusals import NodeRefusal
from node.store.rows import Pending
from node.workers.close_windows import CloseWindows
from node.workers.expire_holds import ExpireHolds
from node.workers.gather_evidence import GatherEvidence
from node.workers.send_papers import SendPapers
from protocol.checkpoint import Checkpoint
from protocol.errors import TallystickError
from protocol.identifiers import Ledger
from protocol.keys import Role
from scripts.alliance.brands import Brand
from scripts.simulation.reader import MemoryReader
from scripts.simulation.state_file import look_at_state_file, seen_before
from scripts.simulation.store import Disk, MemoryWriter
from scripts.simulation.world import Crashed, SimulatedClock, SimulatedRandomness, World

_T = TypeVar("_T")


class InlineFuture(Future[_T]):
    """A future of the writer without a thread: whoever waits for it makes the writer write what it has."""

    def __init__(self, flush: Callable[[], None]) -> None:
        super().__init__()
        self._flush = flush

    def result(self, timeout: float | None = None) -> _T:
        """Return the value or raise the error."""
        if not self.done():
            self._flush()
        return super().result(timeout)


class InlineWriter(WriterQueue):
    """The writer's queue without its thread: it commits at once, or while gathering when asked to.

    The commit itself, the clock's guard and the listeners are the shipped queue's own.
    """

    def __init__(self, engine: Engine, clock: SimulatedClock, check_alive: Callable[[], None]) -> None:
        super().__init__(engine, clock)
        self._check_alive = check_alive
        self._gathered: list[tuple[Work[object], Future[object]]] = []
        self.gathering = False

    def submit(self, work: Work[_T]) -> "Future[_T]":
        """Commit `work`, or keep it for the next commit."""
        self._check_alive()
        future: Future[_T] = InlineFuture(self.flush)
        self._gathered.append((work, cast("Future[object]", future)))
        if not self.gathering:
            self.flush()
        return future

    def flush(self) -> None:
        """Commit all that was gathered, in one transaction."""
        gathered, self._gathered = self._gathered, []
        taken = [each for each in gathered if each[1].set_running_or_notify_cancel()]
        if taken:
            self._commit(taken)


class CrashPoints:
    """The shipped code's failure points: at each of them the process may end."""

    def __init__(self, place: "Place") -> None:
        self._place = place
        self._start = place.starts

    def reach(self, point: str) -> None:
        """Pass the point, or not."""
        world = self._place.world
        if world.strikes("crash_at_a_point") or point == self._place.doom:
            self._place.doom = None
            world.note(f"crash at {point}")
            raise Crashed(self._place.name, self._start)


_FREE: Final = frozenset({"prepare", "cancel", "fulfil", "reject", "query", "error"})
_IN_TURN: Final = frozenset({"close"})


class ReorderingReader(MemoryReader):
    """A reader whose outbox comes in another order now and then: what a partner's own software may do.

    Bodies about conversions come in any order, before closes or after them, whose own order stays. What refers to
    lines, statements or payments comes after what it refers to.
    """

    def __init__(self, disk: Disk, world: World) -> None:
        super().__init__(disk)
        self._world = world

    def pending_outbox(self, partner: Ledger, after_number: int = -1, limit: int = 100) -> list[Pending]:
        """Return bodies that still want an answer from `partner`."""
        pending = super().pending_outbox(partner, after_number, limit)
        if 1 < len(pending) < limit and self._world.strikes("other_order"):
            kinds = [self._disk.state.sent[each.number].kind for each in pending]
            end = next((place for place, kind in enumerate(kinds) if kind not in _FREE | _IN_TURN), len(pending))
            pending[:end] = self._shuffled(pending[:end])
        return pending

    def _shuffled(self, pending: list[Pending]) -> list[Pending]:
        self._world.random.shuffle(pending)
        closes = [place for place, each in enumerate(pending) if self._disk.state.sent[each.number].kind in _IN_TURN]
        in_turn = sorted((pending[place] for place in closes), key=lambda each: each.number)
        for place, each in zip(closes, in_turn, strict=True):
            pending[place] = each
        return pending


@dataclass(slots=True)
class Running:
    """A node that is up, with the parts that the simulator moves."""

    node: Node
    writer: InlineWriter
    engine: Engine
    expire_holds: ExpireHolds
    close_windows: CloseWindows
    send_papers: SendPapers
    gather_evidence: GatherEvidence


class Place:
    """Where one brand's node runs, crashes and is started again over what its disk holds.

    `doom` is the failure point at which the node crashes when it next comes there; `asks` tells whether it waits for
    its partners at its start, and `started_at` when that was.
    """

    def __init__(self, brand: Brand, keyring: SeedKeyring, world: World) -> None:
        """Begin with an empty disk and no node."""
        self.brand = brand
        self.name = brand.name
        self.ledger = Ledger(brand.ledger)
        self.url = f"https://{brand.program}"
        self.keyring: Keyring = keyring
        self.world = world
        self.clock = SimulatedClock(world)
        self.disk = Disk()
        self.hostile = False
        self.doom: str | None = None
        self.asks = False
        self.starts = 0
        self.started_at = 0.0
        self.transport: Transport | None = None
        self.papers: Papers | None = None
        self.logs: Logs | None = None
        self._running: Running | None = None

    @property
    def is_up(self) -> bool:
        """Return whether a node runs here."""
        return self._running is not None

    @property
    def running(self) -> Running:
        """Return the node that runs here, or end the process that asks for one that no longer does."""
        if self._running is None:
            raise Crashed(self.name, self.starts)
        return self._running

    def start(self) -> None:
        """Start a node over what the disk holds; it may fail or crash at once, and is down then."""
        self.starts += 1
        with self.process():
            try:
                self._start()
            except TallystickError as failure:
                self.world.say(f"{self.name} does not start: {failure.code}")
                self._running = None

    def crash(self) -> None:
        """End the node, wherever its code is: only what its disk holds is left."""
        self._running = None

    @contextmanager
    def process(self) -> Iterator[None]:
        """Run code of this place's node; if it crashes, the node is gone and everybody else goes on."""
        before, self.world.acting = self.world.acting, self.name
        try:
            yield
        except Crashed as crash:
            if crash.name != self.name:
                raise
            if crash.start == self.starts:
                self._running = None
        finally:
            self.world.acting = before

    def check_alive(self, start: int) -> None:
        """End the code that runs for an earlier start of this place's node."""
        if start != self.starts or self._running is None:
            raise Crashed(self.name, start)

    def answer(self, parcel: bytes) -> bytes | None:
        """Return what the node answers a partner's parcel, as its route does, or None if it does not."""
        return self.answer_all([parcel])[0]

    def answer_all(self, parcels: list[bytes], *, beside: Callable[[], None] | None = None) -> list[bytes | None]:
        """Take in parcels that arrive together, in one commit with the works that `beside` submits; answer each."""
        answers: list[bytes | None] = [None] * len(parcels)
        with self.process():
            running = self.running
            running.writer.gathering = True
            taken = [self._receive(running.node, parcel) for parcel in parcels]
            if beside is not None:
                beside()
            running.writer.gathering = False
            running.writer.flush()
            for position, applied in enumerate(taken):
                answers[position] = None if applied is None else self._reply(running.node, *applied)
        return answers

    def published(self, path: str) -> tuple[bool, bytes | None]:
        """Return whether the node serves anything now, and what its public log has at `path`."""
        with self.process():
            log = self.running.node.log
            try:
                return True, log.tile(path)
            except NodeRefusal:
                return True, None
        return False, None

    def take_paper(self, document: bytes, *, complete: bool) -> bool:
        """Let the node take a partner's paper in, as its routes do, and return whether it has taken it."""
        with self.process():
            agreements = self.running.node.agreements
            try:
                if complete:
                    agreements.receive_complete(document).result()
                else:
                    agreements.receive_proposal(document).result()
            except TallystickError as failure:
                self.world.say(f"{self.name} does not take a paper: {failure.code}")
                return False
            return True
        return False

    def deliver(self) -> None:
        """Send to every partner to whom something is due, as the delivery worker does."""
        with self.process():
            exchange = self.running.node.exchange
            due = exchange.due(self.clock.monotonic())
            self.world.random.shuffle(due)
            for ledger in due:
                exchange.begin(ledger)
                exchange.deliver(ledger)

    def state_file(self) -> Checkpoint | None:
        """Return the checkpoint in the file beside the store, or None where there is none."""
        return seen_before(self.disk, ledger=self.ledger, key=self.keyring.key(Role.LOG).public)

    def keep_state(self) -> None:
        """Write the newest checkpoint into the file beside the store, as its worker does."""
        if self.is_up and self.running.node.gate.behind is None:
            self.disk.kept = self.running.node.log.newest().note

    def work(self) -> None:
        """Let the small workers take a step, as far as they are let to."""
        with self.process():
            running = self.running
            if running.node.may_write():
                self._step(running.expire_holds.step)
            self._step(running.gather_evidence.step)
            self._step(self.keep_state)

    def close_windows(self) -> None:
        """Let the worker that closes windows take a step, if the ledger may be written."""
        with self.process():
            if self.running.node.may_write():
                self._step(self.running.close_windows.step)

    def _step(self, step: Callable[[], None]) -> None:
        """Take a worker's step; what fails is tried again with the next one."""
        try:
            step()
        except TallystickError as failure:
            self.world.say(f"{self.name}: {failure.code}")

    def _receive(self, node: Node, parcel: bytes) -> "tuple[Ledger, Future[int]] | None":
        try:
            return node.exchange.receive(parcel)
        except TallystickError as refusal:
            self.world.say(f"{self.name} refuses a parcel: {refusal.code}")
            return None

    def _reply(self, node: Node, sender: Ledger, applied: "Future[int]") -> bytes | None:
        try:
            applied.result()
            return node.exchange.reply(sender)
        except TallystickError as failure:
            self.world.say(f"{self.name} fails to take a parcel in: {failure.code}")
            return None

    def _start(self) -> None:
        start = self.starts
        assert self.transport is not None, "the network comes first"
        assert self.logs is not None, "the network comes first"
        assert self.papers is not None, "the post comes first"
        randomness = SimulatedRandomness(self.world)
        faults = CrashPoints(self)
        engine = Engine(MemoryWriter(self.disk), keyring=self.keyring, randomness=randomness, faults=faults)
        writer = InlineWriter(engine, self.clock, lambda: self._check_current(start))
        ports = Ports(
            keyring=self.keyring,
            clock=self.clock,
            randomness=randomness,
            transport=self.transport,
            papers=self.papers,
            faults=faults,
            logs=self.logs,
        )
        node = Node(reader=ReorderingReader(self.disk, self.world), writer=writer, ports=ports, url=self.url)
        look_at_state_file(self.disk, engine, self.state_file())
        if self.asks:
            node.exchange.ask()
        node.open_channels()
        self.started_at = self.world.seconds
        self._running = Running(
            node=node,
            writer=writer,
            engine=engine,
            expire_holds=ExpireHolds(node.points),
            close_windows=CloseWindows(node.settlement),
            send_papers=SendPapers(node.agreements, self.papers, self.clock),
            gather_evidence=GatherEvidence(node.accusations),
        )

    def _check_current(self, start: int) -> None:
        if start != self.starts:
            raise Crashed(self.name, start)
