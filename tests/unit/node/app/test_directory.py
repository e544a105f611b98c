"""A node's directory: private, complete, made once; a making that was interrupted anywhere can be repeated."""

import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from node.app import directory
from node.app.directory import FIRST_ROLES, Created, DirectoryInvalid, create_node_directory
from node.app.genesis import DatabaseTaken
from node.app.key_files import KeyFileInvalid, public_key, read_keyring
from node.app.open import open_node
from node.app.sealed_seeds import AskPassphrase
from node.config import ConfigInvalid, load_config
from node.store.database import Database
from node.store.writer import StoreWriter
from protocol.checkpoint import open_checkpoint
from protocol.entries import Genesis, decode_entry
from protocol.keys import Role
from protocol.note import parse_vkey

STEPS: Final = 12
"""Renames and commits of one making: `init.toml`, five keys, three tokens, genesis, the state file, `node.toml`."""


def create(
    directory: Path,
    *,
    ledger: str = "aurora.example/main.1",
    database_url: str = "",
    passphrase: AskPassphrase | None = None,
) -> Created:
    return create_node_directory(
        directory,
        ledger=ledger,
        points="AUR",
        points_name="Aurora Miles",
        url="http://127.0.0.1:8420",
        currencies=("USD",),
        settings={"database_url": database_url},
        passphrase=passphrase,
    )


class Interrupted(BaseException):
    """The machine stops."""


def works(created: Created) -> None:
    with open_node(created.directory) as opened:
        node = opened.node
        for role in FIRST_ROLES:
            caller = node.credentials.recognise(created.tokens[role].read_text().strip())
            assert caller.role is role
        genesis = decode_entry(node.reader.entry(0) or b"")
        assert isinstance(genesis, Genesis)
        assert [item.key for item in genesis.keys] == [public_key(created.directory, role).text for role in Role]
        assert node.reader.entry(1) is None
        assert open_checkpoint(node.log.checkpoint(), [parse_vkey(created.vkey)]).size == 1


def test_a_new_directory_is_complete_and_private(tmp_path: Path, database_url: str) -> None:
    created = create(tmp_path / "above" / "aurora", database_url=database_url)
    works(created)
    names = {path.relative_to(created.directory).as_posix() for path in created.directory.rglob("*")}
    assert {f"keys/{role}.seed" for role in (*Role, "next_log")} <= names
    assert {"tokens/operator.token", "tokens/backend.token", "tokens/auditor.token"} <= names
    assert {"node.toml", "state.json"} <= names
    assert not {name for name in names if name.endswith((".new", "init.toml"))}
    for path in (created.directory, *created.directory.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    assert load_config(created.directory) == created.config


def test_nothing_is_made_where_something_is(tmp_path: Path) -> None:
    create(tmp_path / "aurora")
    with pytest.raises(DirectoryInvalid, match="is a node directory already"):
        create(tmp_path / "aurora")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").write_text("precious")
    with pytest.raises(DirectoryInvalid, match="is not empty"):
        create(tmp_path / "other")
    (tmp_path / "file").write_text("precious")
    with pytest.raises(DirectoryInvalid):
        create(tmp_path / "file")
    with pytest.raises(ConfigInvalid, match="ledger"):
        create(tmp_path / "bad", ledger="Aurora")
    assert not (tmp_path / "bad").exists()


def interrupt(monkeypatch: pytest.MonkeyPatch, *, at: int, done: bool) -> None:
    """Stop the machine at the step `at`, once it is done or before."""
    steps = iter(range(STEPS + 1))

    def stopping(original: Callable[..., object]) -> Callable[..., object]:
        def step(*arguments: object) -> object:
            stops = next(steps) == at
            if stops and not done:
                raise Interrupted
            result = original(*arguments)
            if stops:
                raise Interrupted
            return result

        return step

    monkeypatch.setattr(Path, "replace", stopping(Path.replace))
    monkeypatch.setattr(StoreWriter, "commit", stopping(StoreWriter.commit))


@pytest.mark.parametrize("done", [False, True])
@pytest.mark.parametrize("at", range(STEPS))
def test_an_interrupted_making_is_taken_up_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int, done: bool
) -> None:
    directory = tmp_path / "aurora"
    with monkeypatch.context() as patched:
        interrupt(patched, at=at, done=done)
        with pytest.raises(Interrupted):
            create(directory)
    keys = {path.name: path.read_text() for path in directory.glob("keys/*.seed")}
    if at == STEPS - 1 and done:
        with pytest.raises(DirectoryInvalid, match="already"):
            create(directory)
        return
    if (directory / "init.toml").exists():
        with pytest.raises(DirectoryInvalid, match="with other values was interrupted"):
            create(directory, ledger="bluebird.example/main.1")
    created = create(directory)
    works(created)
    assert keys.items() <= {path.name: path.read_text() for path in directory.glob("keys/*.seed")}.items()


def test_no_step_was_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        interrupt(patched, at=STEPS, done=False)
        create(tmp_path / "aurora")


def test_a_database_is_not_taken_over(tmp_path: Path, database_url: str) -> None:
    create(tmp_path / "first", database_url=database_url)
    with pytest.raises(DatabaseTaken, match="holds the ledger aurora"):
        create(tmp_path / "second", database_url=database_url)
    with Database.open(database_url) as database:
        assert database.reader().entry(1) is None


def test_a_network_is_drawn_unless_it_is_given(tmp_path: Path) -> None:
    first, second = create(tmp_path / "first"), create(tmp_path / "second")
    networks = []
    for created in (first, second):
        with open_node(created.directory) as opened:
            networks.append(str(opened.node.partners.invitation(None)["introduction"]))
    assert networks[0] != networks[1]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda path: path.unlink(), "cannot be read"),
        (lambda path: path.chmod(0o644), "can be read by others"),
        (lambda path: path.write_text("tallystick-seed-v1:x"), "a seed is"),
        (lambda path: path.write_bytes(b"\xff"), "cannot be read"),
    ],
)
def test_a_key_file_that_cannot_be_used_is_said(tmp_path: Path, change: Callable[[Path], object], said: str) -> None:
    created = create(tmp_path / "aurora")
    change(created.directory / "keys" / "log.seed")
    with pytest.raises(KeyFileInvalid, match=said):
        read_keyring(created.directory)


def test_two_at_once_make_one_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_keys, second = directory._make_keys, tmp_path / "aurora"

    def meanwhile(*arguments: object) -> None:
        with pytest.raises(DirectoryInvalid, match="another init is at work"):
            create(second)
        make_keys(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(directory, "_make_keys", meanwhile)
    works(create(second))
    assert not (second / "init.lock").exists()


def test_a_relative_database_is_found_from_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    created = create(tmp_path / "aurora", database_url="sqlite:///beside.sqlite")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    works(created)


def test_the_store_lies_in_its_directory_whatever_that_is_called(tmp_path: Path) -> None:
    works(create(tmp_path / "a?b"))
    assert [path.name for path in tmp_path.iterdir()] == ["a?b"]


def test_keys_in_clear_are_not_taken_for_sealed_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = directory._make_tokens

    def interrupted(*_arguments: object) -> None:
        raise Interrupted

    monkeypatch.setattr(directory, "_make_tokens", interrupted)
    with pytest.raises(Interrupted):
        create(tmp_path / "aurora")
    monkeypatch.setattr(directory, "_make_tokens", made)
    with pytest.raises(DirectoryInvalid, match="without a passphrase"):
        create(tmp_path / "aurora", passphrase=lambda: b"one")
    works(create(tmp_path / "aurora"))
