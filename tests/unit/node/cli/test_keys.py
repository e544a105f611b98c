"""`tallystick init --encrypt` and `tallystick keys`: what an operator types, and what is on the disk then."""

import json
from pathlib import Path
from typing import Final

import pytest

from node.app import key_files
from node.app.open import open_node
from node.app.sealed_seeds import MEMORY_BYTES_MIN, Cost, PassphraseWrong
from node.services.requests import OpenAccountRequest
from protocol.identifiers import Account
from tests.support.documents import uuid
from tests.support.node_stand_in import NodeStandIn, answer
from tests.unit.node.cli.conftest import Command

NAMES: Final = ("log", "witness", "channel", "approval", "next_log")


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seal at the lowest cost: the shipped one is tested once."""
    monkeypatch.setattr(key_files, "COST", Cost(1, MEMORY_BYTES_MIN))


def passphrase(tmp_path: Path, name: str) -> str:
    path = tmp_path / name
    path.write_text(f"{name}\n")
    path.chmod(0o600)
    return str(path)


def init(tallystick: Command, directory: Path, *options: str) -> None:
    arguments = ("--program", "aurora.example", "--points", "AUR", "--points-name", "Aurora Miles", *options)
    finished = tallystick("init", str(directory), *arguments)
    assert finished.status == 0, finished.err


def encrypted(tallystick: Command, directory: Path) -> list[bool]:
    keys = json.loads(tallystick("keys", "show", str(directory), "--json").out)["keys"]
    assert [each["role"] for each in keys] == [*NAMES]
    return [each["encrypted"] for each in keys]


def test_a_node_is_made_with_sealed_keys_and_runs_on_its_passphrase(tallystick: Command, tmp_path: Path) -> None:
    directory, one = tmp_path / "aurora", passphrase(tmp_path, "one")
    init(tallystick, directory, "--encrypt", "--passphrase-file", one)
    assert encrypted(tallystick, directory) == [True] * 5
    assert not any("tallystick-seed-v1" in path.read_text() for path in directory.glob("keys/*"))
    assert tallystick("vkey", str(directory)).out.startswith("aurora.example/main.1+")
    with open_node(directory, settings={"passphrase_file": one}) as opened:
        opened.node.points.open_account(
            OpenAccountRequest(id=uuid("one"), account=Account(f"member/{uuid('ann')}"))
        ).result()
    two = passphrase(tmp_path, "two")
    with pytest.raises(PassphraseWrong), open_node(directory, settings={"passphrase_file": two}):
        pass
    finished = tallystick("serve", str(directory), "--passphrase-file", two)
    assert finished.status == 3
    assert finished.err.startswith("tallystick: passphrase_wrong: ")


def test_keys_are_encrypted_get_another_passphrase_and_are_decrypted(tallystick: Command, tmp_path: Path) -> None:
    directory, one, two = tmp_path / "aurora", passphrase(tmp_path, "one"), passphrase(tmp_path, "two")
    init(tallystick, directory)
    assert encrypted(tallystick, directory) == [False] * 5
    before = (directory / "keys" / "log.seed").read_text()
    assert tallystick("keys", "encrypt", str(directory), "--passphrase-file", one).status == 0
    assert encrypted(tallystick, directory) == [True] * 5
    both = ("--passphrase-file", one, "--new-passphrase-file", two)
    assert tallystick("keys", "passphrase", str(directory), *both).status == 0
    finished = tallystick("keys", "decrypt", str(directory), "--passphrase-file", one)
    assert (finished.status, "passphrase_wrong" in finished.err) == (3, True)
    assert tallystick("keys", "decrypt", str(directory), "--passphrase-file", two).status == 0
    assert (directory / "keys" / "log.seed").read_text() == before
    assert "approval" in tallystick("keys", "show", str(directory)).out


def test_without_a_passphrase_it_is_said_how_to_give_one(
    tallystick: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = tmp_path / "aurora"
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    init(tallystick, directory)
    finished = tallystick("keys", "encrypt", str(directory))
    assert (finished.status, "--passphrase-file" in finished.err) == (3, True)
    assert encrypted(tallystick, directory) == [False] * 5


def test_a_passphrase_that_would_protect_nothing_is_refused(tallystick: Command, tmp_path: Path) -> None:
    arguments = ("--program", "aurora.example", "--points", "AUR", "--points-name", "Aurora Miles")
    file = passphrase(tmp_path, "one")
    finished = tallystick("init", str(tmp_path / "aurora"), *arguments, "--passphrase-file", file)
    assert (finished.status, "--encrypt" in finished.err) == (2, True)
    assert not (tmp_path / "aurora").exists()


def test_a_rotation_is_prepared_and_handed_in(tallystick: Command, node: NodeStandIn, tmp_path: Path) -> None:
    directory, file = tmp_path / "aurora", tmp_path / "rotation.json"
    init(tallystick, directory)
    for _ in range(2):
        finished = tallystick("keys", "prepare", str(directory), "--out", str(file))
        assert finished.status == 0, finished.err
    written = {"id": "x", "kind": "k", "seq": 7, "leaf": "ab" * 32, "time": "t", "occurred_on": "2026-03-01"}
    node.on("POST", "/v1/ledger/log-key", answer(written, status=201))
    finished = tallystick("keys", "rotate", str(file))
    assert finished.status == 0, finished.err
    assert node.body()["rotation"] == json.loads(file.read_text())
    keys = json.loads(tallystick("keys", "show", str(directory), "--json").out)["keys"]
    assert [each["role"] for each in keys] == [*NAMES[:4], "log_1", "next_log"]


def test_an_agents_keys_are_prepared_where_they_are(tallystick: Command, tmp_path: Path) -> None:
    directory, vault = tmp_path / "aurora", tmp_path / "vault"
    init(tallystick, directory)
    vault.mkdir()
    (directory / "keys").rename(vault / "keys")
    finished = tallystick("keys", "prepare", str(directory), "--keys", str(vault))
    assert json.loads(finished.out)["statement"]["number"] == 1


def test_an_agent_needs_to_know_whose_keys_it_has(tallystick: Command, tmp_path: Path) -> None:
    arguments = ("agent", str(tmp_path), "--socket", str(tmp_path / "agent.sock"))
    assert tallystick(*arguments).status == 3
    finished = tallystick(*arguments, "--ledger", "Aurora")
    assert (finished.status, "--ledger" in finished.err) == (2, True)
    assert "key_file_invalid" in tallystick(*arguments, "--ledger", "aurora.example/main.1").err
