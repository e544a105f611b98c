"""Webhooks: endpoints that a programme names, and the delivery of events to them (specs/events.md §4)."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Final

import msgspec

from node.ports import HookFailed, Hooks
from node.services.at_once import AtOnce
from node.services.context import Context, WriteWork
from node.services.events.events import Event, EventFeed, EventsService, known_types
from node.services.events.webhook_delivery import ATTEMPTS_KEPT, DeliveryPolicy, Round, World
from node.services.events.webhook_signing import encode_event, new_secret, rotated, signed_headers
from node.services.events.webhook_views import (
    AddWebhookRequest,
    AttemptView,
    DeliveriesView,
    NewWebhook,
    WaitingView,
    WebhookList,
    WebhookTested,
    WebhookView,
)
from node.services.pending import Pending
from node.services.refusals import NodeCode, NodeRefusal
from node.store.rows import Write
from node.store.rows_webhooks import DropAttempt, DropDelivery, DropWebhook, Webhook, WebhookDelivery
from protocol.identifiers import id_from_random

WEBHOOKS_MAX: Final = 32
TEST_TYPE: Final = "webhook.test"
_ROUND_ENDS_SECONDS: Final = 60.0
_WAITING_LISTED: Final = 100


@dataclass(slots=True)
class _Running:
    """One round at a time for an endpoint; `halt` ends the one that is under way."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    halt: threading.Event = field(default_factory=threading.Event)
    unkept: bool = False
    """Whether what came of the last round could not be written."""


class WebhooksService:
    """Keeps endpoints and delivers to them; `deliver` is one round."""

    def __init__(
        self, context: Context, events: EventsService, hooks: Hooks, *, policy: DeliveryPolicy | None = None
    ) -> None:
        self._context = context
        self._feed: EventFeed = events.feed
        self._hooks = hooks
        self._policy = policy or DeliveryPolicy()
        self._running: dict[str, _Running] = {}
        self._at_once = AtOnce(each=2)
        self._door = threading.Lock()

    # --- Endpoints.

    def add(self, request: AddWebhookRequest) -> Pending[NewWebhook]:
        """Keep an endpoint, or raise `webhook_exists`, `webhooks_full`, `webhook_url_refused` or `request_invalid`."""
        reader = self._context.reader
        known_types(request.types)
        if reader.webhook(request.id) is not None:
            raise NodeRefusal(NodeCode.WEBHOOK_EXISTS, f"there is a webhook {request.id} already")
        if len(reader.webhooks()) >= WEBHOOKS_MAX:
            raise NodeRefusal(NodeCode.WEBHOOKS_FULL, f"a node keeps at most {WEBHOOKS_MAX} webhooks")
        self._check_url(request.url)
        place = self._feed.end() if request.after is None else self._feed.place(request.after)
        row = Webhook(
            id=request.id,
            url=request.url,
            secret=new_secret(self._context.randomness),
            types=msgspec.json.encode(sorted(set(request.types))).decode(),
            state="active",
            created_at=self._context.now,
            after_seq=place.seq,
            after_notice=place.notice,
        )
        future = self._context.writer.submit(WriteWork([row]))
        return Pending(future, lambda _: NewWebhook(webhook=self._view(row), secret=row.secret))

    def all(self) -> WebhookList:
        """Return all endpoints."""
        return WebhookList(webhooks=tuple(map(self._view, self._context.reader.webhooks())))

    def show(self, webhook: str) -> WebhookView:
        """Return an endpoint, or raise `webhook_unknown`."""
        return self._view(self._known(webhook))

    def remove(self, webhook: str) -> WebhookView:
        """Forget an endpoint and all that waits for it, and return it as it was."""
        with self._alone(webhook):
            row = self._known(webhook)
            view = self._view(row)
            dropped: list[Write] = [DropAttempt(f"{webhook}/{number:03d}") for number in range(ATTEMPTS_KEPT)]
            self._write([DropWebhook(webhook), *self._drop_waiting(webhook), *dropped])
        return view

    def replay(self, webhook: str, *, after: str) -> WebhookView:
        """Send what comes after a place in the feed, again or leaving some out; what waits is forgotten."""
        with self._alone(webhook):
            place = self._feed.place(after)
            row = _fresh(replace(self._known(webhook), after_seq=place.seq, after_notice=place.notice))
            self._write([row, *self._drop_waiting(webhook)])
        return self._view(row)

    def resume(self, webhook: str) -> WebhookView:
        """Try a disabled or failing endpoint again at once, from where it stands."""
        with self._alone(webhook):
            row, now = _fresh(self._known(webhook)), self._context.now
            due: list[Write] = [replace(each, retry_at=now) for each in self._waiting(webhook)]
            self._write([row, *due])
        return self._view(row)

    def rotate_secret(self, webhook: str, *, overlap_seconds: int) -> NewWebhook:
        """Give an endpoint a new secret and return it, this once; for so long the one before signs as well."""
        fresh = new_secret(self._context.randomness)
        until = int(self._context.clock.now().timestamp()) + overlap_seconds
        with self._alone(webhook):
            known = self._known(webhook)
            row = replace(known, secret=rotated(known.secret, fresh, until_seconds=until))
            self._write([row])
        return NewWebhook(webhook=self._view(row), secret=fresh)

    def deliveries(self, webhook: str) -> DeliveriesView:
        """Return what waits for an endpoint and what was tried last."""
        self._known(webhook)
        reader = self._context.reader
        return DeliveriesView(
            waiting=tuple(
                WaitingView(
                    event=row.event,
                    type=row.type,
                    lane=row.lane,
                    attempts=row.attempts,
                    waits_since=row.waits_since,
                    retry_at=row.retry_at,
                    last_error=row.last_error,
                )
                for row in reader.webhook_deliveries(webhook, limit=_WAITING_LISTED)
            ),
            attempts=tuple(
                AttemptView(
                    number=row.number,
                    event=row.event,
                    type=row.type,
                    at=row.at,
                    outcome=row.outcome,
                    milliseconds=row.milliseconds,
                )
                for row in reader.webhook_attempts(webhook, limit=ATTEMPTS_KEPT)
            ),
        )

    def test(self, webhook: str) -> WebhookTested:
        """Send one event that means nothing, signed as all are, and return what came of it; raise `busy` for many."""
        row, wall = self._known(webhook), self._context.clock.now()
        name = f"test.{id_from_random(self._context.randomness.token(16))}"
        event = Event(id=name, type=TEST_TYPE, time=self._context.now, seq=None, account=None, partner=None, data={})
        body = encode_event(event, ledger=self._context.ledger)
        headers = signed_headers(row.secret, body, event=name, at_seconds=int(wall.timestamp()))
        try:
            with self._at_once.one(webhook):
                self._hooks.post(row.url, body, headers)
        except HookFailed as failure:
            return WebhookTested(event=name, outcome=str(failure))
        return WebhookTested(event=name, outcome="delivered")

    # --- Delivery.

    def due(self) -> list[str]:
        """Return the endpoints that a round may find something to do for."""
        now = self._context.now
        rows = self._context.reader.webhooks()
        return [row.id for row in rows if row.state == "active" and self._policy.is_due(row.retry_at or now, now=now)]

    def deliver(self, webhook: str, pool: ThreadPoolExecutor) -> bool:
        """Make one round for an endpoint, unless one is under way; return whether anything was done."""
        running = self._of(webhook)
        if running.halt.is_set() or not running.lock.acquire(blocking=False):
            return False
        try:
            row = self._context.reader.webhook(webhook)
            if row is None or row.state != "active":
                return False
            if running.unkept:
                # Without this the same events would be sent every second, for as long as nothing can be written.
                self._write([row])
                running.unkept = False
            context = self._context
            world = World(
                reader=context.reader,
                feed=self._feed,
                hooks=self._hooks,
                clock=context.clock,
                randomness=context.randomness,
                ledger=context.ledger,
                policy=self._policy,
            )
            writes = Round(world, row, halt=running.halt).run(pool)
            running.unkept = bool(writes)
            if writes:
                self._write(writes)
                running.unkept = False
            return bool(writes)
        finally:
            running.lock.release()

    @property
    def lanes_at_once(self) -> int:
        """Return how many events one endpoint is sent at a time."""
        return self._policy.lanes_at_once

    def halt(self) -> None:
        """Begin no further attempt: the node stops."""
        with self._door:
            for running in self._running.values():
                running.halt.set()

    def _of(self, webhook: str) -> _Running:
        with self._door:
            return self._running.setdefault(webhook, _Running())

    @contextmanager
    def _alone(self, webhook: str) -> Iterator[None]:
        with self._at_once.one(webhook), _Alone(self._of(webhook)):
            yield

    def _known(self, webhook: str) -> Webhook:
        row = self._context.reader.webhook(webhook)
        if row is None:
            raise NodeRefusal(NodeCode.WEBHOOK_UNKNOWN, f"there is no webhook {webhook}")
        return row

    def _check_url(self, url: str) -> None:
        try:
            # A name that nobody answers for takes its time as well.
            with self._at_once.one(url):
                self._hooks.check(url)
        except HookFailed as failure:
            raise NodeRefusal(NodeCode.WEBHOOK_URL_REFUSED, str(failure)) from failure

    def _waiting(self, webhook: str) -> list[WebhookDelivery]:
        return self._context.reader.webhook_deliveries(webhook, limit=self._policy.waiting_max)

    def _drop_waiting(self, webhook: str) -> list[Write]:
        return [DropDelivery(row.id) for row in self._waiting(webhook)]

    def _write(self, writes: list[Write]) -> None:
        self._context.writer.submit(WriteWork(writes)).result()

    def _view(self, row: Webhook) -> WebhookView:
        return WebhookView(
            id=row.id,
            url=row.url,
            types=tuple(msgspec.json.decode(row.types, type=list[str])),
            state=row.state,
            created_at=row.created_at,
            after=f"{row.after_seq}.{row.after_notice}",
            waiting=self._context.reader.webhook_waiting(row.id),
            delivered=row.delivered,
            failing_since=row.failing_since,
            retry_at=row.retry_at,
            last_error=row.last_error,
            last_delivered_at=row.last_delivered_at,
        )


class _Alone:
    """Ends the round that is under way for an endpoint and keeps others from beginning."""

    def __init__(self, running: _Running) -> None:
        self._running = running

    def __enter__(self) -> None:
        self._running.halt.set()
        if not self._running.lock.acquire(timeout=_ROUND_ENDS_SECONDS):
            self._running.halt.clear()
            raise NodeRefusal(NodeCode.BUSY, "a delivery to this webhook does not end")

    def __exit__(self, *_: object) -> None:
        self._running.halt.clear()
        self._running.lock.release()


def _fresh(row: Webhook) -> Webhook:
    return replace(row, state="active", failures=0, failing_since=None, retry_at=None, last_error=None)
