"""What a person who starts the alliance gets: members with points, and commands to try."""

from collections.abc import Iterator
from contextlib import ExitStack
from itertools import permutations
from pathlib import Path
from typing import Final

from node.cli.request import JsonObject
from scripts.alliance.alliance import AUDITOR, BACKEND, OPERATOR, Alliance, stable_id
from scripts.alliance.brands import BRANDS, Brand, rate
from scripts.alliance.members import Person, link, open_account
from scripts.alliance.process import ROOT

POINTS: Final = 20_000
NEXT: Final = {BRANDS[at]: BRANDS[(at + 1) % len(BRANDS)] for at in range(len(BRANDS))}


def prepare_members(alliance: Alliance) -> Person:
    """Return a member of all three brands, linked in all directions and with points to try things with."""
    person = Person({brand: stable_id("member", brand.name) for brand in BRANDS})
    with ExitStack() as stack:
        clients = {brand: stack.enter_context(alliance.client(brand)) for brand in BRANDS}
        for brand in BRANDS:
            open_account(clients[brand], person.ids[brand])
            body: JsonObject = {"type": "issue", "account": person.account(brand), "amount": POINTS}
            clients[brand].post("/v1/transactions", {"id": stable_id("welcome", brand.name), **body})
        for source, destination in permutations(BRANDS, 2):
            ids = (
                stable_id("link", source.name, destination.name),
                stable_id("accept", source.name, destination.name),
            )
            link(clients, source, destination, person=person, ids=ids)
    return person


def welcome_lines(alliance: Alliance, person: Person) -> Iterator[str]:
    """Yield what to tell about each brand: URL, token files, and three commands to try."""
    for brand in BRANDS:
        node = alliance.nodes[brand]
        yield ""
        yield f"{brand.title} ({brand.points})   {node.url}   {brand.ledger}"
        for role in (OPERATOR, BACKEND, AUDITOR):
            yield f"  {role + ' token':<16}{_short(node.token_file(role))}"
        yield "  try:"
        yield from (f"    {command}" for command in commands(alliance, person, brand))
    yield ""
    yield "Ctrl-C stops all three; the next start goes on with the same ledgers."


def commands(alliance: Alliance, person: Person, brand: Brand) -> Iterator[str]:
    """Yield three commands that work against a brand's running node."""
    node, other = alliance.nodes[brand], NEXT[brand]
    access = f"--node {node.url} --token-file {_short(node.token_file(BACKEND))}"
    account = person.account(brand)
    yield f".venv/bin/tallystick account show {account} {access}"
    yield f".venv/bin/tallystick convert {account} {other.program} {rate(brand, other).source_step} --wait {access}"
    yield f".venv/bin/tallystick audit {node.url} --token-file {_short(node.token_file(AUDITOR))}"


def _short(path: Path) -> str:
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)
