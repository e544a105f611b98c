"""Nodes of one process: real stores, engines, writers' threads and exchanges over a clock and a network of the test.

Nothing moves by itself: `talk` sends what is due and lets time pass. A node that is stopped and started again keeps
nothing but its database.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, TypeVar

from node.engine.engine import Engine
from node.engine.work import Answer, CommandWork, Work
from node.engine.writer import WriterQueue
from node.ports import TransportFailed
from node.services.channel.exchange import Exchange
from node.store.columns import METADATA
from node.store.database import Database
from node.store.reader import StoreReader
from node.store.rows import PartnerUrl, Write
from node.store.writer import StoreWriter
from protocol.agreement import Agreement, Transport, WindowCalendar, agreement_digest
from protocol.entries import AnyEntry, decode_entry, unseal
from protocol.errors import TallystickError
from protocol.fields import format_time, later
from protocol.identifiers import Account, Alias, Asset, Id, Ledger, program_of
from protocol.ledger import commands, names, rules
from protocol.ledger.state import ACCOUNTS, BALANCES, OUTGOING, AccountRecord, OutgoingRecord
from protocol.ledger.view import Overlay
from tests.support.documents import (
    AURORA,
    BLUEBIRD,
    HTTPS,
    NETWORK,
    NOW,
    USD,
    Side,
    agreement,
    hex_16,
    signed_agreement,
    uuid,
)
from tests.support.keyrings import SeededRandomness, SideKeyring
from tests.support.ledger import Rows, genesis_of, holder, rows_of

ANN: Final = holder("ann")
"""The member who has an account at each brand, linked to those at the others."""

POINTS: Final = 10_000
LONG_AGO: Final = "2020-01-01T00:00:00.000000Z"
WINDOWS: Final = WindowCalendar(starts_at=LONG_AGO, hours=24, due_days=5, minor_unit=10_000)
TICK_SECONDS: Final = 0.001
RESULT_SECONDS_MAX: Final = 60
ENTRIES_MAX: Final = 100_000
_T = TypeVar("_T")


class FakeClock:
    """A wall clock and one that never steps, both moved by hand."""

    def __init__(self, now: str = NOW) -> None:
        self._now = datetime.fromisoformat(now)
        self._monotonic = 1_000.0

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._now += timedelta(seconds=seconds)
        self._monotonic += seconds

    def jump(self, seconds: float) -> None:
        """Set the wall clock to another time, forwards or back."""
        self._now += timedelta(seconds=seconds)


class FaultPoints:
    """Counts how often each point is passed, and does once what a test has armed it with."""

    def __init__(self) -> None:
        self.passed: Counter[str] = Counter()
        self._armed: dict[str, Callable[[], None]] = {}

    def reach(self, point: str) -> None:
        self.passed[point] += 1
        act = self._armed.pop(point, None)
        if act is not None:
            act()

    def arm(self, point: str, act: Callable[[], None]) -> None:
        """Call `act` when `point` is next passed."""
        self._armed[point] = act


class LocalNetwork:
    """Carries parcels between nodes of this process, and loses requests and answers on demand."""

    def __init__(self) -> None:
        self.nodes: dict[str, LocalNode] = {}
        self.requests: list[tuple[str, bytes]] = []
        self.lost_requests = 0
        self.lost_answers = 0

    def exchange(self, url: str, parcel: bytes) -> bytes:
        self.requests.append((url, parcel))
        node = self.nodes.get(url)
        if node is None or not node.is_up:
            raise TransportFailed("connection refused")
        if self.lost_requests:
            self.lost_requests -= 1
            raise TransportFailed("the request was lost")
        try:
            answer = node.answer(parcel)
        except TallystickError as error:
            raise TransportFailed(f"the partner refused: {error.code}") from error
        if self.lost_answers:
            self.lost_answers -= 1
            raise TransportFailed("the answer was lost")
        return answer


class LocalNode:
    """One brand's node; `start` it before use and `stop` it at the end."""

    database: Database
    store: StoreWriter
    reader: StoreReader
    engine: Engine
    writer: WriterQueue
    exchange: Exchange

    def __init__(
        self, side: Side, database_url: str, *, clock: FakeClock, network: LocalNetwork, url: str | None = None
    ) -> None:
        self.side = side
        self.ledger: Ledger = side.ledger
        self.url = url or f"https://{program_of(side.ledger)}"
        self.clock = clock
        self.network = network
        self.faults = FaultPoints()
        self.is_up = False
        self._database_url = database_url
        self._starts = 0
        # A start from a copied database draws other bytes than the start that made it.
        self._seed = f"{side.ledger} {Path(database_url.removeprefix('sqlite:///')).exists()}"
        network.nodes[self.url] = self

    def start(self) -> None:
        """Open the database, start the writer and open an epoch with every partner."""
        self._starts += 1
        randomness = SeededRandomness(f"{self._seed} {self._starts}")
        keyring = SideKeyring(self.side)
        self.database = Database.open(self._database_url)
        self.database.migrate()
        self.store, self.reader = self.database.writer(), self.database.reader()
        self.engine = Engine(self.store, keyring=keyring, randomness=randomness, faults=self.faults)
        self.writer = WriterQueue(self.engine, self.clock)
        self.exchange = Exchange(
            ledger=self.ledger,
            reader=self.reader,
            writer=self.writer,
            keyring=keyring,
            clock=self.clock,
            randomness=randomness,
            transport=self.network,
            faults=self.faults,
        )
        self.writer.start()
        self.is_up = True
        self.exchange.open()

    def stop(self) -> None:
        """Close everything, if it is open."""
        if self.is_up:
            self.is_up = False
            self.writer.close()
            self.store.close()
            self.database.close()

    def restart(self) -> None:
        """Come back with what the database holds."""
        self.stop()
        self.start()

    def run(self, work: Work[_T]) -> _T:
        """Return what `work` returns once it is durable, or raise what it raises."""
        return self.writer.submit(work).result(RESULT_SECONDS_MAX)

    def do(self, *asked: commands.AnyCommand, writes: Sequence[Write] = ()) -> list[Answer]:
        """Execute commands in one commit."""
        return self.run(CommandWork(asked, writes=writes))

    def answer(self, parcel: bytes) -> bytes:
        """Return the parcel that answers a partner's, as its route does, or raise."""
        sender, taken = self.exchange.receive(parcel)
        taken.result(RESULT_SECONDS_MAX)
        return self.exchange.reply(sender)

    def deliver_due(self) -> int:
        """Send to every partner to whom something is due, and return to how many."""
        due = self.exchange.due(self.clock.monotonic())
        for ledger in due:
            self.exchange.begin(ledger)
            self.exchange.deliver(ledger)
        return len(due)

    def entries(self) -> list[AnyEntry]:
        """Return all entries, of this log and of those before it."""
        return [decode_entry(data) for data in self.reader.entries_from(0, ENTRIES_MAX)]

    def outgoing(self, conversion: Id) -> OutgoingRecord:
        """Return a conversion that this node has ordered."""
        record = self.reader.record(OUTGOING, conversion)
        assert record is not None
        return record

    def account(self) -> AccountRecord:
        """Return ann's account here."""
        record = self.reader.record(ACCOUNTS, ANN)
        assert record is not None
        return record

    def balance(self, account: str, asset: Asset) -> int:
        """Return the balance of a structural or money account."""
        record = self.reader.record(BALANCES, (Account(account), asset))
        return record.amount if record else 0

    def rows(self) -> dict[str, list[tuple[object, ...]]]:
        """Return all rows of all tables, to see later what was written."""
        with self.database.snapshot() as dump:
            return {name: list(dump.rows(name)) for name in METADATA.tables}

    def replay(self) -> Rows:
        """Return the rows to which this node's log leads an auditor, who refuses what breaks a rule."""
        view = Overlay(complete=True)
        for data in self.reader.entries_from(0, ENTRIES_MAX):
            rules.apply(view, unseal(data))
        return rows_of(view)


class Alliance:
    """Nodes that know each other, under agreements, with a member at each who is linked with the others."""

    def __init__(self, nodes: Sequence[LocalNode], *, clock: FakeClock, network: LocalNetwork) -> None:
        self.nodes = list(nodes)
        self.clock = clock
        self.network = network

    @property
    def pair(self) -> tuple[LocalNode, LocalNode]:
        """Return the first two nodes."""
        return self.nodes[0], self.nodes[1]

    def talk(self, seconds: float = 5.0) -> None:
        """Let time pass, each node sleeping as long as it says it can and sending what is due."""
        end = self.clock.monotonic() + seconds
        while (left := end - self.clock.monotonic()) > 0:
            pause = 0.0 if self.step() else min(self._sleeps(), default=left)
            self.clock.advance(min(max(pause, TICK_SECONDS), left))

    def step(self) -> int:
        """Send what is due now, and return how many parcels that were."""
        return sum(node.deliver_due() for node in self.nodes if node.is_up)

    def _sleeps(self) -> Iterator[float]:
        now = self.clock.monotonic()
        return (node.exchange.sleep_seconds(now) for node in self.nodes if node.is_up)


def convert(source: LocalNode, destination: LocalNode, *, name: str = "conversion", amount: int = 1_000) -> Id:
    """Order a conversion of ann's points at `source`, and return its id."""
    conversion = uuid(name)
    command = commands.OrderConversion(
        id=conversion,
        account=ANN,
        destination=destination.ledger,
        amount=amount,
        accept_by=later(format_time(source.clock.now()), seconds=600),
    )
    source.do(command)
    return conversion


def cancel(source: LocalNode, conversion: Id) -> None:
    """Ask the destination to refuse a conversion."""
    source.do(commands.CancelConversion(id=names.cancel_id(conversion), conversion=conversion))


def introduce(
    node: LocalNode, partner: LocalNode, *, transport: Transport = HTTPS, document: Agreement | None = None
) -> None:
    """Make `partner` known to `node`, with an agreement and links of ann's accounts both ways."""
    parties = sorted((node.side, partner.side), key=lambda side: side.ledger)
    usual = agreement(*parties, valid_from=LONG_AGO, windows=WINDOWS, transport=transport)
    signed = signed_agreement(document or usual, signers=parties)
    alias, theirs = Alias(hex_16(f"{node.ledger} {partner.ledger}")), Alias(hex_16(f"{partner.ledger} {node.ledger}"))
    node.do(
        commands.AddPartner(
            id=names.partner_id(partner.ledger),
            network=NETWORK,
            ledger=partner.ledger,
            points=partner.side.points,
            keys=partner.side.keys,
        ),
        commands.EnterAgreement(id=names.agreement_id(agreement_digest(signed.agreement)), signed=signed),
        commands.IssueLink(id=uuid(f"issue {alias}"), account=ANN, partner=partner.ledger, alias=alias),
        commands.AcceptLink(id=uuid(f"accept {theirs}"), account=ANN, partner=partner.ledger, alias=theirs),
        writes=[PartnerUrl(partner.ledger, partner.url)],
    )


def give_ann_an_account(node: LocalNode, *, points: int = POINTS) -> None:
    """Open ann's account, with points on it if any are given."""
    node.do(commands.OpenAccount(id=uuid("open ann"), account=ANN))
    if points:
        node.do(commands.IssuePoints(id=uuid("issue ann"), account=ANN, amount=points))


def make_alliance(
    directory: Path, sides: Sequence[Side], *, transport: Transport = HTTPS, clock: FakeClock | None = None
) -> None:
    """Make the databases of nodes that are introduced to each other, for `alliance` to start from."""
    with _stopping(_nodes(directory, sides, clock)) as made:
        for node in made.nodes:
            node.start()
            node.do(genesis_of(node.side, currencies=(USD,)))
            give_ann_an_account(node)
        for node in made.nodes:
            for partner in made.nodes:
                if partner is not node:
                    introduce(node, partner, transport=transport)


@contextmanager
def alliance(
    directory: Path, sides: Sequence[Side] = (AURORA, BLUEBIRD), *, clock: FakeClock | None = None
) -> Iterator[Alliance]:
    """Lend the nodes whose databases `make_alliance` made in `directory`, or a copy: they have never spoken."""
    with _stopping(_nodes(directory, sides, clock)) as lent:
        for node in lent.nodes:
            node.start()
        yield lent


def database_path(directory: Path, side: Side) -> Path:
    """Return where the database of a brand's node lies."""
    return directory / f"{side.points}.sqlite"


def _nodes(directory: Path, sides: Sequence[Side], clock: FakeClock | None) -> Alliance:
    clock, network = clock or FakeClock(), LocalNetwork()
    nodes = [
        LocalNode(side, f"sqlite:///{database_path(directory, side)}", clock=clock, network=network) for side in sides
    ]
    return Alliance(nodes, clock=clock, network=network)


@contextmanager
def _stopping(nodes: Alliance) -> Iterator[Alliance]:
    try:
        yield nodes
    finally:
        for node in nodes.nodes:
            node.stop()
