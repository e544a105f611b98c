"""The processes that help one audit: they read, decode and hash what comes next, while this one judges by the rules."""

import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from types import TracebackType
from typing import IO, Final, Self, cast

import msgspec

from node.peers.package_source import Opening
from node.services.audits.audit_helper import LENGTH_BYTES, READY, Errand
from protocol.audit.ahead import Pages, Stretch, taken_over
from protocol.audit.segments import Segment
from protocol.errors import CouldNotCheck
from protocol.limits import TILE_WIDTH

SMALL_ENTRIES: Final = 20_000
"""A log with fewer entries to read is read before another process has started."""

COMMAND: Final = (sys.executable, "-P", "-m", "node.services.audits.audit_helper")
_ENDED: Final = "a process that read ahead ended before it was done: nothing is known of what it would have read"
_START_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 10.0


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Crew:
    """Helpers of an audit by `jobs` processes, this one among them; started at the first log that is long enough."""

    def __init__(self, jobs: int | None = None) -> None:
        """Use `jobs` processes whatever there is to read, or as many as there are cores for what is not small."""
        self._count = (jobs or cores()) - 1
        self._least = SMALL_ENTRIES if jobs is None else 0
        self._helpers: list[_Helper] = []

    def __enter__(self) -> Self:
        """Return the crew."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let all helpers end."""
        self.stop()

    def reader(self, opening: Opening | None) -> "CrewReader | None":
        """Return what reads the log at `opening` ahead, or None where nobody does."""
        return CrewReader(self, opening) if self._count > 0 and opening is not None else None

    def helpers(self, *, entries: int) -> "tuple[_Helper, ...]":
        """Return the helpers for a log that has so many `entries` to read, if there are to be any and all are ready."""
        if entries < self._least:
            return ()
        if not self._helpers:
            self._helpers = [_Helper() for _ in range(self._count)]
        # What takes long can begin without them; of what does not, nothing would be left when they are there.
        seconds = _START_SECONDS if entries < SMALL_ENTRIES else 0.0
        return tuple(self._helpers) if all(each.is_ready(seconds) for each in self._helpers) else ()

    def started(self) -> "_Helper | None":
        """Return a helper that has started, if there is one: for little work none is."""
        return next((each for each in self._helpers if each.is_ready(0.0)), None)

    def stop(self) -> None:
        """End all helpers, whatever they are at."""
        for each in self._helpers:
            each.stop()
        self._helpers.clear()


@dataclass(frozen=True, slots=True)
class CrewReader:
    """The helpers of a crew at one log."""

    crew: Crew
    opening: Opening

    def begin(self, stretch: Stretch) -> Generator[Segment | None, None, None] | None:
        """Return the segments of `stretch` in their order, once the helpers are ready; None as long as not."""
        helpers = self.crew.helpers(entries=stretch.size - stretch.first * TILE_WIDTH)
        return self._segments(helpers, stretch) if helpers else None

    def _segments(self, helpers: "tuple[_Helper, ...]", stretch: Stretch) -> Generator[Segment | None, None, None]:
        done = False
        try:
            for part, helper in enumerate(helpers):
                whole = msgspec.structs.replace(stretch, part=part, parts=len(helpers))
                helper.send(Errand(opening=self.opening, work=whole))
            count = sum(1 for _ in stretch.bundles())
            for number in range(count):
                data = helpers[number % len(helpers)].take()
                # Nobody asks for more after the last one: with it the errand is done.
                done = number == count - 1
                yield None if data is None else taken_over(data)
        finally:
            if not done:
                # What was begun would stand in the way of the next errand.
                self.crew.stop()

    def pages(self, pages: Pages) -> Generator[bytes, None, None] | None:
        """Return the pages that a helper finds signed, one after the other; None where no helper has started."""
        helper = self.crew.started()
        if helper is None:
            return None
        helper.send(Errand(opening=self.opening, work=pages))
        return self._pages(helper)

    def _pages(self, helper: "_Helper") -> Generator[bytes, None, None]:
        done = False
        try:
            while (data := helper.take()) is not None:
                yield data
            done = True
        finally:
            if not done:
                self.crew.stop()


class _Helper:
    """One process that goes on errands."""

    def __init__(self) -> None:
        # Its modules are found where ours were, and nothing of the folder that the audit happens to run in.
        paths = os.pathsep.join(each or str(Path.cwd()) for each in sys.path)
        self._process = subprocess.Popen(  # noqa: S603 - our own
            COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": paths},
        )
        self._ready = Event()
        Thread(target=self._wait, daemon=True).start()

    def _wait(self) -> None:
        # One that ended is taken for ready: that it ended is seen when it is needed.
        with suppress(ValueError):
            self._output.read(len(READY))
        self._ready.set()

    @property
    def _output(self) -> IO[bytes]:
        return cast("IO[bytes]", self._process.stdout)

    def is_ready(self, seconds: float) -> bool:
        """Return whether the process has started, waiting so long for it."""
        return self._ready.wait(seconds)

    def send(self, errand: Errand) -> None:
        """Tell the process what to read next, or raise `CouldNotCheck`."""
        told = cast("IO[bytes]", self._process.stdin)
        try:
            told.write(msgspec.json.encode(errand) + b"\n")
            told.flush()
        except OSError as error:
            raise CouldNotCheck(_ENDED) from error

    def take(self) -> bytes | None:
        """Return what the process has read next, None for what is not sound; raise `CouldNotCheck` if it has ended."""
        length = int.from_bytes(self._exactly(LENGTH_BYTES))
        return self._exactly(length) if length else None

    def _exactly(self, count: int) -> bytes:
        data = self._output.read(count)
        if len(data) < count:
            raise CouldNotCheck(_ENDED)
        return data

    def stop(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait(_STOP_SECONDS)
        self._ready.wait(_STOP_SECONDS)
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(OSError):
                cast("IO[bytes]", pipe).close()
