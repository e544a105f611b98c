"""Several processes of one node on one address of one machine: started together, and again where one ends by itself."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Final

import structlog

from node.config import ConfigInvalid, load_config, shared_database

AGAIN_SECONDS: Final = 1.0
"""How long one that has ended stays away, at least: what fails at once is not tried all the time."""

SETTLED_SECONDS: Final = 10.0
FAILURES_MAX: Final = 3
"""So many times each, on average, the processes may end before they have settled."""

LOOK_SECONDS: Final = 0.1
_LOG: Final = structlog.get_logger()


class Several:
    """Runs one command several times, until it is told to stop."""

    def __init__(self, command: Sequence[str], *, count: int) -> None:
        """Prepare `count` processes of `command`."""
        self._command = command
        self._running: list[subprocess.Popen[bytes] | None] = [None] * count
        self._started_at = [float("-inf")] * count
        self._stopping = False
        self._failed = 0
        self._status = 0

    def run(self) -> int:
        """Run until SIGTERM or SIGINT and return 0 once all have stopped, or the status with which they all fail."""
        with self._told_to_stop():
            while not self._stopping:
                self._start_missing()
                time.sleep(LOOK_SECONDS)
        for process in self._running:
            if process is not None and process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self._running:
            if process is not None:
                process.wait()
        return self._status

    def _start_missing(self) -> None:
        for place, process in enumerate(self._running):
            if process is not None and process.poll() is not None:
                self._ended(process, lived=time.monotonic() - self._started_at[place])
                self._running[place] = None
            if self._running[place] is None and time.monotonic() - self._started_at[place] >= AGAIN_SECONDS:
                self._started_at[place] = time.monotonic()
                # A session of its own: Ctrl-C reaches this process alone, which then stops the others in order.
                self._running[place] = subprocess.Popen(self._command, start_new_session=True)  # noqa: S603 - our own

    def _ended(self, process: "subprocess.Popen[bytes]", *, lived: float) -> None:
        """Note that a process has ended; give up where they all do at once, again and again."""
        _LOG.warning("process_ended", pid=process.pid, status=process.returncode)
        self._failed = self._failed + 1 if lived < SETTLED_SECONDS else 0
        if self._failed > FAILURES_MAX * len(self._running):
            self._stopping, self._status = True, process.returncode or 1

    @contextlib.contextmanager
    def _told_to_stop(self) -> Iterator[None]:
        def stop(_number: int, _frame: FrameType | None) -> None:
            self._stopping = True

        before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def serve_several(directory: Path, *, count: int, settings: Mapping[str, object], module: str) -> int:
    """Serve the node in `directory` as `count` processes of `module`, which share its address, until told to stop.

    Raises `ConfigInvalid` for a node on SQLite or without a port.
    """
    config = load_config(directory, settings)
    shared_database(config)
    if not config.port:
        raise ConfigInvalid("several processes share one port: name it in node.toml, or with --port")
    command = [sys.executable, "-m", module, "serve", os.fspath(directory), "--standby", "--shared"]
    command += [word for name, value in settings.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    return Several(command, count=count).run()
