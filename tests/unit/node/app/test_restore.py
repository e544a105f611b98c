"""A node out of a backup where keys, passphrase, agent or state file are elsewhere, or those of another ledger."""

from pathlib import Path

import pytest

from node.app.backup import BackupInvalid, backup_directory, restore_directory
from node.app.directory import Created, create_node_directory
from node.app.key_files import PassphraseMissing, seal_keys
from node.app.moving import move_store
from node.app.open import KeysMismatch, StateFileForeign, open_node
from node.app.system import SystemRandomness
from node.config import load_config
from node.services.requests import OpenAccountRequest
from node.store.database import Database
from protocol.identifiers import Account
from tests.support.agents import serving_keys_of
from tests.support.documents import uuid


@pytest.fixture
def created(tmp_path: Path) -> Created:
    return create_node_directory(
        tmp_path / "aurora", ledger="aurora.example/main.1", points="AUR", points_name="Aurora Miles", url=""
    )


def open_account(directory: Path) -> int:
    """Open an account at a node and return how many entries its log has then."""
    with open_node(directory) as opened:
        request = OpenAccountRequest(id=uuid("open"), account=Account(f"member/{uuid('ann')}"))
        opened.node.points.open_account(request).result(20)
        return opened.node.log.newest().size


def silent(_table: str, _rows: int) -> None:
    pass


@pytest.mark.parametrize("amiss", ["keys", "state"])
def test_a_restore_that_is_refused_leaves_nothing_in_the_database_either(
    created: Created, tmp_path: Path, database_url: str, amiss: str
) -> None:
    stranger = create_node_directory(
        tmp_path / "stranger", ledger="bluebird.example/main.1", points="BLU", points_name="Blue", url=""
    )
    backup_directory(created.directory, tmp_path / "backup", with_keys=True, told=silent)
    keys = stranger.directory / "keys" if amiss == "keys" else None
    state = stranger.directory / "state.json" if amiss == "state" else None
    with pytest.raises(KeysMismatch if amiss == "keys" else StateFileForeign):
        restore_directory(
            tmp_path / "backup", tmp_path / "again", keys=keys, state=state, url=database_url, told=silent
        )
    assert not (tmp_path / "again").exists()
    with Database.open(database_url) as database:
        database.migrate()
        assert database.reader().latest_checkpoint() is None


def test_sealed_keys_are_opened_by_a_passphrase_that_the_backup_does_not_hold(created: Created, tmp_path: Path) -> None:
    (tmp_path / "passphrase").write_text("correct horse\n")
    (tmp_path / "passphrase").chmod(0o600)
    file = created.directory / "node.toml"
    file.write_text(file.read_text().replace('passphrase_file = ""', 'passphrase_file = "passphrase"'))
    seal_keys(created.directory, passphrase=lambda: b"", new=lambda: b"correct horse", randomness=SystemRandomness())
    backup_directory(created.directory, tmp_path / "backup", with_keys=True, told=silent)
    with pytest.raises(PassphraseMissing):
        restore_directory(tmp_path / "backup", tmp_path / "again", keys=None, state=None, url=None, told=silent)
    assert not (tmp_path / "again").exists()
    restore_directory(
        tmp_path / "backup",
        tmp_path / "again",
        keys=None,
        state=None,
        url=None,
        told=silent,
        passphrase_file=tmp_path / "passphrase",
    )
    assert load_config(tmp_path / "again").passphrase_file == "passphrase"


def test_an_agent_that_listened_in_the_lost_directory_may_listen_elsewhere(created: Created, tmp_path: Path) -> None:
    file = created.directory / "node.toml"
    file.write_text(file.read_text().replace('agent = ""', 'agent = "agent.sock"'))
    vault = tmp_path / "vault"
    with serving_keys_of(created, vault):
        backup_directory(created.directory, tmp_path / "backup", with_keys=False, told=silent)
        with pytest.raises(BackupInvalid, match="--agent"):
            restore_directory(tmp_path / "backup", tmp_path / "again", keys=None, state=None, url=None, told=silent)
        restore_directory(
            tmp_path / "backup",
            tmp_path / "again",
            keys=None,
            state=None,
            url=None,
            told=silent,
            agent=created.directory / "agent.sock",
        )
        assert open_account(tmp_path / "again") == 2


def test_what_the_environment_says_is_written_nowhere(
    created: Created, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = (created.directory / "node.toml").read_text()
    monkeypatch.setenv("TALLYSTICK_OIDC_JWKS", "https://name:secret@keys.example/jwks")
    monkeypatch.setenv("TALLYSTICK_OIDC_ISSUER", "https://keys.example")
    monkeypatch.setenv("TALLYSTICK_OIDC_AUDIENCE", "aurora")
    monkeypatch.setenv("TALLYSTICK_PORT", "9999")
    backup_directory(created.directory, tmp_path / "backup", with_keys=True, told=silent)
    restore_directory(tmp_path / "backup", tmp_path / "again", keys=None, state=None, url=None, told=silent)
    moved = f"sqlite:///{tmp_path / 'moved.sqlite'}"
    move_store(tmp_path / "again", moved, told=silent)
    assert (tmp_path / "backup" / "node.toml").read_text() == written
    assert (tmp_path / "again" / "node.toml").read_text() == written.replace(
        'database_url = ""', f'database_url = "{moved}"'
    )
