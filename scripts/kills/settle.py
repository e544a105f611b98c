"""Closing the storm's settlement windows and holding both sides' statements against each other."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from node.client import NodeClient
from node.client.settlement_answers import StatementList, WindowList, WindowRow
from protocol.statement import SignedStatement
from scripts.alliance.brands import AURORA, BLUEBIRD, Brand
from scripts.alliance.members import Clients
from scripts.alliance.process import AllianceFailed
from scripts.alliance.progress import say
from scripts.kills.books import Flow
from scripts.kills.plan import OTHER, PAIR

AGREED_SECONDS_MAX: Final = 60.0
LOOK_SECONDS: Final = 0.2
_OPEN: Final = "open"


class _Shown(msgspec.Struct, frozen=True):
    signed: msgspec.Raw


class _Agreement(msgspec.Struct, frozen=True):
    agreement: msgspec.Raw


class _Agreements(msgspec.Struct, frozen=True):
    agreements: tuple[_Agreement, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """An agreed statement as one brand shows it, byte for byte."""

    digest: str
    signed: bytes


def settle(clients: Clients) -> Mapping[Brand, tuple[Statement, ...]]:
    """Close every window in which something was converted and return the statements of each side, oldest first.

    Raises `AllianceFailed` if the nodes do not agree by themselves on all of them.
    """
    for row in _busy(clients[AURORA]):
        if row.state == _OPEN:
            say(f"closing window {row.window}")
            clients[AURORA].post("/v1/windows/close", {"partner": BLUEBIRD.ledger, "window": row.window})
    deadline = time.monotonic() + AGREED_SECONDS_MAX
    while waiting := [f"{brand.title}: {row.window} is {row.state}" for brand, row in _not_agreed(clients)]:
        if time.monotonic() > deadline:
            raise AllianceFailed(f"windows without a statement after {AGREED_SECONDS_MAX:.0f} s: {', '.join(waiting)}")
        time.sleep(LOOK_SECONDS)
    return {brand: tuple(_statements(clients[brand])) for brand in PAIR}


def _busy(client: NodeClient) -> list[WindowRow]:
    rows = client.get("/v1/windows").read(WindowList).windows
    return [row for row in rows if row.sent.count or row.received.count]


def _not_agreed(clients: Clients) -> Iterator[tuple[Brand, WindowRow]]:
    for brand in PAIR:
        yield from ((brand, row) for row in _busy(clients[brand]) if row.statement is None)


def _statements(client: NodeClient) -> Iterator[Statement]:
    rows = client.get("/v1/statements").read(StatementList).statements
    for row in sorted(rows, key=lambda each: each.window):
        shown = client.get(f"/v1/statements/{row.digest}").read(_Shown)
        yield Statement(digest=row.digest, signed=bytes(shown.signed))


def compare_statements(sides: Mapping[Brand, tuple[Statement, ...]], flows: Mapping[Brand, Flow]) -> Iterator[str]:
    """Yield where the two sides' statements differ, or bill something else than was converted."""
    ours, theirs = (sides[brand] for brand in PAIR)
    if not ours:
        yield "there is no statement"
    if ours != theirs:
        yield f"the sides show other statements: {[one.digest for one in ours]}, {[one.digest for one in theirs]}"
    for brand in PAIR:
        bills = [
            bill
            for each in sides[brand]
            for bill in msgspec.json.decode(each.signed, type=SignedStatement).statement.directions
            if bill.source == brand.ledger
        ]
        billed = (
            sum(bill.totals.count for bill in bills),
            sum(int(bill.totals.source_points) for bill in bills),
            sum(int(bill.totals.destination_points) for bill in bills),
            sum(int(bill.totals.value) for bill in bills),
        )
        one = flows[brand]
        if billed != (one.completed, one.source_points, one.destination_points, one.value):
            yield f"{brand.title} is billed for {billed}, and {one} went to {OTHER[brand].title}"


def write_papers(directory: Path, client: NodeClient, statements: tuple[Statement, ...]) -> tuple[Path, list[Path]]:
    """Write the agreement and the statements of one side to files, for whoever verifies them; return where they are."""
    (row,) = client.get("/v1/agreements").read(_Agreements).agreements
    agreement = directory / "agreement.json"
    agreement.write_bytes(_document(row.agreement))
    papers = []
    for number, statement in enumerate(statements, 1):
        paper = directory / f"statement-{number}.json"
        paper.write_bytes(_document(statement.signed))
        papers.append(paper)
    return agreement, papers


def _document(shown: bytes | msgspec.Raw) -> bytes:
    """Return a document as it was signed, as `tallystick` writes it to a file."""
    return msgspec.json.encode(msgspec.json.decode(shown), order="sorted")
