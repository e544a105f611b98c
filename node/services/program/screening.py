"""Screens: what looks like theft or abuse waits for a person instead of being refused (specs/program.md §6).

A screen runs in the very commit that would carry an order out, on what was committed before and on what comes before
it in the same commit. Only its verdict and a salted digest enter the log; what it saw lies in an erasable row.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import msgspec

from node.engine.work import Answer, Desk
from node.ports import Randomness
from node.services.metadata import SALT_BYTES, metadata_digest
from node.store.reader import StoreReader
from node.store.rows import PutMetadata, Write
from node.store.rows_program import ClientTrace
from protocol.fields import later
from protocol.identifiers import Account, Digest, Id
from protocol.ledger import rules
from protocol.ledger.commands import AnyCommand
from protocol.ledger.names import review_id
from protocol.ledger.program_commands import OpenReview
from protocol.ledger.program_state import PROGRAM, REVIEWS
from protocol.ledger.programs import terms_of
from protocol.ledger.state import IDS, ONLY
from protocol.ledger.view import Need, Overlay, need
from protocol.program import Screen
from protocol.program_entries import Order

Screened: TypeAlias = Literal["transfer", "conversion"]
"""What is screened, as the terms name it."""

ALL: Final = ("conversion", "transfer")
TRACE_DAYS_MAX: Final = 30
"""The longest window of a screen: older traces are of no use and are dropped."""

_MINUTE_SECONDS: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientData:
    """What a backend tells about the client behind an order: never part of what a repeat must be equal to."""

    address: str | None = None
    device: str | None = None
    agent: str | None = None


NO_CLIENT: Final = ClientData()


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """An order to be screened: who asks for what, how many points wait meanwhile, and on what request.

    Its `metadata`, packed, is kept with what a screen saw, and goes on with the order.
    """

    id: Id
    account: Account
    activity: Screened
    request: Digest
    order: Order
    client: ClientData
    metadata: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A screen that an order did not pass, and what it saw."""

    screen: str
    seen: dict[str, object]


class ScreenedWork(ABC):
    """An order that is carried out, or put up for review by a screen.

    Rows are staged only beside an entry that was made: where `run` raises a `Refusal`, it has left nothing behind.
    """

    def __init__(self, reader: StoreReader, randomness: Randomness, asked: Asked) -> None:
        self._reader = reader
        self._randomness = randomness
        self._asked = asked

    @abstractmethod
    def command(self, desk: Desk | None) -> AnyCommand:
        """Return the command of the order; without a desk, one that reads the same rows."""

    @abstractmethod
    def points(self, desk: Desk) -> int:
        """Return how many points wait while the order is under review."""

    def too_large(self, _desk: Desk) -> bool:
        """Return whether the terms want a person to look at an order of this size."""
        return False

    def needs(self, view: Overlay) -> Iterator[Need]:
        """Yield what the order reads, and what its review would."""
        yield from rules.needs(view, self.command(None))
        if view.peek(PROGRAM, ONLY) is None:
            return
        yield from rules.needs(view, self._review(screen="", digest=Digest("")))
        yield need(REVIEWS, self._asked.id)

    def run(self, desk: Desk) -> list[Answer]:
        """Carry the order out, or put it up for review; a repeat is answered as the first time."""
        asked = self._asked
        if desk.find(PROGRAM, ONLY) is None:
            return [desk.execute(self.command(desk))]
        known = desk.find(REVIEWS, asked.id)
        if known is not None:
            return [desk.execute(self._review(screen=known.screen, digest=known.digest, points=known.points))]
        if desk.find(IDS, asked.id) is not None:
            return [desk.execute(self.command(desk))]
        answer = self._judged(desk)
        self._trace(desk)
        return [answer]

    def _judged(self, desk: Desk) -> Answer:
        verdict = self._screen(desk)
        if verdict is None:
            return desk.execute(self.command(desk))
        row = self._kept(verdict)
        answer = desk.execute(self._review(screen=verdict.screen, digest=row.digest, points=self.points(desk)))
        desk.stage(row)
        return answer

    def _review(self, *, screen: str, digest: Digest, points: int = 0) -> OpenReview:
        asked = self._asked
        return OpenReview(
            id=review_id(asked.id),
            request=asked.request,
            order_id=asked.id,
            account=asked.account,
            screen=screen,
            digest=digest,
            points=points,
            order=asked.order,
        )

    def _screen(self, desk: Desk) -> Verdict | None:
        if self.too_large(desk):
            return Verdict(screen="amount", seen={})
        for screen in terms_of(desk.view).screens:
            if screen.activity not in {self._asked.activity, "any"}:
                continue
            seen = self._seen(desk, screen)
            if seen > screen.most:
                return Verdict(screen=screen.name, seen={**msgspec.to_builtins(screen), "seen": seen})
        return None

    def _seen(self, desk: Desk, screen: Screen) -> int:
        """Return how many orders of the account, or accounts behind its device or address, are in the window."""
        asked = self._asked
        activities = ALL if screen.activity == "any" else (screen.activity,)
        since = later(desk.time, seconds=-screen.window_minutes * _MINUTE_SECONDS)
        fresh = [each for each in _traces(desk.staged()) if each.activity in activities]
        if screen.name == "velocity":
            found = self._reader.traced_ids(asked.account, activities=activities, since=since, limit=screen.most + 1)
            return len(found | {each.id for each in fresh if each.account == asked.account} | {asked.id})
        column: Literal["device", "address"] = "device" if screen.name == "device" else "address"
        value = getattr(asked.client, column)
        if value is None:
            return 0
        accounts = self._reader.traced_accounts(
            column, value, activities=activities, since=since, limit=screen.most + 1
        )
        return len(accounts | {each.account for each in fresh if getattr(each, column) == value} | {asked.account})

    def _trace(self, desk: Desk) -> None:
        """Keep that the account asked, as long as a screen could look at it."""
        asked, client = self._asked, self._asked.client
        if terms_of(desk.view).screens:
            desk.stage(
                ClientTrace(
                    id=asked.id,
                    account=asked.account,
                    activity=asked.activity,
                    seen_at=desk.time,
                    address=client.address,
                    device=client.device,
                    agent=client.agent,
                )
            )

    def _kept(self, verdict: Verdict) -> PutMetadata:
        client = self._asked.client
        told = {"address": client.address, "device": client.device, "agent": client.agent}
        document: dict[str, object] = {"screen": verdict.screen, **verdict.seen, **told}
        if self._asked.metadata is not None:
            document["metadata"] = msgspec.Raw(self._asked.metadata.encode())
        data = msgspec.json.encode(document, order="sorted")
        salt = self._randomness.token(SALT_BYTES)
        return PutMetadata(digest=metadata_digest(salt, data), salt=salt, data=data)


def _traces(staged: Sequence[Write]) -> list[ClientTrace]:
    return [each for each in staged if isinstance(each, ClientTrace)]
