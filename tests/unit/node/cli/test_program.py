"""`tallystick program show` and `set`."""

import json
from pathlib import Path

from tests.support.node_stand_in import NodeStandIn, answer
from tests.unit.node.cli.conftest import Command

STATE = {"terms": {"time_zone": "UTC", "offsets": [], "pending_days": 3}, "entered_seq": None, "today": "2026-03-01"}


def test_the_terms_are_shown(tallystick: Command, node: NodeStandIn, tmp_path: Path) -> None:
    node.on("GET", "/v1/program", answer(STATE))
    shown = tallystick("program", "show")
    assert shown.status == 0, shown.err
    assert "as every program begins" in shown.out
    assert "2026-03-01 (UTC)" in shown.out
    assert '"pending_days": 3' in shown.out
    file = tmp_path / "terms.json"
    assert tallystick("program", "show", "--out", str(file)).status == 0
    assert json.loads(file.read_text()) == {"time_zone": "UTC", "pending_days": 3}
    assert json.loads(tallystick("program", "show", "--json").out) == STATE


def test_the_terms_name_the_entry_that_set_them(tallystick: Command, node: NodeStandIn) -> None:
    node.on("GET", "/v1/program", answer({**STATE, "entered_seq": 7}))
    assert "set by entry 7" in tallystick("program", "show").out


def test_the_terms_of_a_file_are_set(tallystick: Command, node: NodeStandIn, tmp_path: Path) -> None:
    file = tmp_path / "terms.json"
    file.write_text('{"pending_days": 14}')
    written = {"id": "x", "kind": "program_set", "seq": 7, "leaf": "ab" * 32, "time": "t", "occurred_on": "2026-03-01"}
    node.on("PUT", "/v1/program", answer(written))
    finished = tallystick("program", "set", str(file), "--reason", "opening")
    assert finished.status == 0, finished.err
    assert "entry 7" in finished.out
    assert node.body()["terms"] == {"pending_days": 14}
    assert node.body()["reason"] == "opening"
