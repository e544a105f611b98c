"""`tallystick doctor`, `backup`, `restore` and `copy-store`: what an operator types, reads, and gets as a status."""

import json
from pathlib import Path

import pytest

from tests.unit.node.cli.conftest import Command


@pytest.fixture
def here(tallystick: Command, tmp_path: Path) -> Path:
    directory = tmp_path / "here"
    made = tallystick(
        "init", str(directory), "--program", "aurora.example", "--points", "AUR", "--points-name", "Miles"
    )
    assert made.status == 0, made.err
    return directory


def test_the_command_says_it_in_words_and_as_json(tallystick: Command, here: Path) -> None:
    shown = tallystick("doctor", str(here), "--offline")
    assert shown.status == 0, shown.err
    assert "tallystick keys encrypt" in shown.out
    (here / "ledger.sqlite").unlink()
    (here / "ledger.sqlite").mkdir()
    told = tallystick("doctor", str(here), "--offline", "--json")
    assert told.status == 1
    assert {each["name"]: each["health"] for each in json.loads(told.out)["checks"]}["database"] == "bad"
    assert tallystick("doctor", str(here.parent / "none")).status == 3


def test_a_node_is_backed_up_restored_and_moved(tallystick: Command, here: Path, tmp_path: Path) -> None:
    backup = tmp_path / "backup"
    said = tallystick("backup", str(here), str(backup))
    assert said.status == 0, said.err
    assert "The keys are not in it" in said.out
    assert "The tokens are not in it" in said.out
    assert not list(backup.rglob("*.token"))
    assert tallystick("backup", str(here), str(backup)).status == 3
    missing = tallystick("restore", str(backup), str(tmp_path / "again"))
    assert missing.status == 3
    assert "--keys" in missing.err
    done = tallystick("restore", str(backup), str(tmp_path / "again"), "--keys", str(here / "keys"), "--json")
    assert done.status == 0, done.err
    assert json.loads(done.out)["size"] == 1
    place = f"sqlite:///{tmp_path / 'moved.sqlite'}"
    moved = tallystick("copy-store", str(tmp_path / "again"), place)
    assert moved.status == 0, moved.err
    assert "entries: 1" in moved.out
    assert json.loads(tallystick("copy-store", str(tmp_path / "again"), place, "--json").out)["size"] == 1
    assert place in (tmp_path / "again" / "node.toml").read_text()
    shown = tallystick("restore", str(backup), str(tmp_path / "third"), "--keys", str(here / "keys"))
    assert f"tallystick serve {tmp_path / 'third'}" in shown.out
    whole = tallystick("backup", str(here), str(tmp_path / "whole"), "--with-keys").out
    assert "keys are not in it" not in whole
    assert "The tokens are not in it" in whole


def test_a_node_whose_keys_are_encrypted_is_restored_without_a_terminal(
    tallystick: Command, here: Path, tmp_path: Path
) -> None:
    passphrase = tmp_path / "passphrase"
    passphrase.touch(0o600)
    passphrase.write_text("correct horse battery\n")
    named = ["--passphrase-file", str(passphrase)]
    assert tallystick("keys", "encrypt", str(here), *named).status == 0
    assert tallystick("backup", str(here), str(tmp_path / "backup"), "--with-keys").status == 0
    restore = ["restore", str(tmp_path / "backup"), str(tmp_path / "again")]
    refused = tallystick(*restore)
    assert (refused.status, "--passphrase-file" in refused.err) == (3, True)
    done = tallystick(*restore, *named)
    assert done.status == 0, done.err
    assert 'passphrase_file = ""' in (tmp_path / "again" / "node.toml").read_text()
