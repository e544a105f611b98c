"""A node served over a directory that is there, and what is seen of it from outside: when it is ready, its memory."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from node.client import read_token
from scripts.alliance.alliance import BACKEND
from scripts.alliance.process import HOST, ROOT, AllianceFailed, find_free_ports
from scripts.benchmark.callers import Caller

READY_SECONDS_MAX: Final = 300.0
STOP_SECONDS_MAX: Final = 60.0
_LOOK_SECONDS: Final = 0.005
_KIBIBYTES: Final = 1_024


@dataclass(frozen=True, slots=True)
class Served:
    """A node that answers: its process, and how many seconds after its start it was ready."""

    url: str
    directory: Path
    pid: int
    ready_seconds: float

    @property
    def resident_mib(self) -> float:
        """Return how much memory the process has had resident at most, in MiB."""
        lines = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii").splitlines()
        (peak,) = [line.split()[1] for line in lines if line.startswith("VmHWM:")]
        return round(int(peak) / _KIBIBYTES, 1)

    def caller(self) -> Caller:
        """Return a caller with the backend's credential."""
        return Caller(self.url, read_token(self.directory / "tokens" / f"{BACKEND}.token"))


@contextmanager
def served(directory: Path) -> Iterator[Served]:
    """Serve the node in `directory` until the end of the block."""
    (port,) = find_free_ports(1)
    url = f"http://{HOST}:{port}"
    command = [sys.executable, "-m", "scripts.alliance.child", str(os.getpid()), "serve", str(directory)]
    with (directory / "served.log").open("ab") as log:
        begun = time.perf_counter()
        process = subprocess.Popen([*command, "--port", str(port)], cwd=ROOT, stdout=log, stderr=log)
    try:
        _wait_ready(process, url)
        yield Served(url, directory, process.pid, time.perf_counter() - begun)
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            process.kill()


def _wait_ready(process: "subprocess.Popen[bytes]", url: str) -> None:
    deadline = time.monotonic() + READY_SECONDS_MAX
    with httpx.Client(timeout=5.0) as client:
        while time.monotonic() < deadline and process.poll() is None:
            try:
                if client.get(f"{url}/readyz").is_success:
                    return
            except httpx.TransportError:
                pass
            time.sleep(_LOOK_SECONDS)
    raise AllianceFailed(f"the node at {url} is not ready: see served.log in its directory")
