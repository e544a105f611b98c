"""Cosigning: asks witnesses about what is to be published, each on a thread of its own so that a slow one holds up
nobody.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

from node.services.logs.acknowledging import WitnessedWriter
from node.services.logs.cosigning import Cosigning

INTERVAL_SECONDS: Final = 1.0
_THREADS_MAX: Final = 16


class Cosign:
    """Makes one round a step, and lets answers wait for it where they are to."""

    def __init__(self, cosigning: Cosigning, acknowledging: WitnessedWriter) -> None:
        """Prepare a pool of threads."""
        self._cosigning = cosigning
        self._acknowledging = acknowledging
        acknowledging.begin()
        self._pool = ThreadPoolExecutor(_THREADS_MAX, thread_name_prefix="cosign")

    def step(self) -> None:
        """Ask the witnesses about the newest checkpoint, and publish it."""
        self._acknowledging.expire()
        self._cosigning.step(self._submit)

    def wait(self, longest_seconds: float) -> None:
        """Sleep until there may be something to publish."""
        self._cosigning.wait(longest_seconds)

    def close(self) -> None:
        """Let questions end and ask no more."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _submit(self, call: Callable[[], None]) -> "Future[None]":
        return self._pool.submit(call)
