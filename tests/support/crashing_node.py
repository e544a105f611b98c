"""Real node processes that kill themselves at a named point, and the nursery that makes them.

`python -m tests.support.crashing_node` imports the node once and then forks one process for each line that it is told,
so that a node starts in a moment. A node counts the passings of its point once the file `armed` is in its directory,
and at the last of them it is gone as by `kill -9`. Its clock can be ahead, and its files be kept from growing.
"""

import json
import os
import resource
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from node.app.open import PortOverrides
from node.app.serve import serve
from node.app.system import SystemClock

ARMED: Final = "armed"
READY: Final = "ready"
LOG: Final = "node.log"
SECONDS_MAX: Final = 90
_PAUSE_SECONDS: Final = 0.005
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Kill:
    """Where a node is to end: the `count`-th passing of `point` after it was armed."""

    point: str
    count: int = 1


@dataclass(frozen=True, slots=True)
class World:
    """What a node's process is given: where it is to end, its clock, and how long its files may get."""

    kill: Kill | None = None
    ahead_seconds: float = 0.0
    file_bytes_max: int | None = None


class AheadClock(SystemClock):
    """This machine's clock, so many seconds ahead."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=self._seconds)


class KillPoint:
    """Ends this process at the point of a `Kill`."""

    def __init__(self, directory: Path, kill: Kill) -> None:
        self._armed = directory / ARMED
        self._point = kill.point
        self._left = kill.count

    def reach(self, point: str) -> None:
        if point == self._point and self._armed.exists():
            self._left -= 1
            if not self._left:
                os.kill(os.getpid(), signal.SIGKILL)


class NodeProcess:
    """One node's process, a child of the nursery."""

    def __init__(self, directory: Path, pid: int, nursery: "Nursery") -> None:
        self.directory = directory
        self._pid = pid
        self._nursery = nursery

    def wait_until_ready(self) -> None:
        """Return once the node answers."""
        poll(lambda: (self.directory / READY).exists() or None, f"{self.directory.name} to answer")

    def arm(self) -> None:
        """Let the passings of the node's point count from now on."""
        (self.directory / ARMED).touch()

    def is_killed_within(self, seconds: float) -> bool:
        """Return whether the process is gone before the time is over; fail if it ended otherwise than killed."""
        status = self._nursery.wait(self._pid, seconds)
        if status is None:
            return False
        assert os.WIFSIGNALED(status), f"{self.directory.name} ended by itself: {self.log()}"
        assert os.WTERMSIG(status) == signal.SIGKILL, self.log()
        (self.directory / ARMED).unlink()
        return True

    def ask_to_stop(self) -> None:
        """Tell the node to end, as an operator does."""
        os.kill(self._pid, signal.SIGTERM)

    def kill(self) -> None:
        """End the process at once, if it runs."""
        with suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)
        self._nursery.wait(self._pid, SECONDS_MAX)

    def wait_for_end(self) -> None:
        """Return once the process is gone; fail unless it ended well."""
        assert self.exit_status() == 0, self.log()

    def exit_status(self) -> int:
        """Return the exit status of a process that ends by itself; fail if it does not."""
        status = self._nursery.wait(self._pid, SECONDS_MAX)
        assert status is not None, f"{self.directory.name} does not stop: {self.log()}"
        assert os.WIFEXITED(status), self.log()
        return os.WEXITSTATUS(status)

    def log(self) -> str:
        """Return the end of what the process has said."""
        return (self.directory / LOG).read_text()[-4_000:]


class Nursery:
    """The process that all nodes are forked from."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def start(self, directory: Path, *, port: int, kill: Kill | None = None, world: World | None = None) -> NodeProcess:
        """Start the node in `directory`; its output is added to `node.log` there."""
        (directory / READY).unlink(missing_ok=True)
        order = {"directory": str(directory), "port": port, "world": asdict(world or World(kill=kill))}
        return NodeProcess(directory, self._ask(order), self)

    def wait(self, pid: int, seconds: float) -> int | None:
        """Return the wait status of a node's process once it is gone, or None if it still runs when time is over."""
        end = time.monotonic() + seconds
        while (status := self._ask({"wait": pid})) < 0:
            if time.monotonic() > end:
                return None
            time.sleep(_PAUSE_SECONDS)
        return status

    def _ask(self, order: object) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


@contextmanager
def nursery() -> Iterator[Nursery]:
    """Lend a nursery; at its end it ends whatever it has started."""
    command = [sys.executable, "-m", "tests.support.crashing_node"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Nursery(process)
        finally:
            process.communicate(timeout=SECONDS_MAX)


def stop_all(processes: Sequence[NodeProcess]) -> None:
    """Stop nodes as an operator does, and hold that they end well."""
    for process in processes:
        process.ask_to_stop()
    for process in processes:
        process.wait_for_end()


def poll(ask: Callable[[], _T | None], what: str) -> _T:
    """Return what `ask` returns once it is not None; fail when that takes too long."""
    end = time.monotonic() + SECONDS_MAX
    while time.monotonic() < end:
        found = ask()
        if found is not None:
            return found
        time.sleep(_PAUSE_SECONDS)
    raise AssertionError(f"waited in vain for {what}")


def _run_node(directory: Path, port: int, world: World) -> None:
    log = os.open(directory / LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    if world.file_bytes_max is not None:
        # Python ignores the signal that comes with it, so that a write beyond fails as on a full disk.
        resource.setrlimit(resource.RLIMIT_FSIZE, (world.file_bytes_max, world.file_bytes_max))
    ports = PortOverrides(
        faults=KillPoint(directory, world.kill) if world.kill else None,
        clock=AheadClock(world.ahead_seconds) if world.ahead_seconds else None,
    )
    serve(directory, settings={"port": port}, ports=ports, on_ready=lambda _: (directory / READY).touch())


def _fork(directory: Path, port: int, world: World) -> int:
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        _run_node(directory, port, world)
        status = 0
    except Exception:  # noqa: BLE001 - whatever it is, it is told as a program tells it, and ends this process alone
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _status(pid: int) -> int:
    found, status = os.waitpid(pid, os.WNOHANG)
    return status if found else -1


def main() -> None:
    """Fork a node for each order on standard input, and answer with its process id, or with how one has ended."""
    running: set[int] = set()
    for line in sys.stdin:
        order = json.loads(line)
        if "wait" in order:
            answer = _status(order["wait"])
            running -= {order["wait"]} if answer >= 0 else set()
        else:
            answer = _fork(Path(order["directory"]), order["port"], msgspec.convert(order["world"], World))
            running.add(answer)
        sys.stdout.write(f"{answer}\n")
        sys.stdout.flush()
    for pid in running:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    main()
