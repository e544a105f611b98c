"""One round of delivery to one endpoint: at least once, and in order per account (specs/events.md §5).

Events of one account, or of one partner where they are about no account, make a lane. What an endpoint did not take
waits in the store, and everything after it in its lane waits behind it; other lanes go on. An endpoint that cannot be
reached at all lets nothing wait: its place in the feed stays where it is.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from enum import StrEnum
from threading import Event as Flag
from typing import Final

import msgspec

from node.ports import Clock, HookFailed, Hooks, Randomness
from node.services.events.events import Event, EventFeed, Place, event_of_notice
from node.services.events.webhook_signing import encode_event, signed_headers
from node.store.reader import StoreReader
from node.store.rows import Write
from node.store.rows_webhooks import DropDelivery, Webhook, WebhookAttempt, WebhookDelivery
from protocol.fields import format_time, later, parse_time
from protocol.identifiers import Ledger

ATTEMPTS_KEPT: Final = 256
"""Attempts that are listed of one endpoint."""

ERROR_CHARACTERS_MAX: Final = 200
_JITTER: Final = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryPolicy:
    """How patient delivery is. An endpoint that has taken nothing for `disable_after_seconds` is tried no more."""

    batch_events: int = 256
    waiting_max: int = 1_000
    lanes_at_once: int = 4
    round_seconds: float = 10.0
    first_seconds: float = 1.0
    longest_seconds: float = 3_600.0
    disable_after_seconds: int = 5 * 86_400

    def is_due(self, retry_at: str, *, now: str) -> bool:
        """Return whether what was to be tried again at `retry_at` is: also where the clock was set back since."""
        return not now < retry_at <= later(now, seconds=math.ceil(self.longest_seconds))


class _Fate(StrEnum):
    """What became of an event in a round."""

    UNTRIED = "untried"
    DELIVERED = "delivered"
    REFUSED = "refused"
    UNREACHED = "unreached"


@dataclass(slots=True, kw_only=True)
class _Item:
    """An event on its way: one that waited (`waited`), or a new one."""

    event: Event
    lane: str
    part: int
    notice: int | None
    waited: WebhookDelivery | None = None
    fate: _Fate = _Fate.UNTRIED
    error: str | None = None
    at: str = ""
    milliseconds: int = 0

    @property
    def attempts(self) -> int:
        """Return how often it was tried before."""
        return 0 if self.waited is None else self.waited.attempts


@dataclass(slots=True)
class _Batch:
    """What a round has to do: lanes in order, the new events in the order of the feed, and the place after them.

    `blocked` lanes are not due yet; what `lost` waited for can be told no more: it was erased, or the log has lost it.
    """

    lanes: dict[str, list[_Item]] = field(default_factory=dict)
    fresh: list[_Item] = field(default_factory=list)
    place: Place = field(default_factory=Place)
    blocked: set[str] = field(default_factory=set)
    lost: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What a round touches."""

    reader: StoreReader
    feed: EventFeed
    hooks: Hooks
    clock: Clock
    randomness: Randomness
    ledger: Ledger
    policy: DeliveryPolicy


class Round:
    """Tries what is due for one endpoint and says what is to be written; it writes nothing itself."""

    def __init__(self, world: World, hook: Webhook, *, halt: Flag) -> None:
        """Prepare for `hook`; once `halt` is set no further attempt begins."""
        self._world = world
        self._hook = hook
        self._halt = halt
        self._types = frozenset(msgspec.json.decode(hook.types, type=list[str]))
        self._now = format_time(world.clock.now())
        self._ends = 0.0

    def run(self, pool: Executor) -> list[Write]:
        """Try everything that is due, lanes beside each other, and return what is to be written, if anything is."""
        batch = self._batch()
        self._ends = self._world.clock.monotonic() + self._world.policy.round_seconds
        due = [items for lane, items in batch.lanes.items() if lane not in batch.blocked]
        # Lanes that fail or are slow come last, so that they take no other lane's time.
        list(pool.map(self._try_lane, sorted(due, key=lambda items: items[0].attempts)))
        return self._writes(batch)

    # --- What is due.

    def _batch(self) -> _Batch:
        world, batch = self._world, _Batch()
        waiting = world.reader.webhook_deliveries(self._hook.id, limit=world.policy.waiting_max)
        for row in waiting:
            event = self._event_of(row)
            if event is None:
                batch.lost.append(row.id)
                continue
            items = batch.lanes.setdefault(row.lane, [])
            if not items and not world.policy.is_due(row.retry_at, now=self._now):
                batch.blocked.add(row.lane)
            items.append(_Item(event=event, lane=row.lane, part=row.part, notice=row.notice, waited=row))
        self._add_fresh(batch, room=world.policy.waiting_max - len(waiting))
        return batch

    def _add_fresh(self, batch: _Batch, *, room: int) -> None:
        batch.place = Place(self._hook.after_seq, self._hook.after_notice)
        looked, bound = 0, min(room, self._world.policy.batch_events)
        for step in self._world.feed.walk(batch.place):
            found = [
                (part, event) for part, event in enumerate(step.events) if not self._types or event.type in self._types
            ]
            if len(batch.fresh) + len(found) > bound or looked >= 16 * self._world.policy.batch_events:
                return
            for part, event in found:
                lane = event.account or event.partner or ""
                item = _Item(event=event, lane=lane, part=part, notice=step.notice)
                batch.fresh.append(item)
                batch.lanes.setdefault(lane, []).append(item)
            batch.place, looked = step.place, looked + 1

    def _event_of(self, row: WebhookDelivery) -> Event | None:
        if row.seq is not None:
            return self._world.feed.part(row.seq, row.part)
        notice = None if row.notice is None else self._world.reader.expiry_notice(row.notice)
        return None if notice is None else event_of_notice(notice)

    # --- Trying.

    def _try_lane(self, items: Sequence[_Item]) -> None:
        for item in items:
            if self._halt.is_set() or self._world.clock.monotonic() > self._ends:
                return
            self._try(item)
            if item.fate is not _Fate.DELIVERED:
                return

    def _try(self, item: _Item) -> None:
        world = self._world
        body = encode_event(item.event, ledger=world.ledger)
        wall, began = world.clock.now(), world.clock.monotonic()
        headers = signed_headers(self._hook.secret, body, event=item.event.id, at_seconds=int(wall.timestamp()))
        item.at = format_time(wall)
        try:
            world.hooks.post(self._hook.url, body, headers)
            item.fate = _Fate.DELIVERED
        except HookFailed as failure:
            if self._halt.is_set():
                return  # It was given up: nothing is known of it, and it is tried again.
            item.fate = _Fate.REFUSED if failure.reached else _Fate.UNREACHED
            item.error = str(failure)[:ERROR_CHARACTERS_MAX]
        item.milliseconds = int((world.clock.monotonic() - began) * 1_000)

    # --- What follows.

    def _writes(self, batch: _Batch) -> list[Write]:
        items = [item for lane in batch.lanes.values() for item in lane]
        tried = [item for item in items if item.fate is not _Fate.UNTRIED]
        taken = sum(item.fate is _Fate.DELIVERED for item in tried)
        reached = taken or any(item.fate is _Fate.REFUSED for item in tried)
        place, parked = self._advance(batch, reached=bool(reached) or not tried)
        hook = self._judged(tried, taken=taken, reached=bool(reached))
        numbered = hook.numbered
        writes: list[Write] = [DropDelivery(lost) for lost in batch.lost]
        for item in parked:
            writes.append(self._parked(item, number=numbered))
            numbered += 1
        writes += self._waited(items, released=bool(taken) and self._hook.failing_since is not None)
        writes += self._attempts(tried)
        changed = replace(
            hook,
            after_seq=place.seq,
            after_notice=place.notice,
            numbered=numbered,
            attempted=hook.attempted + len(tried),
            delivered=hook.delivered + taken,
        )
        return [changed, *writes] if writes or changed != self._hook else []

    def _advance(self, batch: _Batch, *, reached: bool) -> tuple[Place, list[_Item]]:
        """Return how far the feed has been dealt with, and the new events that wait from now on."""
        if reached:
            return batch.place, [item for item in batch.fresh if item.fate is not _Fate.DELIVERED]
        return Place(self._hook.after_seq, self._hook.after_notice), []

    def _judged(self, tried: Sequence[_Item], *, taken: int, reached: bool) -> Webhook:
        """Return the endpoint as it stands after the round."""
        failed = next((item for item in reversed(tried) if item.error is not None), None)
        if not tried:
            return self._hook
        hook = replace(self._hook, last_error=failed.error if failed else None)
        if taken:
            return replace(hook, failures=0, failing_since=None, retry_at=None, last_delivered_at=self._now)
        failing_since = min(hook.failing_since or self._now, self._now)
        elapsed = (parse_time(self._now) - parse_time(failing_since)).total_seconds()
        state = "disabled" if elapsed >= self._world.policy.disable_after_seconds else hook.state
        if reached:
            return replace(hook, failing_since=failing_since, state=state, failures=0, retry_at=None)
        failures = hook.failures + 1
        return replace(
            hook, failing_since=failing_since, state=state, failures=failures, retry_at=self._again(failures)
        )

    def _waited(self, items: Iterable[_Item], *, released: bool) -> Iterator[Write]:
        """Yield what changes of those that waited; with `released`, the endpoint is back and all are due again."""
        for item in items:
            row = item.waited
            if row is None:
                continue
            if item.fate is _Fate.DELIVERED:
                yield DropDelivery(row.id)
            elif item.fate is not _Fate.UNTRIED:
                attempts = row.attempts + 1
                retry_at = self._now if released else self._again(attempts)
                yield replace(row, attempts=attempts, retry_at=retry_at, last_error=item.error)
            elif released and row.retry_at > self._now:
                yield replace(row, retry_at=self._now)

    def _parked(self, item: _Item, *, number: int) -> WebhookDelivery:
        attempts = int(item.fate is not _Fate.UNTRIED)
        return WebhookDelivery(
            id=f"{self._hook.id}/{number:016d}",
            webhook=self._hook.id,
            number=number,
            lane=item.lane,
            event=item.event.id,
            type=item.event.type,
            seq=item.event.seq,
            part=item.part,
            notice=item.notice,
            attempts=attempts,
            waits_since=self._now,
            retry_at=self._again(attempts) if attempts else self._now,
            last_error=item.error,
        )

    def _attempts(self, tried: Iterable[_Item]) -> Iterator[Write]:
        in_time = sorted(tried, key=lambda item: item.at)
        for number, item in enumerate(in_time, start=self._hook.attempted):
            yield WebhookAttempt(
                id=f"{self._hook.id}/{number % ATTEMPTS_KEPT:03d}",
                webhook=self._hook.id,
                number=number,
                event=item.event.id,
                type=item.event.type,
                at=item.at,
                outcome=item.error or "delivered",
                milliseconds=item.milliseconds,
            )

    def _again(self, attempts: int) -> str:
        """Return when to try again after that many failures in a row: twice as late each time, drawn from a range."""
        policy = self._world.policy
        longest = min(policy.longest_seconds, policy.first_seconds * 2.0 ** min(attempts - 1, 30))
        drawn = int.from_bytes(self._world.randomness.token(2)) / _JITTER
        return later(self._now, microseconds=int(longest * (0.5 + drawn / 2) * 1_000_000))
