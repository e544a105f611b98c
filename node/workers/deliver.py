"""Delivery: carries what waits to every partner, each on a thread of its own so that a slow one holds up nobody."""

from concurrent.futures import ThreadPoolExecutor
from typing import Final

from node.ports import Clock
from node.services.channel.exchange import Exchange

_THREADS_MAX: Final = 256
"""Made as they are needed: one that hangs keeps its thread for as long as a partner may be silent, and no other's."""


class Deliver:
    """Sends what is due; `step` starts the sendings and returns."""

    def __init__(self, exchange: Exchange, clock: Clock) -> None:
        """Prepare a pool of threads."""
        self._exchange = exchange
        self._clock = clock
        self._pool = ThreadPoolExecutor(_THREADS_MAX, thread_name_prefix="deliver")

    def step(self) -> None:
        """Start sending to every partner that is due."""
        for ledger in self._exchange.due(self._clock.monotonic()):
            self._exchange.begin(ledger)
            self._pool.submit(self._exchange.deliver, ledger)

    def wait(self, longest_seconds: float) -> None:
        """Sleep until something may be due."""
        self._exchange.wait(min(longest_seconds, self._exchange.sleep_seconds(self._clock.monotonic())))

    def close(self) -> None:
        """Let sendings end and start no more."""
        self._pool.shutdown(wait=True, cancel_futures=True)
