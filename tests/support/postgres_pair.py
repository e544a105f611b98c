"""Two PostgreSQL servers, of which the second follows the first commit by commit and can take its place."""

import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

import psycopg

from tests.support.crashing_node import poll
from tests.support.postgres import (
    PLACE,
    PORT,
    SUPERUSER,
    ServerUnavailableError,
    conninfo,
    find_binaries,
    initialise,
    launcher,
    server_owner,
    start,
    stop,
    wait_until_ready,
)

DATABASE: Final = "ledger"
SYNCHRONOUS: Final = ("synchronous_standby_names=*",)
"""The first server answers a commit once the second has it on its disk, too."""


@dataclass(frozen=True, slots=True)
class PostgresPair:
    """A primary and its synchronous standby."""

    primary: Path
    standby: Path
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        """Return a URL that leads to whichever of the two can be written."""
        hosts = "&".join(f"host={quote(str(each))}:{PORT}" for each in (self.primary, self.standby))
        return f"postgresql+psycopg://{SUPERUSER}@/{DATABASE}?{hosts}&target_session_attrs=read-write&connect_timeout=2"

    def kill(self) -> None:
        """Kill the primary, every process of it, as if its machine had lost power."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    @contextmanager
    def falling_behind(self) -> Iterator[None]:
        """Let the standby take nothing in meanwhile."""
        with psycopg.connect(conninfo(self.standby), autocommit=True) as connection:
            ((receiver,),) = connection.execute("SELECT pid FROM pg_stat_wal_receiver").fetchall()
        os.kill(receiver, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(receiver, signal.SIGCONT)

    def ask(self, question: str) -> list[tuple[object, ...]]:
        """Return the rows that the primary answers."""
        with psycopg.connect(conninfo(self.primary), autocommit=True) as connection:
            answer = connection.execute(question.encode())
            return answer.fetchall() if answer.description else []

    def promote(self) -> None:
        """Make the standby the primary."""
        with psycopg.connect(conninfo(self.standby), autocommit=True) as connection:
            assert connection.execute("SELECT pg_promote()").fetchone() == (True,)


@contextmanager
def running_pair() -> Iterator[PostgresPair]:
    """Start both servers, with an empty database; raise `ServerUnavailableError` if that cannot be done."""
    binaries = find_binaries()
    with (
        tempfile.TemporaryDirectory(prefix="tallystick-pg-", dir=PLACE, ignore_cleanup_errors=True) as name,
        ExitStack() as stack,
    ):
        primary, standby = (_directory(Path(name), each) for each in ("primary", "standby"))
        initialise(binaries, primary)
        process = start(binaries, primary, SYNCHRONOUS)
        stack.callback(_end, process)
        wait_until_ready(process, primary)
        _copy(binaries, primary, standby)
        follower = start(binaries, standby)
        stack.callback(_end, follower)
        wait_until_ready(follower, standby)
        with psycopg.connect(conninfo(primary), autocommit=True) as connection:
            poll(lambda: _is_followed(connection), "the standby to follow")
            connection.execute("SET synchronous_commit = remote_apply")  # the standby can be asked for it at once
            connection.execute(f"CREATE DATABASE {DATABASE}")
        yield PostgresPair(primary, standby, process)


def _directory(place: Path, name: str) -> Path:
    owner = server_owner() if os.geteuid() == 0 else None
    made = place / name
    made.mkdir()
    for each in (place, made):
        if owner is not None:
            os.chown(each, owner.pw_uid, owner.pw_gid)
    return made


def _copy(binaries: Path, primary: Path, standby: Path) -> None:
    source = ["-h", str(primary), "-p", str(PORT), "-U", SUPERUSER]
    options = ["--no-sync", "--checkpoint=fast", "--write-recovery-conf"]
    command = [*launcher(), str(binaries / "pg_basebackup"), *source, *options, "-D", str(standby / "data")]
    made = subprocess.run(command, cwd=standby, capture_output=True, text=True, check=False)
    if made.returncode != 0:
        raise ServerUnavailableError(f"pg_basebackup failed: {made.stderr}")


def _is_followed(connection: psycopg.Connection) -> bool | None:
    return connection.execute("SELECT sync_state FROM pg_stat_replication").fetchall() == [("sync",)] or None


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        stop(process)
