"""A day of a brand as its log has it: purchases that earn, redemptions, holds at the till, transfers and conversions.

Of each thousand entries about 640 are points earned, 120 redeemed, 40 given to somebody else, 96 holds placed and
captured, 96 conversions held and captured, and 10 new members. The replayed year of purchases has one conversion to
thirty purchases, an alliance's day more of them: this lies between the two.
"""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from protocol.identifiers import Account
from scripts.alliance.brands import AURORA, BLUEBIRD, rate
from scripts.alliance.members import Person
from scripts.alliance.process import AllianceFailed
from scripts.benchmark.callers import Caller, at_once
from scripts.benchmark.members import Ids, any_conversion, issue, linked_people, open_members
from scripts.benchmark.nodes import caller_of, nodes_at
from scripts.benchmark.places import SQLITE, Place

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


@dataclass(slots=True)
class _Day:
    callers: Sequence[Caller]
    ids: Ids
    people: Sequence[Person]
    members: list[Account] = field(default_factory=list)

    def open(self, count: int) -> None:
        self.members += open_members(self.callers[0], self.ids, count)

    def thousand(self) -> None:
        """Let a thousand entries come about."""
        self.open(OPENED)
        items = [self._transaction(number) for number in range(EARNED + REDEEMED + GIVEN)]
        self.callers[0].post_each("/v1/transactions/batch", items)
        at_once(self.callers, self._hold, each=HOLDS // CALLERS)
        at_once(self.callers, self._convert, each=CONVERSIONS // CALLERS)

    def _transaction(self, number: int) -> dict[str, object]:
        # Some people buy much more often than others.
        account = self.members[int(len(self.members) * self.ids.rng.random() ** 2)]
        body: dict[str, object] = {"id": self.ids(), "account": account}
        if number < EARNED:
            return body | {"type": "issue", "amount": self.ids.rng.randint(1, 300)}
        account = self.ids.rng.choice(self.members[:MEMBERS])
        if number < EARNED + REDEEMED:
            return body | {"type": "redeem", "account": account, "amount": self.ids.rng.randint(50, 500)}
        other = self.ids.rng.choice([each for each in self.members[:MEMBERS] if each != account])
        return body | {"type": "transfer", "account": account, "to": other, "amount": self.ids.rng.randint(1, 100)}

    def _hold(self, caller: Caller, number: int) -> None:
        hold, account = self.ids(), self.members[number]
        caller.post("/v1/holds", {"id": hold, "account": account, "amount": 10})
        caller.post(f"/v1/holds/{hold}/capture", {"id": self.ids()})

    def _convert(self, caller: Caller, number: int) -> None:
        person = self.people[number % len(self.people)]
        order = {"id": self.ids(), "account": person.account(AURORA), "partner": BLUEBIRD.ledger}
        caller.post("/v1/conversions", {**order, "amount": rate(AURORA, BLUEBIRD).source_step})

    def settle(self) -> None:
        """Wait until no conversion is pending."""
        deadline = time.monotonic() + _SETTLE_SECONDS
        while any_conversion(self.callers[0], state="pending"):
            if time.monotonic() > deadline:
                raise AllianceFailed("conversions of the benchmark's day are still pending")
            time.sleep(_LOOK_SECONDS)


def played_day(place: Place, *, entries: int) -> Path:
    """Play a day of about so many `entries` between two nodes, and return the directory of the one that converts."""
    with nodes_at(place, SQLITE, (AURORA, BLUEBIRD)) as alliance, ExitStack() as stack:
        node = alliance.nodes[AURORA]
        callers = [stack.enter_context(caller_of(node)) for _ in range(CALLERS)]
        ids = Ids(SEED)
        thousands = entries // THOUSAND
        # Each of the people converts a few times in a thousand entries, however long the day is.
        spent = thousands * -(-CONVERSIONS // PEOPLE) * rate(AURORA, BLUEBIRD).source_step
        day = _Day(callers, ids, linked_people(alliance, ids, PEOPLE, points=POINTS + spent))
        day.open(MEMBERS)
        issue(callers[0], ids, day.members, POINTS)
        for _ in range(thousands):
            day.thousand()
        day.settle()
        return node.directory
