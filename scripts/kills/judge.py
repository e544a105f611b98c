"""Judging a storm: every order ended, every answer kept, both ledgers sound, and each the other's half."""

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from node.app.key_files import public_key
from node.client import Query
from node.client.answers import ConversionList
from node.services.logs.publication import PUBLISHED_WITHIN_SECONDS
from protocol.audit.report import Report
from protocol.keys import Role
from protocol.note import Verifier, format_vkey
from scripts.alliance.alliance import AUDITOR, Alliance
from scripts.alliance.brands import Brand
from scripts.alliance.members import Clients
from scripts.alliance.process import ROOT, AllianceFailed
from scripts.alliance.progress import say
from scripts.kills.books import Book, flow, read_book
from scripts.kills.compare import compare, compare_audit, completed_of, reasons_of
from scripts.kills.load import Load
from scripts.kills.plan import PAIR, Plan
from scripts.kills.settle import compare_statements, settle, write_papers

ENDED_SECONDS_MAX: Final = 120.0
LOOK_SECONDS: Final = 0.1
COMMAND_SECONDS_MAX: Final = 300
LINES_SHOWN: Final = 5
_BAD_WORDS: Final = ("Traceback", '"level": "error"', '"level": "critical"')


@dataclass(slots=True)
class Judgement:
    """What was found: `faults` is empty when everything held.

    `spans` are the times from when to when each conversion was open, `entries` the size of each log.
    """

    faults: list[str] = field(default_factory=list)
    completed: int = 0
    returned: Counter[str] = field(default_factory=Counter)
    repeated: int = 0
    statements: int = 0
    entries: dict[str, int] = field(default_factory=dict)
    spans: tuple[tuple[str, str], ...] = ()


class Judge:
    """Holds two nodes to account for what their clients asked and were answered."""

    def __init__(self, plan: Plan, alliance: Alliance, clients: Clients) -> None:
        self._plan = plan
        self._alliance = alliance
        self._clients = clients
        self._found = Judgement()

    def judge(self, load: Load) -> Judgement:
        """Return what came of a storm; both nodes are stopped at the end, for their stores to be checked.

        Raises `AllianceFailed` where conversions do not end or windows are not agreed.
        """
        found = self._found
        self._await_ends()
        say("repeating every order")
        found.faults += self._compare_repeats(load)
        say("reading both books")
        books = {brand: read_book(self._clients[brand]) for brand in PAIR}
        found.faults += compare(self._plan, books, answers=load.answers, wishes=load.wishes)
        found.spans = tuple((each.since, each.concluded_at or "") for book in books.values() for each in book.sent)
        found.completed, found.returned = len(completed_of(books)), reasons_of(books)
        found.faults += self._settle(books)
        say("auditing both logs")
        found.faults += self._audit(books)
        say("checking both stores")
        found.faults += self._check_stores()
        return found

    def _await_ends(self) -> None:
        say("waiting until nothing is pending")
        deadline = time.monotonic() + ENDED_SECONDS_MAX
        while pending := [brand.title for brand in PAIR if self._has_pending(brand)]:
            if time.monotonic() > deadline:
                names = " and ".join(pending)
                raise AllianceFailed(f"conversions out of {names} are pending after {ENDED_SECONDS_MAX:.0f} s")
            for node in self._alliance.nodes.values():
                node.check_alive()
            time.sleep(LOOK_SECONDS)

    def _has_pending(self, brand: Brand) -> bool:
        query: Query = {"state": "pending", "limit": 1}
        return bool(self._clients[brand].get("/v1/conversions", query).read(ConversionList).conversions)

    def _compare_repeats(self, load: Load) -> Iterator[str]:
        orders = self._plan.orders
        again = Load(self._plan, self._alliance, again=True)
        again.release(len(orders))
        with again.running():
            again.wait_for(len(orders))
        self._found.repeated = len(again.answers)
        for order in orders:
            before, now = load.answers.get(order.id), again.answers.get(order.id)
            if now != before:
                yield f"{order.id} was answered {before!r} and is answered {now!r} when it is repeated"

    def _settle(self, books: Mapping[Brand, Book]) -> Iterator[str]:
        completed = completed_of(books)
        sides = settle(self._clients)
        ours = sides[PAIR[0]]
        self._found.statements = len(ours)
        yield from compare_statements(sides, {brand: flow(self._plan.orders, completed, brand) for brand in PAIR})
        agreement, papers = write_papers(self._alliance.directory, self._clients[PAIR[0]], ours)
        for paper in papers:
            yield from _complaints(["verify", str(paper), "--agreement", str(agreement)])

    def _audit(self, books: Mapping[Brand, Book]) -> Iterator[str]:
        # A checkpoint is published at most once a second, and partners have seen the last one already.
        time.sleep(PUBLISHED_WITHIN_SECONDS)
        nodes = [self._alliance.nodes[brand] for brand in PAIR]
        command = ["audit", *(node.url for node in nodes), "--json"]
        for node in nodes:
            vkey = format_vkey(Verifier(node.brand.ledger, public_key(node.directory, Role.LOG)))
            command += ["--token-file", str(node.token_file(AUDITOR)), "--vkey", vkey]
        done = _run(command)
        if done.returncode:
            yield _complaint(done)
        try:
            report = msgspec.json.decode(done.stdout, type=Report)
        except msgspec.MsgspecError as error:
            yield f"tallystick audit gives no report: {error}"
            return
        self._found.entries = {log.ledger or log.source: log.size or 0 for log in report.logs}
        yield from compare_audit(self._plan, report, completed_of(books))

    def _check_stores(self) -> Iterator[str]:
        nodes = [self._alliance.nodes[brand] for brand in PAIR]
        for node in nodes:
            node.ask_to_stop()
        for node in nodes:
            node.stop()
            yield from _complaints(["fsck", str(node.directory)])
            bad = [line for line in node.log_lines() if any(word in line for word in _BAD_WORDS)]
            yield from (f"{node.brand.title}'s node logged: {line[:500]}" for line in bad[:LINES_SHOWN])


def _complaints(command: Sequence[str]) -> Iterator[str]:
    done = _run(command)
    if done.returncode:
        yield _complaint(done)


def _complaint(done: "subprocess.CompletedProcess[str]") -> str:
    return f"tallystick {' '.join(done.args[3:])} ends with {done.returncode}: {done.stdout}{done.stderr}"


def _run(command: Sequence[str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "node.cli.main", *command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS_MAX,
        check=False,
    )
