"""Two brands as directories for real node processes, with members, an agreement and links; and what to hold of them.

`begin` makes the directories once; each test works on a copy. `check_ledgers` judges what is left on disk at the end.
"""

import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

import httpx
import msgspec

from node.app.directory import create_node_directory, token_path
from node.app.key_files import read_keyring
from node.peers.http import ENVELOPES_PATH, PARCEL_MEDIA_TYPE
from node.services.access.credentials import CallerRole
from node.services.fsck.fsck import fsck
from node.services.logs.pages import sighting_of
from node.store.database import Database
from node.store.rows import PartnerUrl
from protocol.agreement import Agreement
from protocol.audit.findings import Verdict
from protocol.audit.log import LogAudit, audit_log
from protocol.audit.matching import match_pair
from protocol.conversion import SourceState
from protocol.entries import (
    AnyEntry,
    ConversionCaptured,
    ConversionCredited,
    ConversionHeld,
    ConversionRefused,
    ConversionReleased,
    decode_entry,
)
from protocol.errors import Code
from protocol.fields import format_time
from protocol.identifiers import Account, Asset, Id, Ledger
from protocol.keys import Role
from protocol.ledger.state import ACCOUNTS, BALANCES, OUTGOING
from scripts.alliance.process import HOST, find_free_ports
from tests.support.audits import MemorySource, files_of
from tests.support.crashing_node import SECONDS_MAX, NodeProcess, Nursery, World, poll, stop_all
from tests.support.documents import AURORA, BLUEBIRD, NETWORK, Side
from tests.support.nodes import ANN, FakeClock, LocalNetwork, LocalNode, give_ann_an_account, introduce

POINTS: Final = 10_000
AMOUNT: Final = 1_000
"""What a test converts unless it says otherwise: two steps of 400, for 500 points and 5,000,000 millionths."""

USED: Final = 800
GIVEN: Final = 500
OWED: Final = 5_000_000
DATABASE: Final = "ledger.sqlite"
QUIET_SECONDS: Final = 0.3
"""How long after the HELLOs everything that they lead to is said."""

_ENTRIES_MAX: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Brand:
    """A brand's directory, where its node listens, and a client of it."""

    side: Side
    directory: Path
    port: int
    client: httpx.Client

    @property
    def url(self) -> str:
        """Return where the node listens."""
        return f"http://{HOST}:{self.port}"

    @property
    def database(self) -> str:
        """Return the URL of the node's store."""
        return f"sqlite:///{self.directory / DATABASE}"

    def entries(self) -> list[AnyEntry]:
        """Return the whole log as it lies on disk."""
        with Database.open(self.database) as database:
            return [decode_entry(data) for data in database.reader().entries(0, _ENTRIES_MAX)]

    def said(self, conversion: Id) -> list[tuple[str, bytes]]:
        """Return kind and bytes of every body that this brand has made about a conversion."""
        with Database.open(self.database) as database:
            return [(each.kind, each.body) for each in database.reader().sent_of_conversion(conversion)]

    def wants_answers(self) -> bool:
        """Return whether anything in the outbox is still to be sent or answered."""
        with Database.open(self.database) as database:
            return bool(database.reader().outbox_partners())

    def set_partner_url(self, partner: "Brand", url: str) -> None:
        """Let this brand dial the partner somewhere else; its node must not run."""
        node = LocalNode(self.side, self.database, clock=_clock(), network=LocalNetwork())
        node.start()
        node.do(writes=[PartnerUrl(partner.side.ledger, url)])
        node.stop()


@dataclass(frozen=True, slots=True)
class RemoteNode:
    """A node process as a partner that is played by hand sees it."""

    brand: Brand

    @property
    def ledger(self) -> Ledger:
        """Return the node's ledger."""
        return self.brand.side.ledger

    @property
    def side(self) -> Side:
        """Return the brand that the node is run by."""
        return self.brand.side

    def answer(self, parcel: bytes) -> bytes:
        """Return the parcel that answers `parcel`."""
        url, headers = f"{self.brand.url}{ENVELOPES_PATH}", {"content-type": PARCEL_MEDIA_TYPE}
        return httpx.post(url, content=parcel, headers=headers, timeout=20).raise_for_status().content


@dataclass(frozen=True, slots=True)
class Pair:
    """The source of the conversions and their destination."""

    source: Brand
    destination: Brand

    @property
    def brands(self) -> tuple[Brand, Brand]:
        """Return both."""
        return self.source, self.destination

    def copied(self, directory: Path) -> "Pair":
        """Return copies of both directories."""
        copies = []
        for brand in self.brands:
            place = directory / brand.directory.name
            shutil.copytree(brand.directory, place)
            copies.append(replace(brand, directory=place))
        return Pair(*copies)


class Nodes:
    """The processes of a pair, which a test starts, kills and stops."""

    def __init__(self, pair: Pair, nursery: Nursery) -> None:
        self._pair = pair
        self._nursery = nursery
        self._running: dict[Path, NodeProcess] = {}

    def start(self, *brands: Brand, world: World | None = None) -> None:
        """Start the nodes of `brands` in this world, and return once they answer."""
        for brand in brands:
            self._running[brand.directory] = self._nursery.start(brand.directory, port=brand.port, world=world)
        for brand in brands:
            self._running[brand.directory].wait_until_ready()

    def meet(self) -> None:
        """Return once both have answered each other's HELLO and have nothing more to say."""
        for brand in self._pair.brands:
            poll(partial(is_in_touch, brand), "the HELLOs to be answered")
        time.sleep(QUIET_SECONDS)

    def arm(self, brand: Brand) -> None:
        """Let the passings of the node's point count from now on."""
        self._running[brand.directory].arm()

    def await_kill(self, brand: Brand) -> None:
        """Return once the node is gone, as by `kill -9`."""
        assert self._running.pop(brand.directory).is_killed_within(SECONDS_MAX), "the point was never passed"

    def kill(self) -> None:
        """End whatever runs."""
        for process in self._running.values():
            process.kill()
        self._running.clear()

    def stop(self, *brands: Brand) -> None:
        """Stop the nodes of `brands`, or all, as an operator does."""
        places = [brand.directory for brand in brands] or list(self._running)
        stop_all([self._running.pop(place) for place in places])


@contextmanager
def nodes_of(pair: Pair, nursery: Nursery) -> Iterator[Nodes]:
    """Lend the processes of a pair; what a test that failed has left running is ended."""
    nodes = Nodes(pair, nursery)
    try:
        yield nodes
    finally:
        nodes.kill()


def begin(root: Path, *, document: Agreement | None = None, witnesses: bool = True) -> Pair:
    """Make two node directories that are ready to convert, in the folder `root`.

    Without `witnesses` neither asks the other to cosign, so that nothing is committed but what a conversion needs.
    """
    ports, sides = find_free_ports(2), (AURORA, BLUEBIRD)
    brands = [
        _create(root / side.points, side, port, witnesses=witnesses) for side, port in zip(sides, ports, strict=True)
    ]
    clock, network = _clock(), LocalNetwork()
    nodes = [LocalNode(each.side, each.database, clock=clock, network=network, url=each.url) for each in brands]
    for node, points in zip(nodes, (POINTS, 0), strict=True):
        node.start()
        give_ann_an_account(node, points=points)
    introduce(*nodes, document=_with_keys(document, brands))
    introduce(*nodes[::-1], document=_with_keys(document, brands))
    for node in nodes:
        node.stop()
    return Pair(*brands)


def _with_keys(document: Agreement | None, brands: list[Brand]) -> Agreement | None:
    """Return an agreement with the keys that the directories were made with."""
    if document is None:
        return None
    return msgspec.structs.replace(document, parties=tuple(brand.side.party for brand in brands))


def now() -> str:
    """Return the time as documents write it."""
    return format_time(datetime.now(UTC))


def _clock() -> FakeClock:
    return FakeClock(now())


def _create(directory: Path, side: Side, port: int, *, witnesses: bool) -> Brand:
    made = create_node_directory(
        directory,
        ledger=side.ledger,
        points=side.points,
        points_name=side.points,
        url=f"http://{HOST}:{port}",
        currencies=("USD",),
        settings={"host": HOST, "port": port, "partners_are_witnesses": witnesses},
        network=NETWORK,
    )
    keyring = read_keyring(made.directory)
    own = Side(ledger=side.ledger, points=side.points, signing_keys={role: keyring.key(role) for role in Role})
    token = token_path(directory, CallerRole.ADMINISTRATOR).read_text().strip()
    # A connection to a node that is killed is of no further use, and plain HTTP needs no certificates.
    client = httpx.Client(
        base_url=f"http://{HOST}:{port}",
        headers={"authorization": f"Bearer {token}"},
        timeout=20,
        verify=False,  # noqa: S501 - there is nothing to verify
        limits=httpx.Limits(max_keepalive_connections=0),
    )
    return Brand(side=own, directory=made.directory, port=port, client=client)


def is_in_touch(brand: Brand) -> bool | None:
    """Return True once the partner has answered the brand's HELLO, and the ledger may be written."""
    standing = brand.client.get("/v1/ledger/standing").raise_for_status().json()
    (partner,) = standing["partners"]
    return (partner["answered"] and standing["condition"] == "open") or None


def order_body(conversion: Id, **changes: object) -> dict[str, object]:
    """Return the request that orders a conversion of ann's points to BLUEBIRD."""
    return {"id": conversion, "account": ANN, "partner": BLUEBIRD.ledger, "amount": AMOUNT, **changes}


def order(brand: Brand, conversion: Id, **changes: object) -> bytes | None:
    """Order a conversion; return the answer's bytes, or None where none came since the node was killed.

    A node that has just started refuses until its partner has answered: the order is repeated, as a client would.
    """

    def ordered() -> httpx.Response | None:
        answer = brand.client.post("/v1/conversions", json=order_body(conversion, **changes))
        return None if Code.START_UNANSWERED in answer.text else answer

    try:
        answer = poll(ordered, "the node to take orders")
    except httpx.TransportError:
        return None
    assert answer.is_success, answer.text
    return answer.content


def state_of(brand: Brand, conversion: Id) -> str:
    """Return where a conversion stands, as members see it."""
    return str(brand.client.get(f"/v1/conversions/{conversion}").raise_for_status().json()["state"])


def await_end(brand: Brand, conversion: Id) -> SourceState:
    """Return how a conversion ended, once it has."""

    def ended() -> str | None:
        shown = brand.client.get(f"/v1/conversions/{conversion}", params={"wait": 5}).raise_for_status().json()
        return None if shown["state"] == "pending" else str(shown["state"])

    state = poll(ended, "the conversion to end")
    return {"completed": SourceState.CAPTURED, "returned": SourceState.RELEASED}[state]


def check_ledgers(pair: Pair, ends: Mapping[Id, SourceState]) -> None:
    """Hold that both stores are sound and each other's halves, and that no point was made or lost."""
    with Database.open(pair.source.database) as source, Database.open(pair.destination.database) as destination:
        for database in (source, destination):
            report = fsck(database)
            assert report.verdict is Verdict.HELD, "\n".join(report.lines())
            # Whatever broke, neither has signed anything that proves misconduct.
            assert database.reader().accusations() == []
        audits = [_audit(brand, database) for brand, database in zip(pair.brands, (source, destination), strict=True)]
        matched = match_pair(*audits)
        assert matched.verdict is Verdict.HELD, matched
        for conversion, end in ends.items():
            record = source.reader().record(OUTGOING, conversion)
            assert record is not None
            assert record.state is end
        credited = [*ends.values()].count(SourceState.CAPTURED)
        _check_entries(pair, held=len(ends), credited=credited)
        _check_totals(source, destination, credited=credited)


def _audit(brand: Brand, database: Database) -> LogAudit:
    reader = database.reader()
    received = [sighting_of(message) for message in reader.messages_received(0, _ENTRIES_MAX)]
    files = files_of(brand.side, reader.entries(0, _ENTRIES_MAX), received)
    audit = audit_log(MemorySource(files, brand.side.points))
    assert audit.findings.verdict is Verdict.HELD, audit.findings.listed
    return audit


def _check_entries(pair: Pair, *, held: int, credited: int) -> None:
    ours = [type(entry) for entry in pair.source.entries()]
    theirs = [type(entry) for entry in pair.destination.entries()]
    assert ours.count(ConversionHeld) == held
    assert ours.count(ConversionCaptured) == theirs.count(ConversionCredited) == credited
    assert ours.count(ConversionReleased) == theirs.count(ConversionRefused) == held - credited


def _check_totals(source: Database, destination: Database, *, credited: int) -> None:
    for database, posted in ((source, POINTS - USED * credited), (destination, GIVEN * credited)):
        record = database.reader().record(ACCOUNTS, ANN)
        assert record is not None
        assert (record.posted, record.held, record.conversions) == (posted, 0, 0)
    assert _balance(source, "payable/bluebird.example/main") == OWED * credited
    assert _balance(destination, "receivable/aurora.example/main") == -OWED * credited


def _balance(database: Database, account: str) -> int:
    record = database.reader().record(BALANCES, (Account(account), Asset("USD")))
    return record.amount if record else 0
