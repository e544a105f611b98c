"""A day of a brand as its log has it: purchases that earn, redemptions, holds at the till, transfers and conversions.

Of each thousand entries about 640 are points earned, 120 redeemed, 40 given to somebody else, 96 holds placed and
captured, 96 conversions held and captured, and 10 new members. The replayed year of purchases has one conversion to
thirty purchases, an alliance's day more of them: this lies between the two.
"""

import random
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from http import HTTPStatus
from itertools import permutations
from pathlib import Path
from typing import Final
from uuid import UUID

import msgspec

from node.client import read_token
from scripts.alliance.alliance import BACKEND, Alliance, running_alliance
from scripts.alliance.brands import AURORA, BLUEBIRD, rate
from scripts.alliance.members import Person, link, open_account
from scripts.alliance.process import AllianceFailed
from scripts.benchmark.callers import Caller, at_once
from scripts.benchmark.places import Place

THOUSAND: Final = 1_000
EARNED: Final = 640
REDEEMED: Final = 120
GIVEN: Final = 40
HOLDS: Final = 48
CONVERSIONS: Final = 48
OPENED: Final = 10
CALLERS: Final = 8
MEMBERS: Final = 400
PEOPLE: Final = 16
POINTS: Final = 1_000_000
SEED: Final = 1
_SETTLE_SECONDS: Final = 120.0
_LOOK_SECONDS: Final = 0.1


class _Result(msgspec.Struct, frozen=True):
    status: int


class _Results(msgspec.Struct, frozen=True):
    results: tuple[_Result, ...]


class _Page(msgspec.Struct, frozen=True):
    conversions: tuple[msgspec.Raw, ...]


@dataclass(slots=True)
class _Day:
    alliance: Alliance
    callers: Sequence[Caller]
    rng: random.Random = field(default_factory=lambda: random.Random(SEED))
    members: list[str] = field(default_factory=list)
    people: list[Person] = field(default_factory=list)

    def make_id(self) -> str:
        return str(UUID(int=self.rng.getrandbits(128), version=4))

    def open(self, count: int) -> None:
        for _ in range(count):
            member = self.make_id()
            self.callers[0].post("/v1/accounts", {"id": member, "kind": "member"})
            self.members.append(f"member/{member}")

    def link_people(self) -> None:
        with ExitStack() as stack:
            clients = {brand: stack.enter_context(self.alliance.client(brand)) for brand in self.alliance.nodes}
            for _ in range(PEOPLE):
                person = Person({brand: self.make_id() for brand in clients})
                for brand, client in clients.items():
                    open_account(client, person.ids[brand])
                for source, destination in permutations(clients, 2):
                    link(clients, source, destination, person=person, ids=(self.make_id(), self.make_id()))
                self.people.append(person)

    def earn(self, accounts: Sequence[str], points: int) -> None:
        self.transact([{"id": self.make_id(), "type": "issue", "account": each, "amount": points} for each in accounts])

    def transact(self, items: Sequence[object]) -> None:
        data = self.callers[0].post("/v1/transactions/batch", {"atomic": False, "items": items})
        if any(each.status != HTTPStatus.CREATED for each in msgspec.json.decode(data, type=_Results).results):
            raise AllianceFailed("a transaction of the benchmark's day was refused")

    def thousand(self) -> None:
        """Let a thousand entries come about."""
        self.open(OPENED)
        self.transact([self._transaction(number) for number in range(EARNED + REDEEMED + GIVEN)])
        at_once(self.callers, self._hold, each=HOLDS // CALLERS)
        at_once(self.callers, self._convert, each=CONVERSIONS // CALLERS)

    def _transaction(self, number: int) -> dict[str, object]:
        # Some people buy much more often than others.
        account = self.members[int(len(self.members) * self.rng.random() ** 2)]
        body: dict[str, object] = {"id": self.make_id(), "account": account}
        if number < EARNED:
            return body | {"type": "issue", "amount": self.rng.randint(1, 300)}
        account = self.rng.choice(self.members[:MEMBERS])
        if number < EARNED + REDEEMED:
            return body | {"type": "redeem", "account": account, "amount": self.rng.randint(50, 500)}
        other = self.rng.choice([each for each in self.members[:MEMBERS] if each != account])
        return body | {"type": "transfer", "account": account, "to": other, "amount": self.rng.randint(1, 100)}

    def _hold(self, caller: Caller, number: int) -> None:
        hold, account = self.make_id(), self.members[number]
        caller.post("/v1/holds", {"id": hold, "account": account, "amount": 10})
        caller.post(f"/v1/holds/{hold}/capture", {"id": self.make_id()})

    def _convert(self, caller: Caller, number: int) -> None:
        person = self.people[number % len(self.people)]
        order = {"id": self.make_id(), "account": person.account(AURORA), "partner": BLUEBIRD.ledger}
        caller.post("/v1/conversions", {**order, "amount": rate(AURORA, BLUEBIRD).source_step})

    def settle(self) -> None:
        """Wait until no conversion is pending."""
        deadline = time.monotonic() + _SETTLE_SECONDS
        path = "/v1/conversions?state=pending&limit=1"
        while msgspec.json.decode(self.callers[0].get(path), type=_Page).conversions:
            if time.monotonic() > deadline:
                raise AllianceFailed("conversions of the benchmark's day are still pending")
            time.sleep(_LOOK_SECONDS)


def played_day(place: Place, *, entries: int) -> Path:
    """Play a day of about so many `entries` between two nodes, and return the directory of the one that converts."""
    folder = place.fresh("day")
    brands = (AURORA, BLUEBIRD)
    with running_alliance(folder, port_base=None, ephemeral=True, brands=brands) as alliance, ExitStack() as stack:
        node = alliance.nodes[AURORA]
        token = read_token(node.token_file(BACKEND))
        callers = [stack.enter_context(Caller(node.url, token)) for _ in range(CALLERS)]
        day = _Day(alliance, callers)
        day.open(MEMBERS)
        day.link_people()
        day.earn([*day.members, *(person.account(AURORA) for person in day.people)], POINTS)
        for _ in range(entries // THOUSAND):
            day.thousand()
        day.settle()
        return node.directory
