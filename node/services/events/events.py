"""The feed of events: what the log tells, in its order, and between its entries the warnings of expiry.

A place in the feed is an entry's seq, and, behind a full stop where one is needed, a warning's number: `1042` or
`1042.17`. What comes after a place is always the same, so whoever keeps the last place misses nothing.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from node.engine.engine import Committed
from node.services.context import Context
from node.services.events.event_kinds import EventType, told_by
from node.services.refusals import NodeCode, NodeRefusal
from node.store.reader import StoreReader
from node.store.rows_webhooks import ExpiryNotice
from protocol.entries import Sealed, unseal
from protocol.identifiers import Account, Id
from protocol.ledger.program_state import REVIEWS, TRANSFERS, ReviewRecord, TransferRecord
from protocol.ledger.state import HEAD, HOLDS, ONLY, OUTGOING, HoldRecord, OutgoingRecord

CHUNK_ROWS: Final = 256
SCAN_ENTRIES_MAX: Final = 4_096
"""How far one page looks for events of the types and the account that are asked for."""

_LEAF_CHARACTERS: Final = 16


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """After entry `seq` and warning `notice`; -1 is before the first."""

    seq: int = -1
    notice: int = -1

    def __str__(self) -> str:
        """Return the place as cursors write it."""
        return f"{self.seq}.{self.notice}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened. `id` is the same whenever it is told: whoever has seen it drops the repeat.

    `seq` is the entry that tells it, null for a warning of expiry; `receipt` of that entry proves it.
    """

    id: str
    type: str
    time: str
    seq: int | None
    account: str | None
    partner: str | None
    data: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class EventPage:
    """Events in their order; `next` is the place after the last one looked at, `more` whether there is more already."""

    events: tuple[Event, ...]
    next: str
    more: bool


@dataclass(frozen=True, slots=True)
class Step:
    """All that one entry or warning tells, and the place after it."""

    place: Place
    events: tuple[Event, ...]
    notice: int | None = None


class EventFeed:
    """Reads events out of the log."""

    def __init__(self, reader: StoreReader) -> None:
        self._reader = reader

    def walk(self, after: Place, *, account: Account | None = None) -> Iterator[Step]:
        """Yield what comes after a place, entry by entry, to the end of the log as it is then."""
        entries, notices = self._entries(after.seq, account), self._notices(after.notice, account)
        sealed, notice, place = next(entries, None), next(notices, None), after
        while sealed is not None or notice is not None:
            if notice is None or (sealed is not None and sealed.entry.seq <= notice.after_seq):
                assert sealed is not None, "one of the two is left"
                place = Place(sealed.entry.seq, place.notice)
                yield Step(place, self.of(sealed, account=account))
                sealed = next(entries, None)
            else:
                place = Place(place.seq, notice.number)
                yield Step(place, (event_of_notice(notice),), notice.number)
                notice = next(notices, None)

    def of(self, sealed: Sealed, *, account: Account | None = None) -> tuple[Event, ...]:
        """Return what an entry tells, or with `account` what of it is about that account."""
        entry = sealed.entry
        found = (
            Event(
                id=f"{entry.seq}.{part}.{sealed.leaf[:_LEAF_CHARACTERS]}",
                type=told.type.value,
                time=entry.time,
                seq=entry.seq,
                account=told.account,
                partner=told.partner,
                data=told.data,
            )
            for part, told in enumerate(told_by(entry, self))
        )
        return tuple(event for event in found if account in (None, event.account))

    def part(self, seq: int, part: int) -> Event | None:
        """Return part `part` of what entry `seq` tells, or None where there is none."""
        data = self._reader.entry(seq)
        found = () if data is None else self.of(unseal(data))
        return found[part] if part < len(found) else None

    def place(self, text: str | None) -> Place:
        """Return the place that a cursor names, or raise `request_invalid` for one after the end.

        A cursor that names no warning stands before those made since its entry.
        """
        if text is None:
            return Place()
        seq, _, notice = text.partition(".")
        end = self.end()
        if int(seq) > end.seq:
            raise NodeRefusal(NodeCode.REQUEST_INVALID, f"after: the feed ends at {end}, before {text}")
        if notice:
            return Place(int(seq), int(notice))
        return Place(int(seq), self._reader.last_notice(after_seq=int(seq)))

    def end(self) -> Place:
        """Return the place after everything that there is."""
        head = self._reader.record(HEAD, ONLY)
        return Place(-1 if head is None else head.size - 1, self._reader.last_notice())

    def hold(self, hold: Id) -> HoldRecord | None:
        """Return a hold."""
        return self._reader.record(HOLDS, hold)

    def order(self, conversion: Id) -> OutgoingRecord | None:
        """Return a conversion out of this ledger."""
        return self._reader.record(OUTGOING, conversion)

    def transfer(self, transfer: Id) -> TransferRecord | None:
        """Return a transfer that waited, or waits, for its recipient."""
        return self._reader.record(TRANSFERS, transfer)

    def review(self, order: Id) -> ReviewRecord | None:
        """Return a review by the id of the order that it is about."""
        return self._reader.record(REVIEWS, order)

    def _entries(self, after: int, account: Account | None) -> Iterator[Sealed]:
        while True:
            if account is None:
                found = self._reader.entries_from(after + 1, CHUNK_ROWS)
            else:
                found = self._reader.history_after(account, after, CHUNK_ROWS)
            for data in found:
                sealed = unseal(data)
                after = sealed.entry.seq
                yield sealed
            if len(found) < CHUNK_ROWS:
                return

    def _notices(self, after: int, account: Account | None) -> Iterator[ExpiryNotice]:
        while True:
            found = self._reader.expiry_notices(after, account=account, limit=CHUNK_ROWS)
            for notice in found:
                after = notice.number
                yield notice
            if len(found) < CHUNK_ROWS:
                return


def event_of_notice(notice: ExpiryNotice) -> Event:
    """Return the event of a warning of expiry."""
    named = f"{notice.account} {notice.expires_on} {notice.days}".encode()
    return Event(
        id=f"n{notice.number}.{sha256(named).hexdigest()[:_LEAF_CHARACTERS]}",
        type=EventType.POINTS_EXPIRING.value,
        time=notice.made_at,
        seq=None,
        account=notice.account,
        partner=None,
        data={"amount": notice.amount, "expires_on": notice.expires_on, "days": notice.days},
    )


class EventsService:
    """Pages of the feed, and who is woken when it goes on."""

    def __init__(self, context: Context) -> None:
        self.feed = EventFeed(context.reader)
        self._lock = threading.Lock()
        self._wakes: set[Callable[[], None]] = set()
        self._closed = False
        context.writer.listen(self._committed)

    def page(
        self, *, after: str | None, types: Iterable[str] = (), account: Account | None = None, limit: int
    ) -> EventPage:
        """Return up to `limit` events and those of the same entry, or raise `request_invalid` for no type of events."""
        wanted = known_types(types)
        events: list[Event] = []
        place, scanned = self.feed.place(after), 0
        for step in self.feed.walk(place, account=account):
            if len(events) >= limit or scanned >= SCAN_ENTRIES_MAX:
                return EventPage(events=tuple(events), next=str(place), more=True)
            events.extend(event for event in step.events if not wanted or event.type in wanted)
            place, scanned = step.place, scanned + 1
        return EventPage(events=tuple(events), next=str(place), more=False)

    def watch(self, wake: Callable[[], None]) -> Callable[[], None]:
        """Call `wake` after every commit, on another thread; return what ends that."""
        with self._lock:
            self._wakes.add(wake)
        return lambda: self._forget(wake)

    @property
    def closed(self) -> bool:
        """Return whether nobody should wait any longer: the node is about to stop."""
        return self._closed

    def close(self) -> None:
        """Wake everybody: the node is about to stop."""
        self._closed = True
        self._wake_all()

    def _wake_all(self) -> None:
        with self._lock:
            wakes = tuple(self._wakes)
        for wake in wakes:
            wake()

    def _forget(self, wake: Callable[[], None]) -> None:
        with self._lock:
            self._wakes.discard(wake)

    def _committed(self, committed: Committed) -> None:
        if committed.sealed:
            self._wake_all()


def known_types(types: Iterable[str]) -> frozenset[str]:
    """Return `types` if each is one of events, or raise `request_invalid`."""
    wanted = frozenset(types)
    unknown = sorted(wanted - {each.value for each in EventType})
    if unknown:
        raise NodeRefusal(NodeCode.REQUEST_INVALID, f"types: {unknown[0][:64]} is no type of events")
    return wanted
