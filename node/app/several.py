"""Several processes of one node on one address of one machine: started together, and again where one ends by itself.

Each has a pipe to what has started it, and says over it that it is alive. One that says nothing any more is ended: it
may hold the lock of an SQLite file, or the address, and nobody else could be sure to end that process and no other.
Where what has started them is gone, they stop.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Final

import structlog

from node.app.sockets import AddressUnavailable, listen
from node.config import ConfigInvalid, NodeConfig, load_config
from node.telemetry import configure_logging

AGAIN_SECONDS: Final = 1.0
"""How long one that has ended stays away, at least: what fails at once is not tried all the time."""

SETTLED_SECONDS: Final = 10.0
FAILURES_MAX: Final = 3
"""So many times each, on average, the processes may end before they have settled.

Then they are given up, unless one of them has settled: it is not to go down because another cannot start beside it.
"""

PATIENT_SECONDS: Final = 30.0
"""How long one that cannot start beside another stays away from then on: a start takes processor time from that."""

LOOK_SECONDS: Final = 0.1
SILENT_SECONDS_MAX: Final = 3.0
"""One that has said nothing for so long, after it had said that it is alive, is ended."""

STOP_SECONDS_MAX: Final = 60.0
"""How long a stop may take; whatever has not ended by then is ended, as is at any time what says nothing any more."""

ADDRESS_SECONDS_MAX: Final = 15.0
"""How long those that were started before, and stop, may still be at the address."""

_READ_BYTES: Final = 4_096
_SIGNALLED: Final = 128
_LOG: Final = structlog.get_logger()


@dataclass(slots=True)
class _Child:
    """One of the processes, the end of its pipe, when it began, how many looks it was silent at, if it was ended."""

    process: "subprocess.Popen[bytes]"
    pipe: int
    started_at: float
    silent_looks: int | None = None
    is_ended: bool = False

    def look(self) -> None:
        """Hear whether it has said anything since the last look; what has not yet begun to is not waited for."""
        with contextlib.suppress(BlockingIOError):
            if os.read(self.pipe, _READ_BYTES):
                self.silent_looks = 0
                return
        if self.silent_looks is not None:
            self.silent_looks += 1

    @property
    def is_silent(self) -> bool:
        """Return whether it is to be ended."""
        # Counted in looks: while this process does not run, either, nobody is silent.
        return self.silent_looks is not None and self.silent_looks >= SILENT_SECONDS_MAX / LOOK_SECONDS

    def end(self, event: str, *, seconds: float) -> None:
        """End it, though it may be stopped or hang, and log why; more than once is once."""
        if not self.is_ended:
            _LOG.warning(event, pid=self.process.pid, seconds=seconds)
            self.process.kill()
            self.is_ended = True


class Several:
    """Runs one command several times, until it is told to stop; each is given `--shared` and the end of its pipe."""

    def __init__(self, command: Sequence[str], *, count: int) -> None:
        """Prepare `count` processes of `command`."""
        self._command = command
        self._running: list[_Child | None] = [None] * count
        self._started_at = [float("-inf")] * count
        self._stopping = False
        self._failed = 0
        self._status = 0

    def run(self) -> int:
        """Run until SIGTERM or SIGINT and return 0 once all have stopped, or the status with which they all fail.

        For those that a signal ended, that is 128 and the signal's number, as a shell has it.
        """
        with self._told_to_stop():
            while not self._stopping:
                self._look()
                time.sleep(LOOK_SECONDS)
        self._stop()
        return self._status

    def _stop(self) -> None:
        """Let all stop in order, those too that have nobody to go on for them."""
        left = [child for child in self._running if child is not None]
        for child in left:
            child.process.terminate()
        begun = time.monotonic()
        while left:
            for child in left:
                child.look()
                if child.is_silent:
                    child.end("ending_silent", seconds=SILENT_SECONDS_MAX)
                elif time.monotonic() - begun >= STOP_SECONDS_MAX:
                    child.end("ending_overdue", seconds=STOP_SECONDS_MAX)
            for child in left:
                if child.process.poll() is not None:
                    os.close(child.pipe)
            left = [child for child in left if child.process.returncode is None]
            time.sleep(LOOK_SECONDS if left else 0)

    def _look(self) -> None:
        for place, child in enumerate(self._running):
            if child is not None:
                self._look_at(place, child)
            if self._running[place] is None and time.monotonic() - self._started_at[place] >= self._pause:
                self._started_at[place] = time.monotonic()
                self._running[place] = self._started()

    def _look_at(self, place: int, child: _Child) -> None:
        child.look()
        if child.process.poll() is not None:
            self._running[place] = None
            os.close(child.pipe)
            self._ended(child.process, lived=time.monotonic() - child.started_at)
        elif child.is_silent:
            child.end("ending_silent", seconds=SILENT_SECONDS_MAX)

    @property
    def _pause(self) -> float:
        return PATIENT_SECONDS if self._has_failed_enough else AGAIN_SECONDS

    @property
    def _has_failed_enough(self) -> bool:
        return self._failed > FAILURES_MAX * len(self._running)

    def _started(self) -> _Child | None:
        """Return another one, or None where the system has no room for it now: the others are not to end of that."""
        try:
            return self._start()
        except OSError as failure:
            _LOG.warning("cannot_start", reason=str(failure))
            self._fail(status=1)
            return None

    def _start(self) -> _Child:
        read, write = os.pipe()
        os.set_blocking(read, False)
        try:
            # A session of its own: Ctrl-C reaches this process alone, which then stops the others in order. Without a
            # terminal none of them asks for a passphrase, which several would at once.
            process = subprocess.Popen(  # noqa: S603 - our own
                [*self._command, "--shared", str(write)],
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                pass_fds=(write,),
            )
        except OSError:
            os.close(read)
            raise
        finally:
            os.close(write)
        return _Child(process, read, time.monotonic())

    def _ended(self, process: "subprocess.Popen[bytes]", *, lived: float) -> None:
        _LOG.warning("process_ended", pid=process.pid, status=process.returncode)
        if lived < SETTLED_SECONDS:
            self._fail(status=process.returncode or 1)
        else:
            self._failed = 0

    def _fail(self, *, status: int) -> None:
        """Note that a process has ended before it had settled; give up where they all do, again and again."""
        self._failed += 1
        if self._has_failed_enough and not self._one_has_settled():
            self._stopping, self._status = True, status if status > 0 else _SIGNALLED - status
            _LOG.error("giving_up", failures=self._failed, status=self._status)

    def _one_has_settled(self) -> bool:
        now = time.monotonic()
        return any(each is not None and now - each.started_at >= SETTLED_SECONDS for each in self._running)

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

    Raises `ConfigInvalid` for a node without a port, or with a `cluster_url`, and `AddressUnavailable`.
    """
    config = load_config(directory, settings)
    if config.cluster_url and count > 1:
        raise ConfigInvalid(
            "cluster_url is where one process is reached, and several would share it: leave it out, or start them one"
            " by one with --standby"
        )
    if not config.port:
        raise ConfigInvalid("several processes share one port: name it in node.toml, or with --port")
    configure_logging(level=config.log_level, form=config.log_format)
    _await_address(config)
    command = [sys.executable, "-m", module, "serve", os.fspath(directory), "--standby"]
    command += [word for name, value in settings.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    return Several(command, count=count).run()


def _await_address(config: NodeConfig) -> None:
    """Return once nobody listens at the address, or raise `AddressUnavailable`.

    The processes share it with each other, and would do so with another node as well.
    """
    begun = time.monotonic()
    while True:
        try:
            listen(config.host, config.port).close()
        except AddressUnavailable as failure:
            waited = time.monotonic() - begun
            if waited > ADDRESS_SECONDS_MAX:
                raise
            if waited < LOOK_SECONDS:
                _LOG.warning("waiting_for_address", reason=str(failure))
            time.sleep(LOOK_SECONDS)
        else:
            return
