"""A throwaway PostgreSQL cluster for one test session, on a Unix socket that no other program knows."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Final

import psycopg
from psycopg import sql

PORT: Final = 5432
SUPERUSER: Final = "postgres"
PLACE: Final = "/tmp"  # noqa: S108 - a socket's path has at most 107 bytes, and the server's user must reach it.
START_SECONDS_MAX: Final = 60
STOP_SECONDS_MAX: Final = 30
DEBIAN_PLACE: Final = Path("/usr/lib/postgresql")

# All durability settings keep PostgreSQL's own defaults: what the tests show about crashes holds in production.
SETTINGS: Final = ("listen_addresses=", f"port={PORT}", "shared_buffers=64MB", "max_connections=100", "lc_messages=C")


class ServerUnavailableError(Exception):
    """There is no PostgreSQL server here, or it did not start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresServer:
    """A running cluster: it makes a fresh, empty database on request."""

    directory: Path
    numbers: Iterator[int]

    def create_database(self) -> str:
        """Create an empty database and return its name."""
        name = f"test_{next(self.numbers)}"
        self._administer(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return name

    def drop_database(self, name: str) -> None:
        """Drop a database, ending the connections that a failed test left open."""
        self._administer(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    def url(self, database: str) -> str:
        """Return the SQLAlchemy URL of a database."""
        return f"postgresql+psycopg://{SUPERUSER}@/{database}?host={self.directory}&port={PORT}"

    def _administer(self, statement: sql.Composed) -> None:
        with psycopg.connect(conninfo(self.directory), autocommit=True) as connection:
            connection.execute(statement)


def conninfo(directory: Path) -> str:
    """Return what psycopg needs to reach the cluster's own database."""
    return f"host={directory} port={PORT} user={SUPERUSER} dbname=postgres connect_timeout=10"


def find_binaries() -> Path:
    """Return the folder of `initdb` and `postgres`; raise `ServerUnavailableError` if there is none."""
    on_path = shutil.which("initdb")
    versions = sorted(DEBIAN_PLACE.glob("*/bin"), key=lambda folder: float(folder.parent.name), reverse=True)
    for folder in ([Path(on_path).resolve().parent] if on_path else []) + versions:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    raise ServerUnavailableError("no PostgreSQL server is installed (Debian and Ubuntu: apt-get install postgresql)")


def launcher() -> list[str]:
    """Return the words to put before a server command: PostgreSQL refuses root, so root lends it another name.

    Where the system can, the server is also told to stop when the test process dies without a word.
    """
    setpriv = shutil.which("setpriv")
    if os.geteuid() != 0:
        return [setpriv, "--pdeathsig=INT"] if setpriv else []
    if setpriv is None:
        raise ServerUnavailableError("root needs setpriv (util-linux) to start PostgreSQL under another name")
    owner = server_owner()
    return [setpriv, f"--reuid={owner.pw_uid}", f"--regid={owner.pw_gid}", "--clear-groups", "--pdeathsig=INT"]


def server_owner() -> pwd.struct_passwd:
    """Return the user that owns the cluster when root runs the tests."""
    try:
        return pwd.getpwnam(SUPERUSER)
    except KeyError:
        return pwd.getpwnam("nobody")


@contextmanager
def running_server(more: Sequence[str] = ()) -> Iterator[PostgresServer]:
    """Start a cluster, yield it, stop it and remove it; raise `ServerUnavailableError` if that cannot be done.

    It has `more` settings than the usual ones.
    """
    binaries = find_binaries()
    with tempfile.TemporaryDirectory(prefix="tallystick-pg-", dir=PLACE, ignore_cleanup_errors=True) as name:
        directory = Path(name)
        if os.geteuid() == 0:
            owner = server_owner()
            os.chown(directory, owner.pw_uid, owner.pw_gid)
        initialise(binaries, directory)
        process = start(binaries, directory, more)
        try:
            wait_until_ready(process, directory)
            yield PostgresServer(directory=directory, numbers=count(1))
        finally:
            stop(process)


def initialise(binaries: Path, directory: Path) -> None:
    """Make the cluster's files; `--no-sync` leaves out only the flush of this first copy."""
    options = ["--no-sync", "--auth=trust", "--encoding=UTF8", "--locale=C", f"--username={SUPERUSER}"]
    command = [*launcher(), str(binaries / "initdb"), *options, f"--pgdata={directory / 'data'}"]
    made = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    if made.returncode != 0:
        raise ServerUnavailableError(f"initdb failed: {made.stderr}")


def start(binaries: Path, directory: Path, more: Sequence[str] = ()) -> subprocess.Popen[bytes]:
    """Start the server as a child of this process, with `more` settings than the usual ones."""
    command = [*launcher(), str(binaries / "postgres"), "-D", str(directory / "data"), "-k", str(directory)]
    settings = [word for setting in (*SETTINGS, *more) for word in ("-c", setting)]
    with (directory / "log").open("wb") as log:
        return subprocess.Popen(
            [*command, *settings],
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def wait_until_ready(process: subprocess.Popen[bytes], directory: Path) -> None:
    """Return once the server answers; raise `ServerUnavailableError` with its log if it does not."""
    deadline = time.monotonic() + START_SECONDS_MAX
    while process.poll() is None and time.monotonic() < deadline:
        try:
            psycopg.connect(conninfo(directory)).close()
        except psycopg.OperationalError:
            time.sleep(0.05)
        else:
            return
    log = (directory / "log").read_text(errors="replace")
    raise ServerUnavailableError(f"PostgreSQL did not start (exit status {process.returncode}): {log[-2000:]}")


def stop(process: subprocess.Popen[bytes]) -> None:
    """Stop the server, at once if it does not stop by itself."""
    process.send_signal(signal.SIGINT)
    try:
        process.wait(STOP_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGQUIT)
        process.wait(STOP_SECONDS_MAX)
