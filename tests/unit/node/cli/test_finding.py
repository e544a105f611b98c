"""A command line imports its own command alone, and the table of commands is whole."""

import subprocess
import sys
from importlib.metadata import version

import pytest

from node.cli.commands import COMMANDS
from tests.unit.node.cli.conftest import Command

SERVING = """
import sys
from node.cli.main import run
assert run(["serve", "--help"]) == 0
import node.app.serve
print(*sys.modules)
"""


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_found_by_its_name(tallystick: Command, name: str) -> None:
    done = tallystick(name, "--help")
    assert done.status == 0
    assert done.out.split()[:3] == ["Usage:", "tallystick", name]


def test_the_help_names_every_command(tallystick: Command) -> None:
    lines = tallystick("--help").out.partition("Commands:")[2].partition("\n\n")[0].splitlines()
    assert {line.split()[0] for line in lines if line.startswith("  ") and line[2] != " "} == set(COMMANDS)


@pytest.mark.parametrize("words", [["--help"], *([name, "--help"] for name in ("account", "keys", "approval"))])
def test_a_list_of_commands_cuts_no_sentence(tallystick: Command, words: list[str]) -> None:
    assert "..." not in tallystick(*words).out.partition("Commands:")[2]


def test_the_version_is_that_of_the_package(tallystick: Command) -> None:
    done = tallystick("--version")
    assert (done.status, done.out) == (0, f"tallystick {version('tallystick')}\n")


@pytest.mark.parametrize("words", [["serv"], ["--json", "serve"]])
def test_what_is_no_command_is_a_wrong_command_line(tallystick: Command, words: list[str]) -> None:
    done = tallystick(*words)
    assert done.status == 2
    assert "No such" in done.err


def test_a_node_starts_without_what_it_does_not_need() -> None:
    done = subprocess.run([sys.executable, "-c", SERVING], capture_output=True, check=True, text=True, timeout=300)
    loaded = set(done.stdout.splitlines()[-1].split())
    assert "node.cli.directory" in loaded
    assert not loaded & {
        "alembic",
        "node.cli.audit",
        "node.cli.account",
        "node.services.audits.auditing",
        "protocol.audit.replay",
    }
