"""A node opens only on the store that is its own and not behind what it has signed."""

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from node.app.backup import backup_directory
from node.app.directory import Created, create_node_directory
from node.app.open import KeysMismatch, PortOverrides, StateFileForeign, open_node
from node.services.requests import OpenAccountRequest
from node.store.errors import StoreBusy, StoreCorrupt
from node.workers.keep_state import KeepState, StateFileInvalid
from protocol.errors import Code, CouldNotCheck, Refusal
from protocol.identifiers import Account
from tests.support.documents import uuid


@pytest.fixture
def created(tmp_path: Path) -> Created:
    return create_node_directory(
        tmp_path / "aurora",
        ledger="aurora.example/main.1",
        points="AUR",
        points_name="Aurora Miles",
        url="http://127.0.0.1:8420",
    )


def grow(created: Created, name: str) -> None:
    with open_node(created.directory) as opened:
        request = OpenAccountRequest(id=uuid(name), account=Account(f"member/{uuid(name)}"))
        opened.node.points.open_account(request).result()
        KeepState(opened.node.log, created.directory / "state.json").step()


def copy_of(created: Created, name: str) -> Path:
    kept = created.directory.parent / name
    shutil.copytree(created.directory, kept)
    return kept


def test_a_node_opens_again_where_it_was(created: Created) -> None:
    grow(created, "one")
    grow(created, "two")
    with open_node(created.directory) as opened:
        assert len(opened.node.accounts.page(after=None, limit=10).accounts) == 2
        assert set(opened.node.checks().items()) == {(name, True) for name in ("store", "clock", "writer", "ledger")}


def test_a_start_says_that_it_changes_the_tables(created: Created, tmp_path: Path) -> None:
    with closing(sqlite3.connect(created.directory / "ledger.sqlite")) as connection, connection:
        connection.execute("DROP INDEX holds_placed_idx")
        connection.execute("UPDATE alembic_version SET version_num = '0018'")
    with pytest.raises(CouldNotCheck, match="back up with the version that the node last ran"):
        backup_directory(created.directory, tmp_path / "backup", with_keys=False, told=lambda *_: None)
    with capture_logs() as logs:
        grow(created, "one")
        grow(created, "two")
    told = [log for log in logs if log["event"].startswith("tables_")]
    assert [log["event"] for log in told] == ["tables_change", "tables_changed"]
    assert told[1]["seconds"] >= 0


def test_case_29_a_store_whose_tiles_do_not_lead_to_its_checkpoint_is_not_opened(created: Created) -> None:
    grow(created, "one")
    with closing(sqlite3.connect(created.directory / "ledger.sqlite")) as connection, connection:
        (data,) = connection.execute("SELECT hashes FROM tiles WHERE level = 0").fetchone()
        connection.execute("UPDATE tiles SET hashes = ? WHERE level = 0", (data[:-1] + bytes([data[-1] ^ 1]),))
    with pytest.raises(StoreCorrupt, match="tiles do not lead to the last checkpoint"), open_node(created.directory):
        pass


def test_a_store_has_one_node(created: Created) -> None:
    with open_node(created.directory), pytest.raises(StoreBusy), open_node(created.directory):
        pass
    grow(created, "afterwards")


def test_who_finds_the_store_busy_opens_no_keys(created: Created) -> None:
    with open_node(created.directory):
        shutil.rmtree(created.directory / "keys")
        with pytest.raises(StoreBusy), open_node(created.directory):
            pass


def check_closed(directory: Path, why: str) -> None:
    """Hold that the node in `directory` opens, and says that its store is an older copy instead of writing to it."""
    with open_node(directory) as opened:
        gate = opened.node.gate
        assert gate.behind is not None
        assert why in gate.behind
        before = opened.node.reader.latest_checkpoint()
        request = OpenAccountRequest(id=uuid("refused"), account=Account(f"member/{uuid('refused')}"))
        with pytest.raises(Refusal) as refused:
            opened.node.points.open_account(request).result()
        assert refused.value.code == Code.STORE_BEHIND
        assert opened.node.reader.latest_checkpoint() == before
        kept = (directory / "state.json").read_bytes()
        KeepState(opened.node.log, directory / "state.json", holds=lambda: gate.behind is None).step()
        assert (directory / "state.json").read_bytes() == kept


def test_an_older_copy_of_the_database_writes_nothing(created: Created) -> None:
    old = copy_of(created, "old")
    grow(created, "one")
    shutil.copy(old / "ledger.sqlite", created.directory / "ledger.sqlite")
    for leftover in created.directory.glob("ledger.sqlite-*"):
        leftover.unlink()
    check_closed(created.directory, "state.json has seen 2 entries, and the store has 1")


def test_what_was_committed_last_is_known_although_no_step_has_written_it_down(created: Created) -> None:
    old = copy_of(created, "old")
    with open_node(created.directory) as opened:
        request = OpenAccountRequest(id=uuid("one"), account=Account(f"member/{uuid('one')}"))
        opened.node.points.open_account(request).result()
    shutil.copy(old / "ledger.sqlite", created.directory / "ledger.sqlite")
    for leftover in created.directory.glob("ledger.sqlite-*"):
        leftover.unlink()
    check_closed(created.directory, "state.json has seen 2 entries, and the store has 1")


def test_a_process_remembers_what_it_committed_where_it_cannot_write_it_down(created: Created) -> None:
    old = copy_of(created, "old")
    blocked = created.directory / "state.new"
    blocked.mkdir()
    with open_node(created.directory) as opened:
        request = OpenAccountRequest(id=uuid("one"), account=Account(f"member/{uuid('one')}"))
        opened.node.points.open_account(request).result()
        keyring = opened.ports.keyring
    blocked.rmdir()
    with open_node(old, ports=PortOverrides(keyring=keyring)) as opened:
        assert opened.node.gate.behind == "this process has seen 2 entries, and the store has 1"
    # The next process knows, too.
    check_closed(old, "state.json has seen 2 entries, and the store has 1")


def test_another_history_of_the_same_length_writes_nothing(created: Created) -> None:
    other = copy_of(created, "other")
    grow(created, "one")
    state = (created.directory / "state.json").read_bytes()
    with open_node(other) as opened:
        request = OpenAccountRequest(id=uuid("two"), account=Account(f"member/{uuid('two')}"))
        opened.node.points.open_account(request).result()
    (other / "state.json").write_bytes(state)
    check_closed(other, "another history")


def test_a_state_file_of_another_ledger_is_refused(created: Created, tmp_path: Path) -> None:
    stranger = create_node_directory(
        tmp_path / "bluebird",
        ledger="bluebird.example/main.1",
        points="BLU",
        points_name="Bluebird Nights",
        url="http://127.0.0.1:8421",
    )
    shutil.copy(stranger.directory / "state.json", created.directory / "state.json")
    with pytest.raises(StateFileForeign, match="holds no checkpoint of this ledger"), open_node(created.directory):
        pass


def test_a_damaged_state_file_is_refused_and_a_missing_one_is_not(created: Created) -> None:
    path = created.directory / "state.json"
    path.write_text(json.dumps({"v": 1}))
    with pytest.raises(StateFileInvalid), open_node(created.directory):
        pass
    path.unlink()
    with open_node(created.directory) as opened:
        assert opened.node.ledger == "aurora.example/main.1"


def test_keys_and_names_are_those_of_the_ledger(created: Created) -> None:
    with pytest.raises(KeysMismatch), open_node(created.directory, settings={"ledger": "bluebird.example/main.1"}):
        pass
    other = create_node_directory(
        created.directory.parent / "twin",
        ledger="aurora.example/main.1",
        points="AUR",
        points_name="Aurora Miles",
        url="http://127.0.0.1:8420",
    )
    shutil.copy(other.directory / "keys" / "log.seed", created.directory / "keys" / "log.seed")
    with pytest.raises(KeysMismatch), open_node(created.directory):
        pass


def test_an_empty_database_is_refused(created: Created) -> None:
    (created.directory / "empty.sqlite").touch()
    empty = f"sqlite:///{created.directory / 'empty.sqlite'}"
    with (
        pytest.raises(KeysMismatch, match="holds no ledger"),
        open_node(created.directory, settings={"database_url": empty}),
    ):
        pass
