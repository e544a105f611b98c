"""What the doctor finds, and that it changes nothing."""

import json
import os
import shutil
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from structlog.testing import capture_logs

from node.app import doctor
from node.app.directory import Created, create_node_directory, database_url
from node.app.doctor import Check, Health, examine
from node.app.moving import move_store
from node.app.open import open_node
from node.app.tls import make_certificate
from node.config import load_config
from node.services.requests import OpenAccountRequest
from node.store.database import Database
from node.store.facts import facts_of
from node.workers.keep_state import KeepState
from protocol.identifiers import Account
from protocol.keys import Role
from protocol.note import KeyType, Verifier, format_vkey
from tests.support.documents import BLUEBIRD, invitation_bytes, uuid
from tests.support.postgres import running_server
from tests.support.serving import HOST, LocalServer, QuietHandler, serving


@pytest.fixture
def created(tmp_path: Path, database_url: str) -> Created:
    settings: dict[str, object] = {"port": 1}
    if not database_url.startswith("sqlite"):
        settings["database_url"] = database_url
    return create_node_directory(
        tmp_path / "aurora",
        ledger="aurora.example/main.1",
        points="AUR",
        points_name="Aurora Miles",
        url="http://127.0.0.1:8420",
        settings=settings,
    )


@pytest.fixture
def here(tmp_path: Path) -> Path:
    return create_node_directory(
        tmp_path / "here", ledger="aurora.example/main.1", points="AUR", points_name="Miles", url=""
    ).directory


def found(directory: Path, *, offline: bool = True) -> dict[str, Check]:
    return {each.name: each for each in examine(directory, offline=offline)}


def test_a_new_node_is_well_but_unwatched_and_its_keys_lie_open(created: Created) -> None:
    before = sorted(path.name for path in created.directory.rglob("*"))
    checks = found(created.directory, offline=False)
    assert {name for name, each in checks.items() if each.health is Health.BAD} == set()
    worries = {name for name, each in checks.items() if each.health is Health.WORRY}
    assert {"keys", "witnesses"} <= worries
    assert "does not run" in checks["node"].found
    assert all(each.advice for each in checks.values() if each.health is not Health.GOOD)
    assert "1 entries" in checks["database"].found
    with open_node(created.directory):
        assert found(created.directory)["database"].health is Health.GOOD
    left = {path.name for path in created.directory.rglob("*")} - set(before)
    assert left <= {"ledger.sqlite-wal", "ledger.sqlite-shm", "ledger.sqlite.lock"}


def test_a_setting_without_effect_is_told(here: Path) -> None:
    assert found(here)["configuration"].health is Health.GOOD
    with (here / "node.toml").open("a") as file:
        file.write("accept_within_seconds = 60\n")
    told = found(here)["configuration"]
    assert (told.health, told.advice) == (Health.WORRY, "remove accept_within_seconds")
    assert "without effect: accept_within_seconds" in told.found


def test_a_store_that_is_an_old_copy_or_has_moved_or_is_gone_is_told(
    here: Path, tmp_path: Path, postgres_url: str
) -> None:
    old = tmp_path / "old"
    shutil.copytree(here, old)
    with open_node(here) as opened:
        request = OpenAccountRequest(id=uuid("ann"), account=Account(f"member/{uuid('ann')}"))
        opened.node.points.open_account(request).result()
        KeepState(opened.node.log, here / "state.json").step()
    shutil.copy(here / "state.json", old / "state.json")
    assert found(old)["state file"].health is Health.BAD
    move_store(here, postgres_url, told=lambda _table, _rows: None)
    (here / "node.toml").write_text((old / "node.toml").read_text())
    assert "goes on in" in found(here)["database"].found
    (old / "state.json").unlink()
    assert found(old)["state file"].health is Health.WORRY
    (old / "ledger.sqlite").write_bytes(b"not a database at all" * 100)
    assert found(old)["database"].health is Health.BAD


def test_a_store_is_no_old_copy_because_its_node_goes_on_meanwhile(here: Path) -> None:
    with open_node(here) as opened:
        checks: dict[str, Check] = {}
        for each in examine(here, offline=True):
            checks[each.name] = each
            if each.name == "database":
                request = OpenAccountRequest(id=uuid("ann"), account=Account(f"member/{uuid('ann')}"))
                opened.node.points.open_account(request).result()
                KeepState(opened.node.log, here / "state.json").step()
    assert checks["state file"].health is Health.GOOD


def test_a_small_slow_or_unwritable_disk_and_a_wrong_clock_are_told(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _place: SimpleNamespace(free=1_000))
    monkeypatch.setattr(doctor, "FLUSH_SECONDS_MAX", 0.0)
    monkeypatch.setattr(doctor, "CLOCK_SECONDS_MAX", -(10**9))
    monkeypatch.setattr(doctor, "OPEN_FILES_MIN", 10**9)
    checks = found(here)
    assert [checks[name].health for name in ("disk", "flush", "clock", "open files")] == [
        Health.BAD,
        Health.WORRY,
        Health.BAD,
        Health.WORRY,
    ]

    def fail(*_arguments: object) -> int:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(os, "pwrite", fail)
    assert "Read-only" in found(here)["flush"].found


class NotFound(QuietHandler):
    """Has nothing."""

    def do_GET(self) -> None:
        self.answer(404)


class NoBody(httpx.SyncByteStream):
    """An answer's body as it comes from a connection: nothing, read once."""

    def __iter__(self) -> Iterator[bytes]:
        return iter(())


def test_partners_witnesses_and_the_node_itself_are_asked(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = BLUEBIRD.signing_keys[Role.WITNESS].public
    witness = format_vkey(Verifier("witness.example", key, KeyType.COSIGNATURE))
    monkeypatch.setenv("TALLYSTICK_WITNESSES", json.dumps([f"{witness} https://witness.example/w"]))
    with open_node(here) as opened:
        opened.node.partners.accept(invitation_bytes(BLUEBIRD), fingerprint=None).result()
    statuses = {"bluebird.example": 200, "witness.example": 404, "127.0.0.1": 503}

    def handle(_transport: httpx.HTTPTransport, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/livez" and request.url.host == "127.0.0.1":
            return httpx.Response(200, stream=NoBody())
        for name, status in statuses.items():
            if request.url.host.endswith(name):
                return httpx.Response(status, stream=NoBody())
        raise httpx.ConnectError("nobody is there")

    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", handle)
    asked = found(here, offline=False)
    names = {name: each.health for name, each in asked.items() if name.startswith(("partner", "witness", "node"))}
    assert names == {
        "partner bluebird.example/main.1": Health.GOOD,
        "witness witness.example": Health.GOOD,
        "node": Health.BAD,
    }
    statuses.clear()
    gone = found(here, offline=False)
    assert gone["partner bluebird.example/main.1"].health is Health.BAD
    assert gone["witness witness.example"].health is Health.BAD
    statuses["127.0.0.1"] = 200
    assert found(here, offline=False)["node"].found.endswith("is ready")


def test_certificates_that_end_are_told(here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, days in (("old", 1), ("soon", 10), ("new", 300)):
        begun = datetime.now(UTC) - timedelta(days=2 if name == "old" else 0)
        made = make_certificate(
            here / name, authority=tmp_path / "authority", names=("a.example",), now=begun, days=days
        )
        monkeypatch.setenv("TALLYSTICK_TLS_CERTIFICATE", f"{name}/{made.certificate.name}")
        monkeypatch.setenv("TALLYSTICK_TLS_KEY", f"{name}/tls.key")
        check = found(here, offline=False)[f"certificate {name}/{made.certificate.name}"]
        assert check.health is {"old": Health.BAD, "soon": Health.WORRY, "new": Health.GOOD}[name], check


@pytest.mark.parametrize("given", ["TLS", "PARTNER"])
def test_a_key_of_another_certificate_is_told(
    here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    for name in ("one", "other"):
        make_certificate(here / name, authority=tmp_path / "authority", names=("a.example",), now=datetime.now(UTC))
    monkeypatch.setenv(f"TALLYSTICK_{given}_CERTIFICATE", "one/tls.pem")
    monkeypatch.setenv(f"TALLYSTICK_{given}_KEY", "one/tls.key")
    assert "TLS" not in found(here)
    monkeypatch.setenv(f"TALLYSTICK_{given}_KEY", "other/tls.key")
    assert found(here)["TLS"].health is Health.BAD


def test_who_shows_a_certificate_of_partner_ca_is_reached(
    here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make_certificate(
        tmp_path / "witness", authority=tmp_path / "authority", names=(HOST,), now=datetime.now(UTC)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.certificate, made.key)
    server = LocalServer(NotFound)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    key = BLUEBIRD.signing_keys[Role.WITNESS].public
    witness = format_vkey(Verifier("witness.example", key, KeyType.COSIGNATURE))
    monkeypatch.setenv("TALLYSTICK_WITNESSES", json.dumps([f"{witness} https://{HOST}:{server.server_port}"]))
    with serving(server):
        assert found(here, offline=False)["witness witness.example"].health is Health.BAD
        monkeypatch.setenv("TALLYSTICK_PARTNER_CA", str(made.authority))
        assert found(here, offline=False)["witness witness.example"].health is Health.GOOD


def test_a_server_that_writes_nothing_is_told(tmp_path: Path, postgres_url: str) -> None:
    made = create_node_directory(
        tmp_path / "aurora",
        ledger="aurora.example/main.1",
        points="AUR",
        points_name="Aurora Miles",
        url="",
        settings={"database_url": postgres_url},
    )
    assert found(made.directory)["database"].health is Health.GOOD
    with Database.open(postgres_url) as database, database.connection() as connection:
        name = connection.exec_driver_sql("SELECT current_database()").scalar_one()
        connection.exec_driver_sql(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    checks = found(made.directory)
    assert checks["database"].health is Health.BAD
    assert "default_transaction_read_only" in checks["database"].found
    assert "state file" not in checks, "a replica may be late, and is no old copy"


@pytest.mark.usefixtures("postgres_server")  # Where there is none, it says so.
def test_a_server_that_forgets_commits_is_told_by_the_doctor_and_at_the_start(tmp_path: Path) -> None:
    with running_server(["fsync=off", "full_page_writes=off"]) as server:
        made = create_node_directory(
            tmp_path / "aurora",
            ledger="aurora.example/main.1",
            points="AUR",
            points_name="Aurora Miles",
            url="",
            settings={"database_url": server.url(server.create_database())},
        )
        check = found(made.directory)["durability"]
        assert (check.health, check.found) == (Health.BAD, "fsync = off, full_page_writes = off")
        with capture_logs() as logs, open_node(made.directory):
            pass
    (told,) = (log for log in logs if log["event"] == "not_durable")
    assert (told["log_level"], told["settings"]) == ("warning", check.found)


def test_a_start_on_a_durable_store_warns_of_nothing(created: Created) -> None:
    with capture_logs() as logs, open_node(created.directory):
        pass
    assert [log["event"] for log in logs if log["log_level"] == "warning"] == []
    assert "durability" not in found(created.directory)


def test_tables_that_the_node_may_not_write_are_told(tmp_path: Path, postgres_url: str) -> None:
    directory = tmp_path / "node"
    create_node_directory(
        directory,
        ledger="aurora.example/main.1",
        points="AUR",
        points_name="Aurora Miles",
        url="",
        settings={"database_url": postgres_url},
    )
    role = f"node_{uuid('role').replace('-', '_')}"
    config = (directory / "node.toml").read_text()
    with Database.open(postgres_url) as database, database.connection() as connection:
        connection.exec_driver_sql(f"CREATE ROLE {role} LOGIN")
        connection.exec_driver_sql(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}")
        try:
            (directory / "node.toml").write_text(config.replace("//postgres@", f"//{role}@"))
            assert found(directory)["database"].health is Health.GOOD
            # What is only added to may be kept from being changed.
            connection.exec_driver_sql(f"REVOKE UPDATE, DELETE ON entries FROM {role}")
            assert found(directory)["database"].health is Health.GOOD
            connection.exec_driver_sql(f"REVOKE INSERT ON entries FROM {role}; REVOKE DELETE ON lots FROM {role}")
            told = found(directory)["database"]
            assert told.health is Health.BAD
            assert told.found.endswith("too few rights on entries, lots")
            connection.exec_driver_sql(f"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {role}")
            assert "too few rights on accepted_aliases, " in found(directory)["database"].found
            assert found(directory)["database"].found.endswith(" more")
        finally:
            connection.exec_driver_sql(f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_what_a_database_says_of_itself(created: Created) -> None:
    with Database.open(database_url(created.directory, load_config(created.directory))) as database:
        facts = facts_of(database)
    assert facts.server.split()[0] in {"SQLite", "PostgreSQL"}
    assert facts.size > 0
    assert not facts.old
    assert facts.unsafe == ()
