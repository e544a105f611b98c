"""Node processes that share one store, and callers that write through them."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Self

import httpx

from node.app.directory import DATABASE_NAME, Created, database_url, token_path
from node.services.access.credentials import CallerRole
from node.services.fsck.fsck import fsck
from node.store.database import Database
from protocol.audit.findings import Verdict
from protocol.identifiers import Account, Id
from protocol.ledger.state import ACCOUNTS
from scripts.alliance.process import HOST, ROOT, find_free_ports
from tests.support.crashing_node import poll
from tests.support.documents import uuid

ANN: Final = Account(f"member/{uuid('ann')}")


class Process:
    """A node's process, at a port of its own."""

    def __init__(self, created: Created, name: str, *options: str) -> None:
        (self.port,) = find_free_ports(1)
        self._log = (created.directory / f"{name}.log").open("wb")
        command = [sys.executable, "-m", "node.cli.main", "serve", str(created.directory), *(options or ("--standby",))]
        self.popen = subprocess.Popen(
            [*command, "--port", str(self.port)], cwd=ROOT, stdout=self._log, stderr=self._log, env=dict(os.environ)
        )
        self.path = created.directory / f"{name}.log"
        self.client = client(created, self.port)

    def says(self, event: str) -> bool | None:
        """Return True once the process has logged `event`."""
        return f'"event": "{event}"' in self.path.read_text() or None

    def times(self, event: str) -> int:
        """Return how often the process has logged `event`."""
        return self.path.read_text().count(f'"event": "{event}"')

    def stop(self) -> None:
        """End the process, whatever state it is in."""
        self.popen.kill()
        self.popen.wait()
        self.client.close()
        self._log.close()


class Workers(Process):
    """Several processes of a node that share one address; what has started them is the one that is ended."""

    def __init__(self, created: Created, count: int) -> None:
        self.directory = created.directory
        super().__init__(created, "workers", "--workers", str(count))
        self.client.close()
        # A connection for each request: the kernel then gives it to any of the processes.
        self.client = client(created, self.port, limits=httpx.Limits(max_keepalive_connections=0))

    def children(self) -> set[int]:
        """Return the processes that there are now."""
        pid = self.popen.pid
        return {int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}

    def writer(self) -> int:
        """Return the process that holds the lock of the SQLite file; see proc(5)."""
        inode = (self.directory / f"{DATABASE_NAME}.lock").stat().st_ino
        rows = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
        (pid,) = {
            int(row[4]) for row in rows if row[1:4] == ["FLOCK", "ADVISORY", "WRITE"] and row[5].endswith(f":{inode}")
        }
        return pid

    def stop(self) -> None:
        """End all of them."""
        self.popen.terminate()
        self.popen.wait(60)
        super().stop()


def client(created: Created, port: int, *, limits: httpx.Limits | None = None) -> httpx.Client:
    """Return a client of the node behind `port` with the backend's credential."""
    token = token_path(created.directory, CallerRole.BACKEND).read_text().strip()
    return httpx.Client(
        base_url=f"http://{HOST}:{port}",
        headers={"authorization": f"Bearer {token}"},
        timeout=20,
        limits=limits or httpx.Limits(),
    )


@contextmanager
def running(created: Created, name: str) -> Iterator[Process]:
    process = Process(created, name)
    try:
        yield process
    finally:
        process.stop()


@contextmanager
def working(created: Created, count: int) -> Iterator[Workers]:
    """Run so many processes on one address, of which one writes and has left the address to the others."""
    workers = Workers(created, count)
    try:
        poll(lambda: workers.says("writing"), "one of the processes to write")
        poll(lambda: workers.says("not_sharing"), "it to leave the address to the others")
        yield workers
    finally:
        workers.stop()


def ready(process: Process) -> bool | None:
    try:
        return process.client.get("/livez").is_success or None
    except httpx.TransportError:
        return None


def open_ann(process: Process) -> None:
    def opened() -> bool | None:
        body = {"id": uuid("ann"), "kind": "member"}
        return process.client.post("/v1/accounts", json=body).is_success or None

    poll(opened, "an account to be opened by the process that stands by")


def issue(process: Process, number: int) -> Id | None:
    """Issue a point; return the transaction's id once that is acknowledged, else None."""
    name = uuid(f"issue {number}")
    body = {"id": name, "type": "issue", "account": ANN, "amount": 1}
    try:
        return name if process.client.post("/v1/transactions", json=body).is_success else None
    except httpx.TransportError:
        return None


class Writers:
    """Threads that write through one process, each its own numbers, each repeating what was not answered."""

    def __init__(self, process: Process, *, threads: int = 4) -> None:
        self.acknowledged: list[Id] = []
        self._process = process
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._write, args=(each,)) for each in range(threads)]
        for each in self._threads:
            each.start()

    def _write(self, thread: int) -> None:
        number = thread * 1_000_000
        while not self._stop.is_set():
            if (name := issue(self._process, number)) is not None:
                self.acknowledged.append(name)
                number += 1

    def reach(self, count: int) -> None:
        """Return once so many writes have been acknowledged."""
        poll(lambda: len(self.acknowledged) >= count or None, f"{count} writes to be acknowledged")

    def __enter__(self) -> Self:
        """Write."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Write no more."""
        self.stop()

    def stop(self) -> None:
        """Write no more."""
        self._stop.set()
        for each in self._threads:
            each.join()


def check(created: Created, acknowledged: list[Id]) -> None:
    """Hold that every acknowledged write stands in the log once, and that the store is whole."""
    with Database.open(database_url(created.directory, created.config)) as database:
        report = fsck(database)
        assert report.verdict is Verdict.HELD, report.lines()
        reader = database.reader()
        missing = [each for each in acknowledged if reader.entry_seq_of_id(each) is None]
        record = reader.record(ACCOUNTS, ANN)
        entries = [data for data in reader.entries_from(0, 100_000) if b'"kind":"points_issued"' in data]
    assert missing == []
    assert len(acknowledged) == len(set(acknowledged))
    assert record is not None
    assert record.posted == len(entries) >= len(acknowledged)
