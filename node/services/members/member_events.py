"""What a member's app is pushed: its account's events in the feed's order, with words, resumed at any place."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Final

from node.services.context import Context
from node.services.events.events import Event, EventsService, Place
from node.services.members.member_day import MemberService
from node.services.members.texts import Speech
from node.services.refusals import NodeCode, NodeRefusal
from protocol.identifiers import Account

STREAMS_MAX: Final = 4
"""Streams of one account at a time."""
ALL_STREAMS_MAX: Final = 256
"""Streams of all accounts at a time."""
BATCH_STEPS: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberEvent:
    """Something that happened to an account; `seq` is the entry that tells it, null for a warning."""

    type: str
    time: str
    seq: int | None
    confirmation: str | None
    text: str
    data: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Pushed:
    """Events and the place after them: whoever has seen the last of them goes on there."""

    place: str
    events: tuple[MemberEvent, ...]


class MemberEvents:
    """Reads an account's part of the feed, and bounds how many listen."""

    def __init__(self, context: Context, events: EventsService, members: MemberService) -> None:
        self._context = context
        self._events = events
        self._members = members
        self._open: Counter[Account] = Counter()
        self._lock = threading.Lock()

    def place(self, last: str | None) -> Place:
        """Return where a stream begins: after the last event that was seen, or now.

        A browser gives a refused stream up for good, so one that saw events of a log which ended sooner goes on now.
        """
        feed = self._events.feed
        try:
            return feed.end() if last is None else feed.place(last)
        except NodeRefusal:
            return feed.end()

    def after(self, account: Account, place: Place, speech: Speech) -> list[Pushed]:
        """Return what comes next, entry by entry, up to a bound; nothing where there is no more."""
        steps = islice(self._events.feed.walk(place, account=account), BATCH_STEPS)
        return [
            Pushed(str(step.place), tuple(self._event(account, event, speech) for event in step.events))
            for step in steps
        ]

    def watch(self, wake: Callable[[], None]) -> Callable[[], None]:
        """Call `wake` after every commit, on another thread; return what ends that."""
        return self._events.watch(wake)

    @property
    def closed(self) -> bool:
        """Return whether the node is about to stop."""
        return self._events.closed

    def admit(self, account: Account) -> None:
        """Raise `rate_limited` where another stream would be one too many."""
        with self._lock:
            if self._open[account] >= STREAMS_MAX or self._open.total() >= ALL_STREAMS_MAX:
                raise NodeRefusal(NodeCode.RATE_LIMITED, "too many streams of events are open")

    @contextmanager
    def listening(self, account: Account) -> Iterator[None]:
        """Count a stream while it is open."""
        with self._lock:
            self._open[account] += 1
        try:
            yield
        finally:
            with self._lock:
                self._open[account] -= 1
                if not self._open[account]:
                    del self._open[account]

    def _event(self, account: Account, event: Event, speech: Speech) -> MemberEvent:
        sealed = None if event.seq is None else self._context.entry(event.seq)
        if sealed is None:
            amount, until = int(str(event.data["amount"])), str(event.data["expires_on"])
            text = speech.say("event.expiring", points=speech.points(amount), until=speech.date(until))
        else:
            text = self._members.line(account, speech, sealed).text
        return MemberEvent(
            type=event.type,
            time=event.time,
            seq=event.seq,
            confirmation=None if sealed is None else self._members.line(account, speech, sealed).confirmation,
            text=text,
            data=event.data,
        )
