"""Nodes killed at every step of a conversion and started again: it ends credited and captured, or refused and released.

Each case is named by the side that dies, the point at which it does, and the passing of that point since the order.
"""

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final, Literal

import httpx
import msgspec
import pytest

from node.app.directory import create_node_directory, token_path
from node.app.system import read_keyring
from node.services.credentials import CallerRole
from node.services.fsck import fsck
from node.store.database import Database
from node.store.rows import ReceivedMessage
from protocol.audit.findings import Verdict
from protocol.audit.log import LogAudit, audit_log
from protocol.audit.matching import match_pair
from protocol.conversion import SourceState
from protocol.entries import (
    ConversionCaptured,
    ConversionCredited,
    ConversionHeld,
    ConversionRefused,
    ConversionReleased,
    decode_entry,
)
from protocol.envelope import Frame, Sighting, decode_envelope
from protocol.fields import format_time
from protocol.identifiers import Account, Asset, Id
from protocol.keys import Role
from protocol.ledger.state import ACCOUNTS, BALANCES, OUTGOING
from scripts.alliance.process import HOST, find_free_ports
from tests.support.audits import MemorySource, files_of
from tests.support.crashing_node import ARMED, SECONDS_MAX, Kill, NodeProcess, Nursery, nursery, poll, stop_all
from tests.support.documents import AURORA, BLUEBIRD, NETWORK, Side, uuid
from tests.support.nodes import ANN, FakeClock, LocalNetwork, LocalNode, give_ann_an_account, introduce

pytestmark = pytest.mark.integration

POINTS: Final = 10_000
CONVERSIONS: Final = [uuid(f"conversion {number}") for number in range(4)]
PATIENCE_SECONDS: Final = 3
"""How long after an order a node may take to be killed, before another order is given."""

DATABASE: Final = "ledger.sqlite"
Flavour = Literal["plain", "cancelled", "refused"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Brand:
    """A brand's directory, where its node listens, and a client of it."""

    side: Side
    directory: Path
    port: int
    client: httpx.Client

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"


@dataclass(frozen=True, slots=True)
class Pair:
    """The source of the conversion and its destination."""

    source: Brand
    destination: Brand

    @property
    def brands(self) -> tuple[Brand, Brand]:
        return self.source, self.destination


@pytest.fixture(scope="module")
def forked() -> Iterator[Nursery]:
    with nursery() as lent:
        yield lent


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """Return two node directories that are ready to convert, for each test to copy."""
    root = tmp_path_factory.mktemp("begun")
    ports = find_free_ports(2)
    brands = [_create(root / side.points, side, port) for side, port in zip((AURORA, BLUEBIRD), ports, strict=True)]
    clock, network = FakeClock(format_time(datetime.now(UTC))), LocalNetwork()
    nodes = [
        LocalNode(brand.side, f"sqlite:///{brand.directory / DATABASE}", clock=clock, network=network, url=brand.url)
        for brand in brands
    ]
    for node, points in zip(nodes, (POINTS, 0), strict=True):
        node.start()
        give_ann_an_account(node, points=points)
    introduce(*nodes)
    introduce(*nodes[::-1])
    for node in nodes:
        node.stop()
    return Pair(*brands)


def _create(directory: Path, side: Side, port: int) -> Brand:
    made = create_node_directory(
        directory,
        ledger=side.ledger,
        points=side.points,
        points_name=side.points,
        url=f"http://{HOST}:{port}",
        currencies=("USD",),
        settings={"host": HOST, "port": port},
        network=NETWORK,
    )
    keyring = read_keyring(made.directory)
    own = Side(ledger=side.ledger, points=side.points, signing_keys={role: keyring.key(role) for role in Role})
    token = token_path(directory, CallerRole.OPERATOR).read_text().strip()
    # A connection to a node that is killed is of no further use, and plain HTTP needs no certificates.
    client = httpx.Client(
        base_url=f"http://{HOST}:{port}",
        headers={"authorization": f"Bearer {token}"},
        timeout=20,
        verify=False,  # noqa: S501 - there is nothing to verify
        limits=httpx.Limits(max_keepalive_connections=0),
    )
    return Brand(side=own, directory=made.directory, port=port, client=client)


@pytest.fixture
def pair(begun: Pair, tmp_path: Path) -> Pair:
    """Return a copy of the two directories."""
    copies = []
    for brand in begun.brands:
        directory = tmp_path / brand.directory.name
        shutil.copytree(brand.directory, directory)
        copies.append(replace(brand, directory=directory))
    return Pair(*copies)


SOURCE_POINTS: Final = [
    Kill("commit.before"),
    Kill("commit.after"),
    Kill("send.before"),
    Kill("send.after"),
    Kill("intake.before"),
    Kill("commit.before", 2),
    Kill("commit.after", 2),
    Kill("send.before", 2),
    Kill("send.after", 2),
]
DESTINATION_POINTS: Final = [
    Kill("intake.before"),
    Kill("commit.before"),
    Kill("commit.after"),
    Kill("answer.before"),
    Kill("answer.after"),
    Kill("intake.before", 2),
    Kill("commit.before", 2),
    Kill("commit.after", 2),
    Kill("answer.after", 2),
]
DECIDING_POINTS: Final = [Kill("commit.before"), Kill("commit.after"), Kill("answer.after")]


@dataclass(frozen=True, slots=True)
class Case:
    """What becomes of the conversion but for the kill, who is killed, and where."""

    flavour: Flavour
    side: Literal["source", "destination"]
    kill: Kill

    def __str__(self) -> str:
        return f"{self.flavour}-{self.side}-{self.kill.point}-{self.kill.count}"


CASES: Final = [
    *(Case("plain", "source", kill) for kill in SOURCE_POINTS),
    *(Case("plain", "destination", kill) for kill in DESTINATION_POINTS),
    *(Case("cancelled", "source", kill) for kill in SOURCE_POINTS[:7]),
    *(Case("cancelled", "destination", kill) for kill in DESTINATION_POINTS[:5]),
    *(Case("refused", "source", kill) for kill in SOURCE_POINTS[4:7]),
    *(Case("refused", "destination", kill) for kill in DECIDING_POINTS),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_killed_node_comes_back_and_the_conversion_ends(pair: Pair, forked: Nursery, case: Case) -> None:
    victim = int(case.side == "destination")
    processes = [
        forked.start(brand.directory, port=brand.port, kill=case.kill if place == victim else None)
        for place, brand in enumerate(pair.brands)
    ]
    for process, brand in zip(processes, pair.brands, strict=True):
        process.wait_until_ready()
        poll(partial(_is_in_touch, brand), "the HELLOs to be answered")
    if case.flavour == "refused":
        _close_account(pair.destination)
    ordered = _order_until_killed(pair.source, processes[victim], case.flavour)
    processes[victim] = forked.start(pair.brands[victim].directory, port=pair.brands[victim].port)
    processes[victim].wait_until_ready()
    _order(pair.source, ordered[-1], case.flavour)
    ends = {conversion: _await_end(pair.source, conversion) for conversion in ordered}
    stop_all(processes)
    check_ledgers(pair, ends)
    if case.flavour != "cancelled":
        assert {*ends.values()} == {SourceState.CAPTURED if case.flavour == "plain" else SourceState.RELEASED}


@pytest.mark.parametrize("victim", ["source", "destination"])
@pytest.mark.parametrize("point", ["commit.before", "commit.after", "send.before"])
def test_a_node_killed_at_its_start_starts_all_the_same(pair: Pair, forked: Nursery, victim: str, point: str) -> None:
    brand = pair.brands[victim == "destination"]
    (brand.directory / ARMED).touch()
    killed = forked.start(brand.directory, port=brand.port, kill=Kill(point))
    assert killed.is_killed_within(SECONDS_MAX)
    processes = [forked.start(each.directory, port=each.port) for each in pair.brands]
    for process in processes:
        process.wait_until_ready()
    _order(pair.source, CONVERSIONS[0], "plain")
    end = _await_end(pair.source, CONVERSIONS[0])
    assert end is SourceState.CAPTURED
    stop_all(processes)
    check_ledgers(pair, {CONVERSIONS[0]: end})


def _order_until_killed(source: Brand, victim: NodeProcess, flavour: Flavour) -> list[Id]:
    """Order a conversion, and another one should the nodes have got past the point on another way than usual."""
    victim.arm()
    for number, conversion in enumerate(CONVERSIONS, 1):
        _order(source, conversion, flavour)
        if victim.is_killed_within(PATIENCE_SECONDS):
            return list(CONVERSIONS[:number])
    raise AssertionError("the point was never passed")


def _is_in_touch(brand: Brand) -> bool | None:
    (partner,) = brand.client.get("/v1/partners").raise_for_status().json()["partners"]
    return partner["channel"] == "ready" or None


def _close_account(brand: Brand) -> None:
    brand.client.post(f"/v1/accounts/{ANN}/close", json={"id": uuid("close ann")}).raise_for_status()


def _order(brand: Brand, conversion: Id, flavour: Flavour) -> None:
    """Order a conversion, and ask for its end, as a client does who repeats what was not answered."""
    order = {"id": conversion, "account": ANN, "partner": BLUEBIRD.ledger, "amount": 1_000}
    try:
        brand.client.post("/v1/conversions", json=order).raise_for_status()
        if flavour == "cancelled":
            answer = brand.client.post(f"/v1/conversions/{conversion}/cancel")
            assert answer.status_code in {202, 409}, answer.text
    except httpx.TransportError:
        # The node was killed; it is asked again when it is back.
        return


def _await_end(brand: Brand, conversion: Id) -> SourceState:
    def ended() -> str | None:
        shown = brand.client.get(f"/v1/conversions/{conversion}", params={"wait": 5}).raise_for_status().json()
        return None if shown["state"] == "pending" else str(shown["state"])

    state = poll(ended, "the conversion to end")
    return {"completed": SourceState.CAPTURED, "returned": SourceState.RELEASED}[state]


def check_ledgers(pair: Pair, ends: Mapping[Id, SourceState]) -> None:
    """Hold that both stores are sound and each other's halves, and that no point was made or lost."""
    with (
        Database.open(_database(pair.source)) as source,
        Database.open(_database(pair.destination)) as destination,
    ):
        for database in (source, destination):
            report = fsck(database)
            assert report.verdict is Verdict.HELD, "\n".join(report.lines())
        audits = [_audit(brand, database) for brand, database in zip(pair.brands, (source, destination), strict=True)]
        matched = match_pair(*audits)
        assert matched.verdict is Verdict.HELD, matched
        for conversion, end in ends.items():
            record = source.reader().record(OUTGOING, conversion)
            assert record is not None
            assert record.state is end
        credited = [*ends.values()].count(SourceState.CAPTURED)
        _check_entries(source, destination, held=len(ends), credited=credited)
        _check_totals(source, destination, credited=credited)


def _database(brand: Brand) -> str:
    return f"sqlite:///{brand.directory / DATABASE}"


def _audit(brand: Brand, database: Database) -> LogAudit:
    reader = database.reader()
    received = [_sighting(message) for message in reader.messages_received()]
    audit = audit_log(MemorySource(files_of(brand.side, reader.entries(0, 1_000), received), brand.side.points))
    assert audit.findings.verdict is Verdict.HELD, audit.findings.listed
    return audit


def _sighting(message: ReceivedMessage) -> Sighting:
    return Sighting(
        body=msgspec.Raw(message.body),
        frame=Frame(seq=message.frame_seq, body=message.digest),
        path=message.path,
        envelope=decode_envelope(message.envelope),
    )


def _check_entries(source: Database, destination: Database, *, held: int, credited: int) -> None:
    ours = [type(decode_entry(data)) for data in source.reader().entries(0, 1_000)]
    theirs = [type(decode_entry(data)) for data in destination.reader().entries(0, 1_000)]
    assert ours.count(ConversionHeld) == held
    assert ours.count(ConversionCaptured) == theirs.count(ConversionCredited) == credited
    assert ours.count(ConversionReleased) == theirs.count(ConversionRefused) == held - credited


def _check_totals(source: Database, destination: Database, *, credited: int) -> None:
    for database, posted in ((source, POINTS - 800 * credited), (destination, 500 * credited)):
        record = database.reader().record(ACCOUNTS, ANN)
        assert record is not None
        assert (record.posted, record.held, record.conversions) == (posted, 0, 0)
    assert _owed(source, "payable/bluebird.example/main") == 5_000_000 * credited
    assert _owed(destination, "receivable/aurora.example/main") == -5_000_000 * credited


def _owed(database: Database, account: str) -> int:
    record = database.reader().record(BALANCES, (Account(account), Asset("USD")))
    return record.amount if record else 0
