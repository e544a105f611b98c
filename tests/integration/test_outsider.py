"""A log of 70,000 entries and three witnesses, served by real nodes, read by a verifier that shares no code with us."""

import ast
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.request import Request, urlopen

import msgspec
import pytest

from node.app.directory import Created, create_node_directory
from node.app.key_files import public_key
from node.app.open import OpenedNode, open_node
from node.app.serve import NodeServer
from node.services.access.credentials import CallerRole
from node.services.program.points import BatchItem, BatchWork
from protocol.identifiers import Account, Id
from protocol.keys import Role
from protocol.ledger.commands import OpenAccount
from protocol.note import KeyType, Verifier, format_vkey
from tests.support import outsider
from tests.support.documents import uuid
from tests.support.outsider import Disproved, Fetch, Seen, verify_log

pytestmark = [pytest.mark.integration, pytest.mark.slow]

SIZE: Final = 70_000
BATCH: Final = 8_192
BRANDS: Final = ("bluebird", "copper", "dahlia")
SECONDS_MAX: Final = 60


def create(directory: Path, brand: str) -> Created:
    return create_node_directory(
        directory / brand,
        ledger=f"{brand}.example/main.1",
        points=brand[:3].upper(),
        points_name=f"{brand.title()} points",
        url="http://127.0.0.1:9",
    )


def fill(opened: OpenedNode) -> None:
    """Open accounts until the log has its size."""
    done = 1
    while done < SIZE:
        count = min(BATCH, SIZE - done)
        ids = [Id(uuid(f"member {number}")) for number in range(done, done + count)]
        items = [BatchItem(OpenAccount(id=each, account=Account(f"member/{each}")), None) for each in ids]
        opened.node.submit(BatchWork(items, atomic=True)).result()
        done += count


@contextmanager
def served(opened: OpenedNode) -> Iterator[str]:
    """Serve a node from a thread, and lend its URL."""
    server, ready = NodeServer(opened), threading.Event()
    thread = threading.Thread(target=server.run, args=(lambda _: ready.set(),))
    thread.start()
    try:
        assert ready.wait(SECONDS_MAX)
        yield server.url
    finally:
        server.stop()
        thread.join(SECONDS_MAX)


@dataclass(frozen=True, slots=True)
class Served:
    """What an outsider is told: where the log is, its key and its witnesses', and an auditor's token."""

    url: str
    log: str
    witnesses: Sequence[str]
    token: str

    def fetch(self, path: str) -> bytes:
        with urlopen(Request(f"{self.url}/{path}", headers={"authorization": f"Bearer {self.token}"})) as answer:  # noqa: S310 - the test's own URL
            data: bytes = answer.read()
            return data


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    directory = tmp_path_factory.mktemp("alliance")
    aurora, witnesses = create(directory, "aurora"), [create(directory, brand) for brand in BRANDS]
    with open_node(aurora.directory) as opened:
        fill(opened)
        invitation = msgspec.json.encode(opened.node.partners.invitation(None), order="sorted")
    with ExitStack() as stack:
        lines = []
        for created in witnesses:
            opened = stack.enter_context(open_node(created.directory, settings={"port": 0}))
            opened.node.partners.accept(invitation, fingerprint=None).result()
            url = stack.enter_context(served(opened))
            lines.append(f"{witness_key(created)} {url}/witness/v1")
        opened = stack.enter_context(open_node(aurora.directory, settings={"port": 0, "witnesses": lines}))
        url = stack.enter_context(served(opened))
        yield Served(
            url=url,
            log=aurora.vkey,
            witnesses=[line.partition(" ")[0] for line in lines],
            token=aurora.tokens[CallerRole.AUDITOR].read_text().strip(),
        )


def witness_key(created: Created) -> str:
    return format_vkey(
        Verifier(created.config.ledger, public_key(created.directory, Role.WITNESS), KeyType.COSIGNATURE)
    )


@pytest.fixture(scope="module")
def seen(log: Served) -> Seen:
    """Return what the outsider saw once the witnesses had cosigned."""
    deadline = time.monotonic() + SECONDS_MAX
    while time.monotonic() < deadline:
        if log.fetch("checkpoint").count("\n\u2014 ".encode()) == 1 + len(BRANDS):
            break
        time.sleep(0.1)
    return verify_log(log.fetch, log=log.log, witnesses=log.witnesses, entries=True)


def test_the_log_holds_for_somebody_else(seen: Seen) -> None:
    assert (seen.origin, seen.size) == ("aurora.example/main.1", SIZE)
    assert sorted(seen.witnesses) == [f"{brand}.example/main.1" for brand in BRANDS]
    assert all(abs(time.time() - at) < SECONDS_MAX * 10 for at in seen.witnesses.values())


def test_every_tile_of_every_level_was_read(seen: Seen) -> None:
    assert len([path for path in seen.tiles if path.startswith("tile/0/")]) == 273 + 1
    assert [path for path in seen.tiles if ".p/" in path] == ["tile/0/273.p/112", "tile/1/001.p/17", "tile/2/000.p/1"]
    assert len(seen.tiles) == 274 + 2 + 1
    assert len(seen.bundles) == 274
    assert "tile/0/272" in seen.tiles
    assert "tile/1/000" in seen.tiles


def replaced(log: Served, path: str, data: bytes) -> Fetch:
    """Return what fetches the log with other bytes at one path."""
    return lambda asked: data if asked == path else log.fetch(asked)


@pytest.mark.parametrize("path", ["tile/0/100", "tile/0/273.p/112", "tile/1/000", "tile/1/001.p/17", "tile/2/000.p/1"])
def test_one_changed_bit_of_a_tile_is_found(log: Served, seen: Seen, path: str) -> None:
    data = bytearray(log.fetch(path))
    data[len(data) // 2] ^= 1
    with pytest.raises(Disproved):
        verify_log(replaced(log, path, bytes(data)), log=log.log, witnesses=log.witnesses)


@pytest.mark.parametrize("line", range(1, 5))
def test_a_signature_that_is_missing_or_changed_is_found(log: Served, seen: Seen, line: int) -> None:
    lines = log.fetch("checkpoint").decode().split("\n")
    place = 3 + line
    removed = "\n".join(lines[:place] + lines[place + 1 :])
    other = lines[place][:-9] + ("A" if lines[place][-9] != "A" else "B") + lines[place][-8:]
    spoiled = "\n".join([*lines[:place], other, *lines[place + 1 :]])
    for text in (removed, spoiled):
        with pytest.raises(Disproved):
            verify_log(replaced(log, "checkpoint", text.encode()), log=log.log, witnesses=log.witnesses)


def test_another_logs_key_is_not_this_ones(log: Served, seen: Seen) -> None:
    with pytest.raises(Disproved):
        verify_log(log.fetch, log=log.log.replace("aurora", "copper"), witnesses=())


def test_the_verifier_shares_no_code_with_the_project() -> None:
    tree = ast.parse(Path(outsider.__file__).read_text(encoding="utf-8"))
    names = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    names |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    roots = {name.partition(".")[0] for name in names}
    assert roots <= sys.stdlib_module_names | {"cryptography"}
