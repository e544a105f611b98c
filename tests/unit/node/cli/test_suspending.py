"""`tallystick partner suspend`, `resume` and `log-key`."""

from pathlib import Path

import pytest

from tests.support.node_stand_in import NodeStandIn, answer
from tests.unit.node.cli.conftest import Command


@pytest.mark.parametrize(
    ("verb", "path", "said"),
    [
        ("suspend", "/v1/partners/suspensions", ("key_stolen", "nothing new begins")),
        ("resume", "/v1/partners/resumptions", ("keys_checked", "a partner as before")),
    ],
)
def test_a_partner_is_suspended_and_taken_back(
    tallystick: Command, node: NodeStandIn, *, verb: str, path: str, said: tuple[str, str]
) -> None:
    written = {"id": "x", "kind": "k", "seq": 7, "leaf": "ab" * 32, "time": "t", "occurred_on": "2026-03-01"}
    node.on("POST", path, answer(written, status=201))
    finished = tallystick("partner", verb, "bluebird.example")
    assert finished.status == 0, finished.err
    assert said[1] in finished.out
    assert node.body()["partner"] == "bluebird.example/main.1"
    assert node.body()["reason"] == said[0]


def test_the_list_says_who_is_suspended(tallystick: Command, node: NodeStandIn) -> None:
    row = {"ledger": "bluebird.example/main.1", "points": "BLU", "channel": "ready", "suspended": True}
    node.on("GET", "/v1/partners", answer({"partners": [row]}))
    assert "suspended" in tallystick("partner", "list").out


def test_a_partners_new_log_key_is_handed_in(tallystick: Command, node: NodeStandIn, tmp_path: Path) -> None:
    file = tmp_path / "rotation.json"
    file.write_text('{"statement": {"number": 1}}')
    written = {"id": "x", "kind": "k", "seq": 7, "leaf": "ab" * 32, "time": "t", "occurred_on": "2026-03-01"}
    node.on("POST", "/v1/partners/log-keys", answer(written, status=201))
    finished = tallystick("partner", "log-key", "bluebird.example", str(file))
    assert finished.status == 0, finished.err
    assert node.body() == {"partner": "bluebird.example/main.1", "rotation": {"statement": {"number": 1}}}


def test_a_log_key_that_cannot_be_taken_now_is_refused_in_plain_words(
    tallystick: Command, node: NodeStandIn, tmp_path: Path
) -> None:
    file = tmp_path / "rotation.json"
    file.write_text('{"statement": {"number": 1}}')
    node.on("POST", "/v1/partners/log-keys", answer({}, status=503))
    finished = tallystick("partner", "log-key", "bluebird.example", str(file))
    assert (finished.status, "node_unreachable" in finished.err) == (3, True), finished.err
