"""Runs workers on threads until the node stops; what one of them raises never ends its thread."""

import threading
from collections.abc import Callable
from typing import Final

import structlog

_LOG: Final = structlog.get_logger()
_AFTER_FAILURE_SECONDS: Final = 1.0
_JOIN_SECONDS: Final = 10.0

Step = Callable[[], None]
Wait = Callable[[float], None]


class Runner:
    """Calls steps, each on a thread of its own."""

    def __init__(self) -> None:
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def run(self, name: str, step: Step, *, every_seconds: float, wait: Wait | None = None) -> None:
        """Call `step` at once and then again after `every_seconds`, or earlier if `wait` returns earlier."""
        pause = wait or self._pause
        thread = threading.Thread(target=self._loop, args=(name, step, pause, every_seconds), name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def stop(self, *, wake: Callable[[], None]) -> None:
        """Start no more steps and wait for those that are under way; `wake` ends what workers wait for."""
        self._stopping.set()
        wake()
        for thread in self._threads:
            thread.join(_JOIN_SECONDS)

    def _pause(self, seconds: float) -> None:
        self._stopping.wait(seconds)

    def _loop(self, name: str, step: Step, pause: Wait, every_seconds: float) -> None:
        while not self._stopping.is_set():
            try:
                step()
            except Exception:  # noqa: BLE001 - a worker's bug must not end its thread; it is logged and tried again
                _LOG.exception("step_failed", worker=name)
                self._pause(_AFTER_FAILURE_SECONDS)
            pause(every_seconds)
