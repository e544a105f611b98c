"""One brand on two ledgers: node processes, the terms between them, and a router as specs/scale.md asks for one."""

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar
from uuid import UUID

import msgspec

from node.cli.main import run
from node.client import NodeClient, new_id, read_token
from node.client.answers import ConversionState
from protocol.encoding import JsonValue
from protocol.identifiers import Account, Id, Ledger
from scripts.alliance.brands import CURRENCY, Brand
from scripts.alliance.process import HOST, NodeProcess, find_free_ports

SLOTS: Final = 4_096
IN_FLIGHT: Final = 256
SECONDS_MAX: Final = 90.0
_DOMAIN: Final = b"tallystick/shard/v1\n"
_BRAND: Final = Brand(
    name="aurora", title="Aurora", program="aurora.example", points="AUR", points_name="Aurora Miles", port_offset=0
)

_T = TypeVar("_T")


class _Written(msgspec.Struct, frozen=True):
    """A paper in an answer: a partner's reply, a proposal, or a link."""

    reply: msgspec.Raw = msgspec.Raw(b"null")
    proposal: msgspec.Raw = msgspec.Raw(b"null")
    document: msgspec.Raw = msgspec.Raw(b"null")


def slot_of(account: Account) -> int:
    """Return the slot of an account: the first eight bytes of a digest of its name, modulo the number of slots."""
    digest = hashlib.sha256(_DOMAIN + account.encode()).digest()
    return int.from_bytes(digest[:8]) % SLOTS


@dataclass(frozen=True, slots=True)
class Shard:
    """One ledger of the brand: its node, and clients of it as backend and as operator."""

    ledger: Ledger
    node: NodeProcess
    backend: NodeClient
    operator: NodeClient

    def points(self) -> int:
        """Return all points that holders have here."""
        return sum(row.posted for row in self.backend.accounts())


@dataclass(frozen=True, slots=True)
class Router:
    """Knows which shard keeps which account, and moves points between members wherever they are.

    `doors` are accounts at a sender's shard through which points leave for one recipient at another.
    """

    shards: tuple[Shard, ...]
    doors: dict[tuple[Ledger, Account], Account] = field(default_factory=dict)

    def home(self, account: Account) -> Shard:
        """Return the shard that keeps an account."""
        return self.shards[slot_of(account) * len(self.shards) // SLOTS]

    def open_account(self, at: Shard, *, kind: str = "member") -> Account:
        """Open an account that belongs to a shard: ids are drawn until one does."""
        while self.home(Account(f"{kind}/{(account_id := new_id())}")) is not at:
            pass
        return at.backend.open_account(kind=kind, request_id=account_id)

    def transfer(self, sender: Account, recipient: Account, amount: int, *, request_id: Id) -> ConversionState | None:
        """Move points; return what became of the conversion where the two members are at two shards."""
        source, destination = self.home(sender), self.home(recipient)
        if source is destination:
            source.backend.transfer(sender, amount, to=recipient, request_id=request_id)
            return None
        door = self._door(source, recipient)
        source.backend.transfer(sender, amount, to=door, request_id=_step(request_id, "out"))
        conversion = _step(request_id, "across")
        source.backend.convert(door, destination.ledger, amount, request_id=conversion)
        state = wait_for(lambda: _concluded(source.backend, conversion), "the conversion's end")
        if state.state == "returned":
            source.backend.transfer(door, amount, to=sender, request_id=_step(request_id, "back"))
        return state

    def _door(self, source: Shard, recipient: Account) -> Account:
        key = (source.ledger, recipient)
        if key not in self.doors:
            body: dict[str, JsonValue] = {"id": new_id(), "account": recipient, "partner": source.ledger}
            issued = self.home(recipient).backend.post("/v1/links", body).read(_Written)
            door = self.open_account(source, kind="supplier")
            link: JsonValue = msgspec.json.decode(bytes(issued.document))
            source.backend.post("/v1/links/accept", {"id": new_id(), "account": door, "document": link})
            self.doors[key] = door
        return self.doors[key]


def _step(request_id: Id, name: str) -> Id:
    """Return the id of a step of a request: the same for the same request, so that it can be done again."""
    return Id(str(UUID(bytes=hashlib.sha256(f"{request_id} {name}".encode()).digest()[:16], version=4)))


def _concluded(client: NodeClient, conversion: Id) -> ConversionState | None:
    state = client.conversion(conversion, wait_seconds=30)
    return None if state.state == "pending" else state


def wait_for(look: Callable[[], _T | None], what: str) -> _T:
    """Return what `look` finds, once it finds something."""
    deadline = time.monotonic() + SECONDS_MAX
    while (found := look()) is None:
        assert time.monotonic() < deadline, f"{what} was waited for {SECONDS_MAX:.0f} s"
        time.sleep(0.05)
    return found


@contextmanager
def sharded(directory: Path, names: tuple[str, str] = ("shard-a", "shard-b")) -> Iterator[Router]:
    """Run one node a shard, with the terms between the two in force, and lend a router to them."""
    with ExitStack() as stack:
        nodes = [
            _made(directory / name, name, port) for name, port in zip(names, find_free_ports(len(names)), strict=True)
        ]
        for node in nodes:
            stack.callback(node.stop)
            node.start()
        shards = []
        for name, node in zip(names, nodes, strict=True):
            node.wait_ready()
            clients = [
                stack.enter_context(NodeClient(node.url, token=read_token(node.token_file(role))))
                for role in ("backend", "operator")
            ]
            shards.append(Shard(Ledger(f"{_BRAND.program}/{name}.1"), node, *clients))
        _join(*shards)
        yield Router(tuple(shards))


def _made(directory: Path, name: str, port: int) -> NodeProcess:
    node = NodeProcess(brand=_BRAND, directory=directory, port=port, log=directory.parent / f"{name}.log")
    command = ["init", str(directory), "--program", _BRAND.program, "--shard", name, "--points", _BRAND.points]
    command += ["--points-name", _BRAND.points_name, "--currency", CURRENCY, "--url", node.url]
    assert run([*command, "--host", HOST, "--port", str(port), "--quiet"]) == 0
    return node


def _join(first: Shard, second: Shard) -> None:
    """Let two shards know each other, and agree to convert one to one, for nothing."""
    invitation = first.operator.post("/v1/partners/invitations", {}).data
    reply = second.operator.post("/v1/partners", {"invitation": _json(invitation)}).read(_Written).reply
    first.operator.post("/v1/partners", {"invitation": _json(reply)})
    terms: JsonValue = {
        "currency": CURRENCY,
        "directions": [_terms(first.ledger), _terms(second.ledger)],
        "windows": {"hours": 24, "due_days": 0},
    }
    proposed = first.operator.post("/v1/agreements/proposals", {"partner": second.ledger, "terms": terms})
    second.operator.post("/v1/agreements", {"proposal": _json(proposed.read(_Written).proposal)})
    wait_for(lambda: first.operator.partner(second.ledger).agreement, "the agreement")


def _terms(source: Ledger) -> Mapping[str, JsonValue]:
    return {
        "source": source,
        "step": {"source": 1, "destination": 1},
        "price": 0,
        "steps_max": 1_000_000_000,
        "in_flight": {"conversions": IN_FLIGHT},
    }


def _json(document: bytes | msgspec.Raw) -> JsonValue:
    found: JsonValue = msgspec.json.decode(bytes(document))
    return found
