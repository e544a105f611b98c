"""Webhooks: rounds of delivery, each endpoint on a thread of its own so that a slow one holds up nobody."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import structlog

from node.services.events.events import EventsService
from node.services.events.webhooks import WEBHOOKS_MAX, WebhooksService
from protocol.errors import TallystickError

INTERVAL_SECONDS: Final = 1.0
PAUSE_SECONDS: Final = 0.05
"""The shortest time between two rounds: what happens meanwhile goes out together."""

_LOG: Final = structlog.get_logger()


class SendWebhooks:
    """Starts rounds for the endpoints that are due."""

    def __init__(self, webhooks: WebhooksService, events: EventsService) -> None:
        self._webhooks = webhooks
        self._rounds = ThreadPoolExecutor(WEBHOOKS_MAX, thread_name_prefix="webhooks")
        self._lanes: dict[str, ThreadPoolExecutor] = {}
        self._busy: set[str] = set()
        self._lock = threading.Lock()
        self._news = threading.Event()
        self._stop_watching = events.watch(self._news.set)

    def step(self) -> None:
        """Start a round for every endpoint that is due and has none under way."""
        for webhook in self._webhooks.due():
            with self._lock:
                if webhook in self._busy:
                    continue
                self._busy.add(webhook)
                if webhook not in self._lanes:
                    width = self._webhooks.lanes_at_once
                    self._lanes[webhook] = ThreadPoolExecutor(width, thread_name_prefix="webhook")
            self._rounds.submit(self._round, webhook, self._lanes[webhook])

    def wait(self, longest_seconds: float) -> None:
        """Sleep until there may be something to deliver."""
        self._news.wait(longest_seconds)
        self._news.clear()
        threading.Event().wait(PAUSE_SECONDS)

    def close(self) -> None:
        """Let the attempts under way end and begin no more."""
        self._stop_watching()
        self._webhooks.halt()
        self._rounds.shutdown(wait=True, cancel_futures=True)
        for lanes in self._lanes.values():
            lanes.shutdown(wait=True, cancel_futures=True)

    def _round(self, webhook: str, lanes: ThreadPoolExecutor) -> None:
        try:
            if self._webhooks.deliver(webhook, lanes):
                self._news.set()
        except TallystickError as failure:
            _LOG.warning("webhook_round_failed", webhook=webhook, code=failure.code)
        except Exception:  # noqa: BLE001 - a bug in one round must not keep the endpoint from its next one
            _LOG.exception("webhook_round_failed", webhook=webhook)
        finally:
            with self._lock:
                self._busy.discard(webhook)
