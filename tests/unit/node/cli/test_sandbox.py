"""`tallystick sandbox`: its table, and what it needs to be told."""

from pathlib import Path

import pytest

from node.app.sandbox import guide
from node.app.sandbox_script import SCRIPT
from node.cli.main import run


def test_the_table_shows_every_row(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["sandbox", "--table"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + len(SCRIPT) + 1
    for row, line in zip(SCRIPT, lines[1:], strict=False):
        assert line.startswith(f"..{row.ending:02d}")
        assert row.leads_to in line


def test_a_directory_is_needed() -> None:
    assert run(["sandbox"]) == 2


def test_the_guide_names_the_directory_and_the_address() -> None:
    said = guide(Path("there"), "http://127.0.0.1:8490")
    assert "--node http://127.0.0.1:8490 --token-file there/tokens/operator.token" in said
    assert "there/links/" in said
