"""A node whose keys an agent holds: it writes without them, waits, and is told when its store is an old copy."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from node.app import agent_client
from node.app.directory import Created, create_node_directory
from node.app.open import KeysMismatch, OpenedNode, open_node, public_key_of
from node.app.recover import recover_directory
from node.app.system import SeedKeyring
from node.config import load_config
from node.ports import SignerUnavailable
from node.services.logs.package import export
from node.services.requests import OpenAccountRequest
from protocol.errors import Code, CouldNotCheck, Refusal
from protocol.identifiers import Account
from protocol.keys import Role
from tests.support.agents import keyring_of, serving, serving_keys_of
from tests.support.documents import AURORA, BLUEBIRD, uuid


@pytest.fixture
def created(tmp_path: Path) -> Created:
    return create_node_directory(
        tmp_path / "aurora",
        ledger=AURORA.ledger,
        points="AUR",
        points_name="Aurora Miles",
        url="http://127.0.0.1:8420",
        settings={"agent": "agent.sock"},
    )


@contextmanager
def opened_with(created: Created, vault: Path) -> Iterator[tuple[OpenedNode, SeedKeyring]]:
    """Lend the node without its keys, which an agent over `vault` holds."""
    with serving_keys_of(created, vault) as keyring, open_node(created.directory) as opened:
        yield opened, keyring


def open_account(opened: OpenedNode, name: str) -> None:
    request = OpenAccountRequest(id=uuid(f"open {name}"), account=Account(f"member/{uuid(name)}"))
    opened.node.points.open_account(request).result(20)


class TestNode:
    def test_a_node_without_keys_writes_invites_and_names_its_keys(self, created: Created, tmp_path: Path) -> None:
        with opened_with(created, tmp_path / "vault") as (opened, keyring):
            open_account(opened, "ann")
            assert opened.node.partners.invitation(None)
            config = load_config(created.directory)
            assert public_key_of(created.directory, config, Role.WITNESS) == keyring.key(Role.WITNESS).public
            newest = opened.node.log.newest()
            assert newest.size == 2
        with opened_with(created, tmp_path / "vault") as (opened, _):
            assert opened.ports.keyring.last_committed() == newest.note
            open_account(opened, "bob")

    def test_while_the_agent_is_away_nothing_is_written_and_nothing_lost(
        self, created: Created, tmp_path: Path
    ) -> None:
        vault = tmp_path / "vault"
        with ExitStack() as stack:
            agent = stack.enter_context(ExitStack())
            agent.enter_context(serving_keys_of(created, vault))
            opened = stack.enter_context(open_node(created.directory))
            open_account(opened, "ann")
            agent.close()
            for _ in range(2):
                with pytest.raises(SignerUnavailable):
                    open_account(opened, "bob")
            assert opened.node.reader.entry(2) is None
            with serving_keys_of(created, vault):
                open_account(opened, "bob")
                open_account(opened, "ann")
                assert opened.node.log.newest().size == 3

    def test_an_older_copy_of_the_store_is_found_out_by_the_agent(self, created: Created, tmp_path: Path) -> None:
        store, state = created.directory / "ledger.sqlite", created.directory / "state.json"
        old = (store.read_bytes(), state.read_bytes())
        with opened_with(created, tmp_path / "vault") as (opened, _):
            open_account(opened, "ann")
        store.write_bytes(old[0])
        state.write_bytes(old[1])
        with opened_with(created, tmp_path / "vault") as (opened, _):
            assert (opened.node.gate.behind or "").startswith("the agent has seen 2 entries")
            with pytest.raises(Refusal) as refused:
                open_account(opened, "ann")
            assert refused.value.code == Code.STORE_BEHIND

    def test_a_tail_that_ends_before_what_the_agent_has_seen_is_not_brought_back(
        self, created: Created, tmp_path: Path
    ) -> None:
        store, state = created.directory / "ledger.sqlite", created.directory / "state.json"
        old, packages = store.read_bytes(), (tmp_path / "short", tmp_path / "whole")
        with opened_with(created, tmp_path / "vault") as (opened, _):
            for name, package in zip(("ann", "bob"), packages, strict=True):
                open_account(opened, name)
                export(opened.node.reader, package)
        store.write_bytes(old)
        state.unlink()
        with serving_keys_of(created, tmp_path / "vault"):
            with pytest.raises(CouldNotCheck, match="has signed 3 entries"):
                recover_directory(created.directory, packages[0])
            assert not state.exists()
            assert recover_directory(created.directory, packages[1]).entries == 2
        with opened_with(created, tmp_path / "vault") as (opened, _):
            assert opened.node.gate.behind is None

    def test_an_agent_with_other_keys_is_not_the_nodes(self, created: Created, tmp_path: Path) -> None:
        (created.directory / "keys").rename(tmp_path / "gone")
        with serving(created.directory, keyring_of(BLUEBIRD)), pytest.raises(KeysMismatch):
            ExitStack().enter_context(open_node(created.directory))

    def test_without_an_agent_the_node_does_not_start(self, created: Created, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(agent_client, "START_SECONDS", 0.1)
        with pytest.raises(SignerUnavailable), open_node(created.directory):
            pass
