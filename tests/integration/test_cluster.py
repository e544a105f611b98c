"""Two processes on one PostgreSQL store: one writes, the other takes over, and nothing that was answered is lost."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import httpx
import pytest

from node.app.directory import Created, create_node_directory, token_path
from node.app.several import Several, serve_several
from node.config import ConfigInvalid
from node.services.credentials import CallerRole
from scripts.alliance.process import HOST, ROOT, find_free_ports
from tests.support.cluster import ANN, Process, Writers, check, issue, open_ann, ready, running
from tests.support.crashing_node import poll
from tests.support.documents import uuid
from tests.support.postgres import ServerUnavailableError
from tests.support.postgres_pair import PostgresPair, running_pair

pytestmark = pytest.mark.integration

BEFORE: Final = 40
"""Answered writes after which the process that writes is taken away."""

AFTER: Final = 40


@pytest.fixture
def created(tmp_path: Path, postgres_url: str) -> Created:
    return create(tmp_path / "aurora", postgres_url)


@pytest.fixture
def servers() -> Iterator[PostgresPair]:
    """Start a primary and its standby; where no server is installed, CI fails and everybody else skips."""
    with ExitStack() as stack:
        try:
            started = stack.enter_context(running_pair())
        except ServerUnavailableError as error:
            if os.environ.get("CI") == "true":
                pytest.fail(str(error))
            pytest.skip(str(error))
        yield started


def create(directory: Path, url: str) -> Created:
    return create_node_directory(
        directory,
        ledger="aurora.example/main.1",
        points="AUR",
        points_name="Aurora Miles",
        url="",
        settings={"database_url": url},
    )


@pytest.fixture
def pair(created: Created) -> Iterator[tuple[Process, Process]]:
    with ExitStack() as stack:
        one = stack.enter_context(running(created, "one"))
        poll(lambda: one.says("writing"), "the first process to write")
        other = stack.enter_context(running(created, "other"))
        poll(lambda: ready(other), "the second process to answer")
        open_ann(other)
        yield one, other


def test_a_process_killed_while_it_writes_is_followed_by_the_other(
    created: Created, pair: tuple[Process, Process]
) -> None:
    one, other = pair
    with Writers(other) as writers:
        writers.reach(BEFORE)
        one.popen.kill()
        one.popen.wait()
        writers.reach(len(writers.acknowledged) + AFTER)
    assert other.says("writing")
    check(created, writers.acknowledged)


def test_a_process_that_was_stopped_and_wakes_up_after_the_take_over_writes_nothing(
    created: Created, pair: tuple[Process, Process]
) -> None:
    one, other = pair
    with Writers(other) as writers:
        writers.reach(BEFORE)
        one.popen.send_signal(signal.SIGSTOP)
        writers.reach(len(writers.acknowledged) + AFTER)
        assert other.says("deposing")
        one.popen.send_signal(signal.SIGCONT)
        poll(lambda: one.says("not_writing"), "the first process to find that it no longer writes")
        writers.reach(len(writers.acknowledged) + AFTER)
        # It stands by: what it is asked goes through the process that writes.
        more = poll(lambda: issue(one, 900_000_000), "a write through the process that stands by")
    assert (one.times("writing"), other.times("writing")) == (1, 1)
    check(created, [*writers.acknowledged, more])


def test_what_stands_by_answers_reads_while_nobody_writes(created: Created, pair: tuple[Process, Process]) -> None:
    one, other = pair
    assert issue(other, 1) is not None
    one.popen.send_signal(signal.SIGSTOP)
    shown = other.client.get(f"/v1/accounts/{ANN}")
    assert shown.json()["posted"] == 1
    poll(lambda: other.says("writing"), "the second process to write")
    one.popen.send_signal(signal.SIGCONT)


def test_several_processes_share_an_address_and_one_that_dies_is_replaced(created: Created) -> None:
    (port,) = find_free_ports(1)
    log = created.directory / "several.log"
    command = [sys.executable, "-m", "node.cli.main", "serve", str(created.directory), "--workers", "3"]
    with log.open("wb") as output:
        parent = subprocess.Popen([*command, "--port", str(port)], cwd=ROOT, stdout=output, stderr=output)
    try:
        poll(lambda: (log.read_text().count('"event": "listening"') == 3) or None, "three processes to listen")
        poll(lambda: '"event": "writing"' in log.read_text() or None, "one of them to write")
        children = children_of(parent.pid)
        assert len(children) == 3
        os.kill(children[0], signal.SIGKILL)
        poll(lambda: (log.read_text().count('"event": "listening"') == 4) or None, "another process to listen")
        with caller(created, port) as client:
            poll(
                lambda: client.post("/v1/accounts", json={"id": uuid("ann"), "kind": "member"}).is_success or None,
                "an answer",
            )
    finally:
        parent.terminate()
    assert parent.wait(60) == 0
    assert all(not Path(f"/proc/{child}").exists() for child in children)


def test_processes_that_end_at_once_are_given_up(created: Created) -> None:
    command = [sys.executable, "-c", "import sys; sys.exit(3)"]
    assert Several(command, count=2).run() == 3
    with pytest.raises(ConfigInvalid, match="port"):
        serve_several(created.directory, count=2, settings={"port": 0}, module="none")
    with pytest.raises(ConfigInvalid, match="PostgreSQL"):
        serve_several(created.directory, count=2, settings={"database_url": ""}, module="none")


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def caller(created: Created, port: int) -> httpx.Client:
    token = token_path(created.directory, CallerRole.BACKEND).read_text().strip()
    # A connection for each request: the kernel then gives it to any of the processes.
    return httpx.Client(
        base_url=f"http://{HOST}:{port}",
        headers={"authorization": f"Bearer {token}"},
        timeout=20,
        limits=httpx.Limits(max_keepalive_connections=0),
    )


def test_a_promoted_standby_has_all_that_was_acknowledged(servers: PostgresPair, tmp_path: Path) -> None:
    created = create(tmp_path / "aurora", servers.url)
    with running(created, "one") as one:
        poll(lambda: one.says("writing"), "the process to write")
        open_ann(one)
        with Writers(one) as writers:
            writers.reach(BEFORE)
            servers.kill()
            servers.promote()
            writers.reach(len(writers.acknowledged) + AFTER)
    check(created, writers.acknowledged)
