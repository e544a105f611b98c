"""The tables of specs/keys.md against the code."""

import re
from pathlib import Path
from typing import Final

from node.app import agent, agent_rules, agent_wire, key_files, sealed_seeds, system
from node.app.agent_wire import FRAME_BYTES_MAX
from node.app.sealed_seeds import COST, MEMORY_BYTES_MAX, MEMORY_BYTES_MIN, OPERATIONS_MAX
from protocol.errors import TallystickError
from protocol.key_entries import LOG_KEYS_MAX, LogKeyStatement
from tests.support.schemas import schema

PAGE: Final = (Path(__file__).resolve().parents[3] / "specs" / "keys.md").read_text(encoding="utf-8")


def section(number: int) -> str:
    return PAGE.split(f"\n## {number}. ")[1].split("\n## ")[0]


def codes_in(*modules: object) -> set[str]:
    names = {module.__name__ for module in modules if hasattr(module, "__name__")}
    return {
        each.code
        for module in modules
        for each in vars(module).values()
        if isinstance(each, type) and issubclass(each, TallystickError) and each.__module__ in names
    }


def listed(text: str) -> set[str]:
    return set(re.findall(r"^\| `([a-z_]+)` \|", text, flags=re.MULTILINE))


def test_the_codes_of_key_files_are_listed() -> None:
    assert listed(section(5)) == codes_in(key_files, sealed_seeds, system)


def test_the_codes_of_agents_are_listed() -> None:
    assert listed(section(6)) - {"log", "witness", "channel", "approval"} == codes_in(agent, agent_wire)


def test_what_an_agent_signs_begins_as_listed() -> None:
    text = section(6)
    for beginning in (
        agent_rules.AGREEMENT,
        agent_rules.STATEMENT,
        agent_rules.INVITATION,
        agent_rules.LINK,
        agent_rules.LOG_PASS,
        agent_rules.COSIGNATURE,
    ):
        assert f"| `{beginning.decode().strip()}` LF |" in text


def test_the_statement_of_a_rotation_has_the_fields_of_its_table() -> None:
    rows = re.findall(r"^\| `([a-z_]+)` \| ([a-z0-9 ]+) \|", section(7), flags=re.MULTILINE)
    assert [name for name, _ in rows] == list(schema(LogKeyStatement))
    assert f"at most {LOG_KEYS_MAX}" in section(7)


def test_the_bounds_are_those_of_the_code() -> None:
    for number in (COST.memory_bytes, MEMORY_BYTES_MIN, MEMORY_BYTES_MAX):
        assert f"{number:,}" in section(5)
    assert f"{COST.operations} passes" in section(5)
    assert f"passes, 1 to {OPERATIONS_MAX}" in section(5)
    assert f"{FRAME_BYTES_MAX:,}" in section(6)
