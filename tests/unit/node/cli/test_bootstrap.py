"""`tallystick credential bootstrap`: a key of an administrator for whoever has the directory of a node."""

import json
from pathlib import Path

import pytest

from node.app.directory import token_path
from node.app.open import open_node
from node.client import read_token
from node.services.access.credentials import CallerRole, Scope
from tests.unit.node.cli.conftest import Command

ADDRESS = "127.0.0.1"


@pytest.fixture
def here(tallystick: Command, tmp_path: Path, database_url: str) -> Path:
    directory = tmp_path / "here"
    named = ("--program", "aurora.example", "--points", "AUR", "--points-name", "Miles")
    made = tallystick("init", str(directory), *named, "--database-url", database_url)
    assert made.status == 0, made.err
    token_path(directory, CallerRole.ADMINISTRATOR).unlink()
    return directory


def test_whoever_has_the_directory_makes_an_administrator(tallystick: Command, here: Path, tmp_path: Path) -> None:
    out = tmp_path / "kim.token"
    said = tallystick("credential", "bootstrap", str(here), "Kim, operations", "--out", str(out))
    assert said.status == 0, said.err
    token = read_token(out)
    assert (token in said.out, out.stat().st_mode & 0o777) == (False, 0o600)
    shown = json.loads(tallystick("credential", "bootstrap", str(here), "Lee", "--json").out)
    with open_node(here) as opened:
        for each in (token, shown["token"]):
            caller = opened.node.callers.recognise(each, address=ADDRESS)
            assert caller.role is CallerRole.ADMINISTRATOR
            caller.require(Scope.CREDENTIALS)
        listed = [(row.name, row.role) for row in opened.node.credentials.all().credentials]
    assert listed[-2:] == [("Kim, operations", "administrator"), ("Lee", "administrator")]


def test_a_node_that_runs_is_asked_itself(tallystick: Command, here: Path) -> None:
    with open_node(here) as opened:
        refused = tallystick("credential", "bootstrap", str(here), "Kim")
        assert refused.status == 3
        assert "store_busy" in refused.err
        assert len(opened.node.credentials.all().credentials) == 3


def test_nothing_is_made_that_could_not_be_given(tallystick: Command, here: Path, tmp_path: Path) -> None:
    nowhere = str(tmp_path / "none" / "token")
    assert tallystick("credential", "bootstrap", str(here), "Kim", "--out", nowhere).status == 3
    for name in ("", "two\nlines", "x" * 129, "\udc80"):
        assert tallystick("credential", "bootstrap", str(here), name).status == 2
    assert tallystick("credential", "bootstrap", str(tmp_path / "empty"), "Kim").status == 3
    with open_node(here) as opened:
        assert len(opened.node.credentials.all().credentials) == 3
