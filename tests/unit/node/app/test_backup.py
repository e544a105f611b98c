"""Backups, what is restored from them, and stores that move: the same ledger to the last row, or nothing at all."""

import json
import os
import shutil
import socket
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from node.app import backup
from node.app.backup import BackupInvalid, backup_directory, read_backup, restore_directory
from node.app.directory import Created, create_node_directory, database_url
from node.app.key_files import KeyFileInvalid, keys_alone, stored_keys
from node.app.moving import move_store
from node.app.open import KeysMismatch, open_node
from node.app.rotation import prepare_rotation
from node.app.system import SystemRandomness
from node.config import format_config, load_config, make_config
from node.services.fsck.fsck import fsck
from node.services.requests import IssueRequest, OpenAccountRequest
from node.store.copying import StoreMoved, StoreTaken, Told, back_up
from node.store.database import Database
from node.store.errors import StoreBusy, StoreFull
from node.store.rows import CommitRecord
from node.store.rows_access import RevokeCredential
from node.workers.keep_state import KeepState
from protocol.audit.findings import Verdict
from protocol.errors import CouldNotCheck
from protocol.identifiers import Account, Id
from protocol.ledger.state import LEDGER, ONLY
from tests.support.documents import uuid
from tests.support.postgres import PostgresServer

ANN = Account(f"member/{uuid('ann')}")


@pytest.fixture
def created(tmp_path: Path, database_url: str) -> Created:
    settings = {} if database_url.startswith("sqlite") else {"database_url": database_url}
    return create_node_directory(
        tmp_path / "aurora",
        ledger="aurora.example/main.1",
        points="AUR",
        points_name="Aurora Miles",
        url="http://127.0.0.1:8420",
        settings=settings,
    )


@pytest.fixture
def another(postgres_server: PostgresServer) -> Iterator[str]:
    """Yield an empty PostgreSQL database, which is not the one that the node has."""
    name = postgres_server.create_database()
    yield postgres_server.url(name)
    postgres_server.drop_database(name)


def issue(directory: Path, *names: str) -> None:
    with open_node(directory) as opened:
        points = opened.node.points
        if opened.node.accounts.page(after=None, limit=1).accounts == ():
            points.open_account(OpenAccountRequest(id=uuid("open"), account=ANN)).result()
        for name in names:
            points.transact(IssueRequest(id=uuid(name), account=ANN, amount=100)).result()
        KeepState(opened.node.log, directory / "state.json").step()


def newest(directory: Path) -> tuple[int, str]:
    with Database.open(database_url(directory, load_config(directory))) as database:
        checkpoint = database.reader().latest_checkpoint()
        assert checkpoint is not None
        assert fsck(database).verdict is Verdict.HELD
        return checkpoint.size, checkpoint.root


def silent(_table: str, _rows: int) -> None:
    pass


def test_a_backup_of_a_node_that_writes_meanwhile_holds_one_moment(created: Created, tmp_path: Path) -> None:
    issue(created.directory, "one")
    stop = threading.Event()
    with open_node(created.directory) as opened:

        def write() -> None:
            number = 0
            while not stop.is_set():
                number += 1
                opened.node.points.transact(IssueRequest(id=uuid(f"w {number}"), account=ANN, amount=1)).result()

        writer = threading.Thread(target=write)
        writer.start()
        made = backup_directory(created.directory, tmp_path / "backup", with_keys=True, told=silent)
        stop.set()
        writer.join()
    assert read_backup(tmp_path / "backup") == made.manifest
    restored = restore_directory(tmp_path / "backup", tmp_path / "again", keys=None, state=None, url=None, told=silent)
    assert newest(tmp_path / "again") == (restored.manifest.size, restored.manifest.root)
    assert newest(created.directory)[0] >= restored.manifest.size >= 3


def test_a_restored_node_goes_on_where_the_backup_was_made(created: Created, tmp_path: Path) -> None:
    issue(created.directory, "one")
    before = newest(created.directory)
    backup_directory(created.directory, tmp_path / "backup", with_keys=False, told=silent)
    keys = tmp_path / "vault"
    shutil.copytree(created.directory / "keys", keys)
    restore_directory(tmp_path / "backup", tmp_path / "again", keys=keys, state=None, url=None, told=silent)
    assert newest(tmp_path / "again") == before
    issue(tmp_path / "again", "two")
    assert newest(tmp_path / "again")[0] == before[0] + 1


def test_keys_are_backed_up_while_an_agent_is_at_work_beside_them(created: Created, tmp_path: Path) -> None:
    keys = created.directory / "keys"
    (keys / "agent.new").symlink_to("gone")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(str(keys / "a"))
        backup_directory(created.directory, tmp_path / "backup", with_keys=True, told=silent)
    restore_directory(tmp_path / "backup", tmp_path / "again", keys=None, state=None, url=None, told=silent)
    assert {path.name for path in (tmp_path / "again" / "keys").iterdir()} == {
        path.name for path in keys.glob("*.seed")
    }


def test_no_backup_has_keys_that_were_being_changed(
    created: Created, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rotate = partial(prepare_rotation, created.directory, passphrase=lambda: b"", randomness=SystemRandomness())
    with Database.open(database_url(created.directory, load_config(created.directory))) as database:
        record = database.reader().record(LEDGER, ONLY)
    assert record is not None
    copy = backup._copy_keys

    def meanwhile(source: Path, target: Path) -> None:
        with pytest.raises(KeyFileInvalid, match="another command"):
            rotate(record)
        copy(source, target)

    with keys_alone(created.directory), pytest.raises(KeyFileInvalid, match="another command"):
        backup_directory(created.directory, tmp_path / "backup", with_keys=True, told=silent)
    assert not (tmp_path / "backup").exists()
    monkeypatch.setattr(backup, "_copy_keys", meanwhile)
    backup_directory(created.directory, tmp_path / "backup", with_keys=True, told=silent)
    assert record.next_log_key in {each.public.digest for each in stored_keys(tmp_path / "backup")}


def test_a_restored_node_with_the_lost_nodes_state_file_knows_that_it_is_behind(
    created: Created, tmp_path: Path
) -> None:
    backup_directory(created.directory, tmp_path / "backup", with_keys=True, told=silent)
    issue(created.directory, "one")
    restore_directory(
        tmp_path / "backup",
        tmp_path / "again",
        keys=None,
        state=created.directory / "state.json",
        url=None,
        told=silent,
    )
    with open_node(tmp_path / "again") as opened:
        assert opened.node.gate.behind is not None
        assert "state.json has seen 3 entries" in opened.node.gate.behind


def test_a_backup_goes_back_into_postgresql(created: Created, tmp_path: Path, another: str) -> None:
    issue(created.directory, "one")
    backup_directory(created.directory, tmp_path / "backup", with_keys=True, told=silent)
    for _ in range(2):
        # An interruption after the rows are there is repeated without harm.
        shutil.rmtree(tmp_path / "again", ignore_errors=True)
        restore_directory(tmp_path / "backup", tmp_path / "again", keys=None, state=None, url=another, told=silent)
    assert newest(tmp_path / "again") == newest(created.directory)
    assert not (tmp_path / "again" / "ledger.sqlite").exists()


@pytest.mark.parametrize("name", ["ledger.sqlite", "node.toml", "keys/log.seed", "backup.json"])
def test_a_backup_that_was_changed_is_refused_and_nothing_is_made(created: Created, tmp_path: Path, name: str) -> None:
    backup_directory(created.directory, tmp_path / "backup", with_keys=True, told=silent)
    file = tmp_path / "backup" / name
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(bytes(data))
    with pytest.raises(BackupInvalid):
        restore_directory(tmp_path / "backup", tmp_path / "again", keys=None, state=None, url=None, told=silent)
    assert not (tmp_path / "again").exists()


def test_what_is_in_the_way_is_left_alone(created: Created, tmp_path: Path) -> None:
    (tmp_path / "backup").mkdir()
    with pytest.raises(BackupInvalid, match="exists"):
        backup_directory(created.directory, tmp_path / "backup", with_keys=True, told=silent)
    backup_directory(created.directory, tmp_path / "other", with_keys=False, told=silent)
    with pytest.raises(BackupInvalid, match="exists"):
        restore_directory(tmp_path / "other", created.directory, keys=None, state=None, url=None, told=silent)
    with pytest.raises(BackupInvalid, match="no keys"):
        restore_directory(tmp_path / "other", tmp_path / "again", keys=None, state=None, url=None, told=silent)
    with pytest.raises(BackupInvalid, match="state file"):
        restore_directory(
            tmp_path / "other",
            tmp_path / "again",
            keys=created.directory / "keys",
            state=tmp_path / "none",
            url=None,
            told=silent,
        )
    with pytest.raises(BackupInvalid, match="no backup"):
        read_backup(tmp_path / "backup")
    assert not (tmp_path / "again").exists()


def test_the_keys_must_be_those_of_the_ledger(created: Created, tmp_path: Path) -> None:
    backup_directory(created.directory, tmp_path / "backup", with_keys=False, told=silent)
    stranger = create_node_directory(
        tmp_path / "stranger", ledger="bluebird.example/main.1", points="BLU", points_name="Blue", url=""
    )
    with pytest.raises(KeysMismatch):
        restore_directory(
            tmp_path / "backup",
            tmp_path / "again",
            keys=stranger.directory / "keys",
            state=None,
            url=None,
            told=silent,
        )
    assert not (tmp_path / "again").exists()


def test_a_ledger_moves_and_no_node_starts_on_what_it_left(created: Created, tmp_path: Path, another: str) -> None:
    issue(created.directory, "one")
    before = newest(created.directory)
    left = str(database_url(created.directory, load_config(created.directory)))
    told: list[tuple[str, int]] = []
    moved = move_store(created.directory, another, told=lambda *each: told.append(each))
    assert ("entries", 3) in told
    assert (moved.size, moved.root) == newest(created.directory) == before
    issue(created.directory, "two")
    with pytest.raises(StoreMoved, match="goes on in"), open_node(created.directory, settings={"database_url": left}):
        pass
    move_store(created.directory, f"sqlite:///{tmp_path / 'back.sqlite'}", told=silent)
    assert newest(created.directory)[0] == before[0] + 1
    move_store(created.directory, f"sqlite:///{tmp_path / 'back.sqlite'}", told=silent)
    issue(created.directory, "three")


def test_a_ledger_does_not_move_while_its_node_runs_or_onto_another(
    created: Created, tmp_path: Path, another: str
) -> None:
    with open_node(created.directory), pytest.raises(StoreBusy):
        move_store(created.directory, another, told=silent)
    create_node_directory(
        tmp_path / "bluebird",
        ledger="bluebird.example/main.1",
        points="BLU",
        points_name="Blue",
        url="",
        settings={"database_url": f"sqlite:///{tmp_path / 'taken.sqlite'}"},
    )
    with pytest.raises(StoreTaken, match="not empty"):
        move_store(created.directory, f"sqlite:///{tmp_path / 'taken.sqlite'}", told=silent)
    issue(created.directory, "one")


def test_a_move_that_ended_before_the_configuration_was_written_is_finished_by_a_second_one(
    created: Created, another: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    issue(created.directory, "one")

    def fail(*_arguments: object) -> None:
        raise OSError("the power went")

    with monkeypatch.context() as patch:
        patch.setattr("node.app.moving.write_private", fail)
        with pytest.raises(OSError, match="power"):
            move_store(created.directory, another, told=silent)
    with pytest.raises(StoreMoved), open_node(created.directory):
        pass
    move_store(created.directory, another, told=silent)
    issue(created.directory, "two")


def test_a_copy_that_is_older_than_what_moves_is_not_taken_for_it(
    created: Created, another: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: object) -> None:
        raise OSError("the power went")

    with monkeypatch.context() as patch:
        patch.setattr("node.store.session.Session.upsert", fail)
        with pytest.raises(OSError, match="power"):
            move_store(created.directory, another, told=silent)
    with Database.open(database_url(created.directory, load_config(created.directory))) as database:
        with database.snapshot() as dump:
            name = Id(str(next(iter(dump.rows("credentials")))[0]))
        with database.writer() as writer:
            writer.commit(CommitRecord(old_size=1, writes=(RevokeCredential(name, "2026-11-23T12:00:00.000000Z"),)))
    with pytest.raises(StoreTaken, match="give an empty one"):
        move_store(created.directory, another, told=silent)
    issue(created.directory, "one")


def test_a_ledger_does_not_move_to_where_it_is_under_another_name(created: Created, tmp_path: Path) -> None:
    (tmp_path / "link.sqlite").symlink_to(created.directory / "ledger.sqlite")
    url = load_config(created.directory).database_url
    other = f"{url}&application_name=other" if url else f"sqlite:///{tmp_path / 'link.sqlite'}"
    with pytest.raises(StoreTaken, match="is where the ledger is already"):
        move_store(created.directory, other, told=silent)
    issue(created.directory, "one")


def test_a_ledger_that_has_moved_does_not_move_elsewhere(created: Created, tmp_path: Path, another: str) -> None:
    file = created.directory / "node.toml"
    before = file.read_text()
    move_store(created.directory, another, told=silent)
    after = file.read_text()
    file.write_text(before)
    with pytest.raises(StoreMoved):
        move_store(created.directory, f"sqlite:///{tmp_path / 'third.sqlite'}", told=silent)
    file.write_text(after)
    issue(created.directory, "one")


def test_the_manifest_says_what_the_backup_holds(created: Created, tmp_path: Path) -> None:
    issue(created.directory, "one")
    made = backup_directory(created.directory, tmp_path / "backup", with_keys=False, told=silent)
    shown = json.loads((tmp_path / "backup" / "backup.json").read_text())
    assert (shown["ledger"], shown["log"], shown["size"]) == ("aurora.example/main.1", "aurora.example/main.1", 3)
    assert sorted(made.manifest.files) == ["ledger.sqlite", "node.toml", "state.json"]
    assert 'database_url = ""' in (tmp_path / "backup" / "node.toml").read_text()
    for path in (tmp_path / "backup").rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path


def test_two_backups_to_one_name_do_not_spoil_each_other(
    created: Created, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    issue(created.directory, "one")
    out, refused = tmp_path / "backup", []

    def back_up_twice(source: Database, path: Path, told: Told) -> None:
        back_up(source, path, told)
        with pytest.raises(BackupInvalid, match="another process") as raised:
            backup_directory(created.directory, out, with_keys=False, told=silent)
        refused.append(raised.value)

    monkeypatch.setattr("node.app.backup.back_up", back_up_twice)
    made = backup_directory(created.directory, out, with_keys=True, told=silent)
    assert len(refused) == 1
    assert read_backup(out) == made.manifest
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("backup")] == ["backup"]


def test_what_an_interrupted_backup_has_left_is_not_in_the_way(created: Created, tmp_path: Path) -> None:
    (tmp_path / "deep" / "backup.part").mkdir(parents=True)
    (tmp_path / "deep" / "backup.part" / "ledger.sqlite").write_bytes(b"half")
    (tmp_path / "deep" / "backup.part.lock").touch()
    made = backup_directory(created.directory, tmp_path / "deep" / "backup", with_keys=True, told=silent)
    assert read_backup(tmp_path / "deep" / "backup") == made.manifest


def test_a_backup_that_fails_gives_its_place_on_the_disk_back(
    created: Created, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(_source: Database, path: Path, _told: Told) -> None:
        path.write_bytes(b"rows")
        raise StoreFull("the database says: database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr("node.app.backup.back_up", fill)
        with pytest.raises(StoreFull):
            backup_directory(created.directory, tmp_path / "backups" / "one", with_keys=True, told=silent)
    assert list((tmp_path / "backups").iterdir()) == []


def test_a_backup_goes_to_a_path_that_is_no_text(created: Created, tmp_path: Path) -> None:
    issue(created.directory, "one")
    out = tmp_path / os.fsdecode(b"caf\xe9 '?%")
    made = backup_directory(created.directory, out, with_keys=True, told=silent)
    assert read_backup(out) == made.manifest
    restore_directory(out, tmp_path / "again", keys=None, state=None, url=None, told=silent)
    assert newest(tmp_path / "again") == newest(created.directory)


def test_a_store_without_a_ledger_is_not_moved(created: Created, tmp_path: Path) -> None:
    text = format_config(make_config({**load_config(created.directory).model_dump(), "database_url": ""}))
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "node.toml").write_text(text)
    (tmp_path / "empty" / "ledger.sqlite").touch()
    for _ in range(2):
        with pytest.raises(CouldNotCheck, match="holds no ledger"):
            move_store(tmp_path / "empty", f"sqlite:///{tmp_path / 'to.sqlite'}", told=silent)
    assert (tmp_path / "empty" / "node.toml").read_text() == text
    with Database.open(f"sqlite:///{tmp_path / 'empty' / 'ledger.sqlite'}") as database:
        assert database.reader().settings() == {}
