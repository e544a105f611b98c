"""Commits under strace, one of whose calls of the system fails or never returns, and what is left on disk after it.

`python -m tests.support.faulty_disk` imports the engine once and forks one process for each run. A run opens a store,
commits twice, keeps its state file in between and closes. What it has acknowledged it notes in shared memory, so that
it makes no call but those of the store and of the state file.
"""

import ctypes
import json
import mmap
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TypeVar

from node.app.directory import STATE_NAME
from node.engine.engine import Engine
from node.engine.work import CommandWork
from node.ports import NoFaults
from node.services.fsck.fsck import fsck
from node.services.fsck.fsck_report import FsckReport
from node.store.database import Database
from node.store.errors import StoreFailed
from node.store.writer import StoreWriter
from node.workers.keep_state import StateFileInvalid, read_state, write_state
from protocol.identifiers import Id
from protocol.ledger import commands
from protocol.ledger.state import ACCOUNTS
from tests.support.crashing_node import poll
from tests.support.documents import AURORA, uuid
from tests.support.keyrings import SeededRandomness, SideKeyring
from tests.support.ledger import genesis_of, holder

CALLS: Final = ("openat", "write", "pwrite64", "fsync", "fdatasync", "rename", "ftruncate", "unlink")
"""The calls by which a commit, and the state file beside it, reach the disk."""

STORE: Final = "ledger.sqlite"
ANN: Final = holder("ann")
FIRST, SECOND = Id(uuid("first")), Id(uuid("second"))
TRIES: Final = 3
SECONDS_MAX: Final = 90
_PAUSE_SECONDS: Final = 0.001
_MEMORY: Final = "memory"
_TOLD: Final = "told"
_READY, _GO, _FIRST, _STATE, _SECOND, _DONE = range(6)
_SET_PTRACER: Final = 0x59616D61
"""The option of prctl by which a process says who may trace it."""

_CALL: Final = re.compile(r"^(?:\d+ +)?([a-z0-9]+)\(")
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to the `number`-th of these calls, and `lasting` to all after it: an error, or the process's end."""

    call: str
    number: int
    error: str | None = "EIO"
    lasting: bool = False

    @property
    def option(self) -> str:
        """Return what strace is told."""
        act = f"error={self.error}" if self.error else "signal=KILL"
        return f"inject={self.call}:{act}:when={self.number}{'+' if self.lasting else ''}"


@dataclass(frozen=True, slots=True)
class Run:
    """What a run has acknowledged, whether it came to its end, its calls, and the failure that it ended by."""

    acknowledged: frozenset[Id]
    kept_state: bool
    ended: bool
    calls: Counter[str]
    told: str


def begin(directory: Path) -> None:
    """Make the store that every run begins with: a genesis and an account."""
    with Database.open(f"sqlite:///{directory / STORE}") as database:
        database.migrate()
        with database.writer() as store:
            engine = _engine(store)
            engine.commit([CommandWork([genesis_of(AURORA)])], _now())
            engine.commit([CommandWork([commands.OpenAccount(id=uuid("open"), account=ANN)])], _now())


@dataclass(frozen=True, slots=True)
class Left:
    """What is found on disk: what `fsck` says, the points there, and which issues had happened before they were tried.

    `after` are the points once both have been tried.
    """

    report: FsckReport
    before: int
    repeated: tuple[bool, ...]
    after: int


def go_on(directory: Path) -> Left:
    """Look at the store and at the state file, then issue both times again, as a client does who got no answer."""
    with Database.open(f"sqlite:///{directory / STORE}") as database:
        report = fsck(database, state=read_state(directory / STATE_NAME))
        before = _posted(database)
        with database.writer() as store:
            engine = _engine(store)
            repeated = tuple(_issue(engine, name) for name in (FIRST, SECOND))
        return Left(report, before, repeated, _posted(database))


def _posted(database: Database) -> int:
    record = database.reader().record(ACCOUNTS, ANN)
    assert record is not None
    return record.posted


def issue(store: StoreWriter, name: Id) -> bool:
    """Issue one point, and return whether that had been done before; raise what the commit raises."""
    return _issue(_engine(store), name)


def _now() -> datetime:
    return datetime.now(UTC)


def _engine(store: StoreWriter) -> Engine:
    return Engine(store, keyring=SideKeyring(AURORA), randomness=SeededRandomness(""), faults=NoFaults())


def _issue(engine: Engine, name: Id) -> bool:
    command = commands.IssuePoints(id=name, account=ANN, amount=1)
    (answers,), _ = engine.commit([CommandWork([command])], _now())
    if isinstance(answers, Exception):
        raise answers
    assert isinstance(answers, list)
    return bool(answers[0].repeated)


# --- The process that is traced.


def _retried(act: Callable[[], _T]) -> _T:
    """Return what `act` returns; a single fault makes it fail once."""
    for _ in range(TRIES - 1):
        with suppress(StoreFailed, StateFileInvalid):
            return act()
    return act()


def _work(directory: Path, memory: mmap.mmap) -> None:
    """Commit, keep the state, commit again and close; what was acknowledged is not done twice."""
    with Database.open(f"sqlite:///{directory / STORE}") as database, database.writer() as store:
        engine = _engine(store)

        def once(place: int, act: Callable[[], object]) -> None:
            if not memory[place]:
                _retried(act)
                memory[place] = 1

        def keep_state() -> None:
            newest = database.reader().latest_checkpoint()
            assert newest is not None
            write_state(directory / STATE_NAME, newest.note)

        once(_FIRST, lambda: _issue(engine, FIRST))
        once(_STATE, keep_state)
        once(_SECOND, lambda: _issue(engine, SECOND))


def _shared(directory: Path) -> mmap.mmap:
    """Return the memory in which a run tells how far it has come."""
    with (directory / _MEMORY).open("r+b") as file:
        return mmap.mmap(file.fileno(), 0)


def _run(directory: Path, memory: mmap.mmap) -> None:
    # Many systems let only its parent trace a process, unless it says that anybody may.
    ctypes.CDLL(None).prctl(_SET_PTRACER, ctypes.c_ulong(-1), 0, 0, 0)
    memory[_READY] = 1
    while not memory[_GO]:
        time.sleep(_PAUSE_SECONDS)
    # Where the store cannot be opened, the operator opens it again.
    _retried(lambda: _work(directory, memory))
    memory[_DONE] = 1


def main() -> None:
    """Fork a process for each directory that is named on standard input, and answer with its process id."""
    # Nobody waits for them: strace tells when one is gone.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        directory = Path(json.loads(line))
        with _shared(directory) as memory:
            pid = os.fork()
            if not pid:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                try:
                    _run(directory, memory)
                except Exception:  # noqa: BLE001 - whatever it is, it is told beside the store, and ends this run alone
                    (directory / _TOLD).write_text(traceback.format_exc())
                finally:
                    os._exit(0)
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()


# --- The test's side.


class TracingRefused(Exception):
    """This machine does not let one process trace another."""


class Disks:
    """Lends runs, each in a copy of one directory."""

    def __init__(self, begun: Path, process: "subprocess.Popen[str]") -> None:
        self._begun = begun
        self._process = process

    def run(self, directory: Path, fault: Fault | None = None) -> Run:
        """Let a run go through, under `fault` if one is given, in the new directory `directory`."""
        shutil.copytree(self._begun, directory)
        (directory / _MEMORY).write_bytes(bytes(_DONE + 1))
        pid = self._fork(directory)
        trace = directory / "trace"
        command = ["strace", "-o", str(trace), "-e", f"trace={','.join(CALLS)}", "-p", str(pid)]
        if fault is not None:
            command += ["-e", fault.option]
        with _shared(directory) as memory:
            poll(lambda: memory[_READY] or None, "the run to be ready")
            with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as tracer:
                assert tracer.stderr is not None
                said = tracer.stderr.readline()
                if "attached" not in said:
                    os.kill(pid, signal.SIGKILL)
                    raise TracingRefused(said)
                memory[_GO] = 1
                tracer.communicate(timeout=SECONDS_MAX)
            acknowledged = {name for place, name in ((_FIRST, FIRST), (_SECOND, SECOND)) if memory[place]}
            kept, ended = bool(memory[_STATE]), bool(memory[_DONE])
        matches = map(_CALL.match, trace.read_text().splitlines())
        calls = Counter(match[1] for match in matches if match)
        told = (directory / _TOLD).read_text() if (directory / _TOLD).exists() else ""
        return Run(frozenset(acknowledged), kept, ended, calls, told)

    def _fork(self, directory: Path) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(str(directory)) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


@contextmanager
def disks(begun: Path) -> Iterator[Disks]:
    """Lend what runs commits in copies of the directory `begun`."""
    command = [sys.executable, "-m", "tests.support.faulty_disk"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Disks(begun, process)
        finally:
            process.communicate(timeout=SECONDS_MAX)


if __name__ == "__main__":
    main()
