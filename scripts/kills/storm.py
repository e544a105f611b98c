"""The storm itself: members who can convert, clients who do, and kills among them."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from node.client import NodeClient
from protocol.encoding import JsonValue
from protocol.fields import format_time
from scripts.alliance.alliance import Alliance, stable_id
from scripts.alliance.brands import Brand
from scripts.alliance.members import Clients, Person, link, open_account
from scripts.alliance.progress import say
from scripts.kills.load import Load
from scripts.kills.plan import OTHER, PAIR, Kill, Plan

POINTS = 10_000_000
"""What every account begins with, more than all orders together can take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Struck:
    """A node that was killed: the time, and how many orders were answered and on their way to an answer then."""

    victim: Brand
    at: str
    answered: int
    under_way: int


def prepare(plan: Plan, clients: Clients) -> None:
    """Open the members' accounts, link them both ways, give them points, and close those of the barred."""
    make_id = partial(stable_id, "storm", str(plan.seed))
    for number, person in enumerate(plan.people):
        for brand in PAIR:
            open_account(clients[brand], person.ids[brand])
            _give(clients[brand], person.account(brand), make_id("points", brand.name, str(number)))
        for brand in PAIR:
            _link(clients, brand, person)
    for brand, person in plan.barred.items():
        for each in PAIR:
            open_account(clients[each], person.ids[each])
        _give(clients[brand], person.account(brand), make_id("barred", brand.name))
        _link(clients, brand, person)
        closing: dict[str, JsonValue] = {"id": make_id("close", brand.name)}
        clients[OTHER[brand]].post(f"/v1/accounts/{person.account(OTHER[brand])}/close", closing)


def rage(plan: Plan, alliance: Alliance, load: Load) -> list[Struck]:
    """Send all orders, kill nodes among them as planned, and return once every order is answered and both nodes run."""
    with load.running():
        struck = [_strike(kill, alliance, load) for kill in plan.kills]
        _wait_ready(alliance)
        load.release(len(plan.orders))
        load.wait_for(len(plan.orders))
    return struck


def _wait_ready(alliance: Alliance) -> None:
    for node in alliance.nodes.values():
        node.wait_ready()


def _strike(kill: Kill, alliance: Alliance, load: Load) -> Struck:
    node = alliance.nodes[kill.victim]
    if not kill.early:
        _wait_ready(alliance)
    load.release(kill.released)
    if not kill.early:
        load.wait_for(kill.answered)
    time.sleep(kill.delay_seconds)
    node.check_alive()
    struck = Struck(
        victim=kill.victim,
        at=format_time(datetime.now(UTC)),
        answered=len(load.answers),
        under_way=load.under_way,
    )
    node.kill()
    say(f"killed {kill.victim.title}'s node: {struck.answered} orders answered, {struck.under_way} under way")
    time.sleep(kill.down_seconds)
    node.start()
    return struck


def _give(client: NodeClient, account: str, request: str) -> None:
    client.post("/v1/transactions", {"id": request, "type": "issue", "account": account, "amount": POINTS})


def _link(clients: Mapping[Brand, NodeClient], source: Brand, person: Person) -> None:
    ids = (stable_id("issue", person.account(source)), stable_id("accept", person.account(source)))
    link(clients, source, OTHER[source], person=person, ids=ids)
