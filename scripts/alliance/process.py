"""One node as a process of its own: started, asked whether it is ready, stopped or killed."""

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Final

import httpx

from scripts.alliance.brands import Brand

ROOT: Final = Path(__file__).resolve().parents[2]
HOST: Final = "127.0.0.1"
PORTS: Final = range(20_000, 30_000)
READY_SECONDS_MAX: Final = 60.0
STOP_SECONDS_MAX: Final = 15.0
LOOK_SECONDS: Final = 0.05
LOG_LINES_SHOWN: Final = 15


class AllianceFailed(Exception):
    """The alliance cannot be set up, started or judged; the text says what to do."""


def check_ports_free(ports: Iterable[int]) -> None:
    """Raise `AllianceFailed` if something listens on one of `ports` already."""
    for port in ports:
        reason = _why_taken(port)
        if reason is not None:
            raise AllianceFailed(
                f"port {port} is taken ({reason}): stop what uses it, or choose others with --port-base"
            )


def find_free_ports(count: int) -> list[int]:
    """Return `count` different ports that nothing listens on now.

    They lie below those that the system gives to outgoing connections, so that none of these takes the port of a node
    that is down for a moment.
    """
    candidates = random.SystemRandom().sample(PORTS, k=len(PORTS))
    return list(islice((port for port in candidates if _why_taken(port) is None), count))


def _why_taken(port: int) -> str | None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            return error.strerror or "unavailable"
    return None


@dataclass(slots=True)
class NodeProcess:
    """A brand's node: its directory, where it listens, and the process while it runs, or that of its `workers`."""

    brand: Brand
    directory: Path
    port: int
    log: Path
    workers: int = 1
    _process: "subprocess.Popen[bytes] | None" = field(default=None, repr=False)

    @property
    def url(self) -> str:
        """Return where the node listens."""
        return f"http://{HOST}:{self.port}"

    @property
    def pid(self) -> int:
        """Return the id of the running process."""
        assert self._process is not None, "the node runs"
        return self._process.pid

    def token_file(self, role: str) -> Path:
        """Return the file that holds the token of `role`."""
        return self.directory / "tokens" / f"{role}.token"

    def start(self) -> None:
        """Start the process; it stops by itself if this one ends in any way."""
        command = [sys.executable, "-m", "scripts.alliance.child", str(os.getpid()), "serve", str(self.directory)]
        if self.workers > 1:
            command += ["--workers", str(self.workers)]
        with self.log.open("ab") as output:
            # A session of its own: Ctrl-C reaches this process alone, which then stops its nodes in order.
            self._process = subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )

    def wait_ready(self, *, seconds: float = READY_SECONDS_MAX, look_seconds: float = LOOK_SECONDS) -> None:
        """Return once the node says that it is ready, or raise `AllianceFailed` with the end of its log."""
        if not self.is_ready_within(seconds, look_seconds=look_seconds):
            raise AllianceFailed(f"{self.brand.title} is not ready after {seconds:.0f} s\n{self.log_end()}")

    def is_ready_within(self, seconds: float, *, look_seconds: float = LOOK_SECONDS) -> bool:
        """Return whether the node says in time that it is ready; raise `AllianceFailed` if it ends."""
        deadline = time.monotonic() + seconds
        with httpx.Client(timeout=2.0) as client:
            while time.monotonic() < deadline:
                self.check_alive()
                try:
                    if client.get(f"{self.url}/readyz").is_success:
                        return True
                except httpx.TransportError:
                    pass
                time.sleep(look_seconds)
        return False

    def check_alive(self) -> None:
        """Raise `AllianceFailed` if the process has ended by itself."""
        if self._process is not None and self._process.poll() is not None:
            code = self._process.returncode
            raise AllianceFailed(f"{self.brand.title}'s node ended with status {code}\n{self.log_end()}")

    def log_end(self) -> str:
        """Return the last lines that the node logged."""
        lines = self.log_lines()[-LOG_LINES_SHOWN:]
        return "\n".join([f"the end of {self.log}:", *lines] if lines else ["(it logged nothing)"])

    def log_lines(self) -> list[str]:
        """Return all lines that the node logged."""
        return self.log.read_text(encoding="utf-8", errors="replace").splitlines() if self.log.exists() else []

    def kill(self) -> None:
        """End the process at once, as a power cut would."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def ask_to_stop(self) -> None:
        """Ask the process to stop, and do not wait for it."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)

    def stop(self, *, seconds: float = STOP_SECONDS_MAX) -> None:
        """Stop the process cleanly, or by force when it takes too long."""
        self.ask_to_stop()
        if self._process is None:
            return
        try:
            self._process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process = None
