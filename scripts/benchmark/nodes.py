"""What benchmarks of node processes share: nodes made and run on loopback, lean callers of them, their memory."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from node.app.directory import create_node_directory
from node.client import read_token
from scripts.alliance.alliance import BACKEND, Alliance, running_alliance
from scripts.alliance.brands import AURORA, CURRENCY, Brand
from scripts.alliance.process import HOST, AllianceFailed, NodeProcess, find_free_ports
from scripts.benchmark.callers import Caller
from scripts.benchmark.lean import Target
from scripts.benchmark.places import SQLITE, Place

READY_SECONDS_MAX: Final = 300.0
"""A node over a large store takes its time."""

STOP_SECONDS_MAX: Final = 60.0
_LOOK_SECONDS: Final = 0.005
_KIBIBYTES: Final = 1_024


@contextmanager
def nodes_at(place: Place, store: str, brands: Sequence[Brand]) -> Iterator[Alliance]:
    """Run new nodes of `brands`, each with its own database in `store`."""
    urls = {} if store == SQLITE else {brand: place.database(store) for brand in brands}
    folder = place.fresh("nodes")
    with running_alliance(folder, port_base=None, ephemeral=True, brands=brands, database_urls=urls) as alliance:
        yield alliance


def new_node(directory: Path, database_url: str = "") -> NodeProcess:
    """Make a node that knows no other in `directory`, and return its process, which does not run yet."""
    (port,) = find_free_ports(1)
    node = NodeProcess(AURORA, directory, port, directory / "served.log")
    settings: Mapping[str, object] = {"port": port, **({"database_url": database_url} if database_url else {})}
    create_node_directory(
        directory,
        ledger=AURORA.ledger,
        points=AURORA.points,
        points_name=AURORA.points_name,
        url=node.url,
        currencies=(CURRENCY,),
        settings=settings,
    )
    return node


@contextmanager
def running(node: NodeProcess) -> Iterator[float]:
    """Run a node until the end of the block; yield how many seconds after its start it was ready."""
    begun = time.perf_counter()
    try:
        node.start()
        node.wait_ready(seconds=READY_SECONDS_MAX, look_seconds=_LOOK_SECONDS)
        yield time.perf_counter() - begun
    finally:
        node.stop(seconds=STOP_SECONDS_MAX)


def wait_until(condition: Callable[[], bool]) -> None:
    """Return once `condition` holds, or raise `AllianceFailed`."""
    deadline = time.monotonic() + STOP_SECONDS_MAX
    while not condition():
        if time.monotonic() > deadline:
            raise AllianceFailed("what the benchmark waits for does not happen")
        time.sleep(_LOOK_SECONDS)


def caller_of(node: NodeProcess, role: str = BACKEND) -> Caller:
    """Return a caller of a node with the credential of `role`."""
    return Caller(node.url, read_token(node.token_file(role)))


def target_of(node: NodeProcess) -> Target:
    """Return a node as many callers at once ask it, with the backend's credential."""
    return Target(HOST, node.port, read_token(node.token_file(BACKEND)))


def resident_mib(node: NodeProcess) -> float:
    """Return how much memory a node's processes have resident now, in MiB, or 0 where the system does not say."""
    return _memory_mib(node, "VmRSS")


def peak_mib(node: NodeProcess) -> float:
    """Return how much memory a node's processes have had resident at most, in MiB, or 0 where that is not told."""
    return _memory_mib(node, "VmHWM")


def _memory_mib(node: NodeProcess, name: str) -> float:
    """Return a line of the status of the node's process and its workers (proc(5)), in KiB there, summed up."""
    found = [_status_kib(pid, name) for pid in (node.pid, *_children(node.pid))]
    return round(sum(found) / _KIBIBYTES, 1)


def _children(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in children.read_text(encoding="ascii").split()] if children.exists() else []


def _status_kib(pid: int, name: str) -> int:
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        return 0
    found = dict(line.split(":", 1) for line in status.read_text(encoding="ascii").splitlines())
    return int(found[name].split()[0])
