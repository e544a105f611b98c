"""A served node: real sockets, real signals, and nothing lost when it is told to stop."""

import json
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import httpx
import pytest
from sqlalchemy import NullPool, create_engine, text

from node.app.directory import Created, create_node_directory
from node.app.open import open_node
from node.app.serve import NodeServer, serve
from node.app.sockets import AddressUnavailable
from node.app.turns import TURN_SECONDS
from node.services.access.credentials import CallerRole
from node.store.database import Database
from scripts.alliance.process import find_free_ports
from tests.support.crashing_node import poll
from tests.support.documents import uuid

PROGRAM: Final = """
import sys
from pathlib import Path
from node.app.serve import serve
serve(Path(sys.argv[1]), settings={"port": 0}, on_ready=lambda url: print(url, flush=True))
"""
SECONDS_MAX: Final = 60


@pytest.fixture
def created(tmp_path: Path) -> Created:
    return create_node_directory(
        tmp_path / "aurora",
        ledger="aurora.example/main.1",
        points="AUR",
        points_name="Aurora Miles",
        url="http://127.0.0.1:8420",
    )


@contextmanager
def process_of(
    created: Created, program: str = PROGRAM, *, log: Path | None = None
) -> Iterator[tuple[subprocess.Popen[str], httpx.Client]]:
    command = [sys.executable, "-c", program, str(created.directory)]
    with (
        (log or created.directory.parent / "log").open("w") as lines,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=lines, text=True) as process,
    ):
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            token = created.tokens[CallerRole.ADMINISTRATOR].read_text().strip()
            headers = {"authorization": f"Bearer {token}"}
            with httpx.Client(base_url=url, headers=headers, timeout=SECONDS_MAX) as client:
                yield process, client
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_node_stops_cleanly_when_it_is_told(created: Created, number: signal.Signals) -> None:
    with process_of(created) as (process, client):
        assert client.get("/livez").json() == {"alive": True}
        assert client.get("/readyz").json()["ready"] is True
        body = {"id": uuid("ann"), "kind": "member"}
        assert client.post("/v1/accounts", json=body).status_code == 201
        process.send_signal(number)
        assert process.wait(SECONDS_MAX) == 0
    state = json.loads((created.directory / "state.json").read_text())
    assert state["checkpoint"].startswith("aurora.example/main.1\n")
    with open_node(created.directory) as opened:
        assert opened.node.accounts.page(after=None, limit=2).accounts[0].account == f"member/{uuid('ann')}"


def test_a_killed_node_has_what_it_answered(created: Created) -> None:
    with process_of(created) as (process, client):
        for name in ("ann", "bob"):
            assert client.post("/v1/accounts", json={"id": uuid(name), "kind": "member"}).status_code == 201
        process.kill()
        process.wait(SECONDS_MAX)
    with process_of(created) as (process, client):
        accounts = client.get("/v1/accounts").json()["accounts"]
        assert {each["account"] for each in accounts} == {f"member/{uuid('ann')}", f"member/{uuid('bob')}"}


def test_a_long_body_over_a_socket_is_refused_and_the_node_goes_on(created: Created) -> None:
    with process_of(created) as (_, client):
        headers = {"content-type": "application/json"}
        response = client.post("/v1/transactions", content=b" " * (10 * 1024 * 1024), headers=headers)
        assert (response.status_code, response.json()["code"]) == (413, "payload_too_large")
        assert client.get("/livez").status_code == 200


def test_threads_of_a_served_node_take_short_turns(created: Created) -> None:
    program = PROGRAM.replace("print(url, flush=True)", "print(sys.getswitchinterval(), flush=True)")
    command = [sys.executable, "-c", program, str(created.directory)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert float(process.stdout.readline()) == pytest.approx(TURN_SECONDS)
        process.send_signal(signal.SIGTERM)
        assert process.wait(SECONDS_MAX) == 0


def test_a_second_process_is_kept_out(created: Created) -> None:
    with process_of(created):
        command = [sys.executable, "-c", PROGRAM, str(created.directory)]
        second = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS_MAX)
        assert second.returncode != 0
        assert "StoreBusy" in second.stderr


def test_a_node_whose_connections_a_server_ends_writes_again_by_itself(tmp_path: Path, postgres_url: str) -> None:
    (port,) = find_free_ports(1)
    created = create_node_directory(
        tmp_path / "aurora",
        ledger="aurora.example/main.1",
        points="AUR",
        points_name="Aurora Miles",
        url="",
        settings={"database_url": postgres_url, "port": port},
    )
    with process_of(created, PROGRAM.replace('"port": 0', "")) as (process, client):
        assert opened(client, "ann")
        end_sessions(postgres_url)
        assert not opened(client, "bob"), "its writer's connection is lost"
        poll(lambda: opened(client, "bob") or None, "the node to write again")
        process.send_signal(signal.SIGTERM)
        assert process.wait(SECONDS_MAX) == 0
    with open_node(created.directory) as node:
        shown = node.node.accounts.page(after=None, limit=9).accounts
    assert {each.account for each in shown} == {f"member/{uuid('ann')}", f"member/{uuid('bob')}"}


def test_a_node_that_waits_for_its_store_ends_when_it_is_told(tmp_path: Path, postgres_url: str) -> None:
    (port,) = find_free_ports(1)
    created = create_node_directory(
        tmp_path / "aurora",
        ledger="aurora.example/main.1",
        points="AUR",
        points_name="Aurora Miles",
        url="",
        settings={"database_url": postgres_url, "port": port},
    )
    log = tmp_path / "log"
    with process_of(created, PROGRAM.replace('"port": 0', ""), log=log) as (process, client):
        assert opened(client, "ann")
        end_sessions(postgres_url)
        with Database.open(postgres_url) as database, database.writer():
            poll(lambda: '"cannot_open"' in log.read_text() or None, "the node to wait for its store")
            process.send_signal(signal.SIGTERM)
            assert process.wait(SECONDS_MAX) == 0


def opened(client: httpx.Client, name: str) -> bool:
    try:
        return client.post("/v1/accounts", json={"id": uuid(name), "kind": "member"}).is_success
    except httpx.TransportError:
        return False


def end_sessions(url: str) -> None:
    """End all sessions of a database, as a server that is started again does."""
    engine = create_engine(url, poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(
            text(
                "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )


def test_a_node_whose_log_cannot_be_written_serves_and_stops_like_any_other(created: Created) -> None:
    with process_of(created, log=Path("/dev/full")) as (process, client):
        assert opened(client, "ann")
        process.send_signal(signal.SIGTERM)
        assert process.wait(SECONDS_MAX) == 0


def test_an_address_that_is_taken_is_said(created: Created) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(AddressUnavailable, match=f"127.0.0.1:{port}"):
            serve(created.directory, settings={"port": port})
    with open_node(created.directory):
        pass


def test_a_server_in_a_thread_is_stopped_from_another(created: Created) -> None:
    with open_node(created.directory, settings={"port": 0}) as opened:
        server, ready, urls = NodeServer(opened), threading.Event(), []

        def on_ready(url: str) -> None:
            urls.append(url)
            ready.set()

        thread = threading.Thread(target=server.run, args=(on_ready,))
        thread.start()
        assert ready.wait(SECONDS_MAX)
        assert httpx.get(f"{urls[0]}/checkpoint", timeout=SECONDS_MAX).status_code == 200
        server.stop()
        thread.join(SECONDS_MAX)
        assert not thread.is_alive()
