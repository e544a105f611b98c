"""`tallystick start` and `standing`: who is waited for after a start, and who is gone on without."""

from tests.support.node_stand_in import NodeStandIn, answer
from tests.unit.node.cli.conftest import Command

WRITTEN = {"id": "0", "kind": "start_overridden", "seq": 7, "leaf": "0", "time": "", "occurred_on": ""}


def test_an_operator_goes_on_without_a_witness(tallystick: Command, node: NodeStandIn) -> None:
    node.on("POST", "/v1/ledger/start", answer(WRITTEN, status=201))
    done = tallystick("start", "--witness", "w1.example", "--witness", "w2.example", "--reason", "witness_gone")
    assert done.status == 0, done.err
    sent = node.body()
    assert (sent["witnesses"], sent["without"]) == (["w1.example", "w2.example"], [])
    assert sent["reason"] == "witness_gone"


def test_a_silent_witness_is_named(tallystick: Command, node: NodeStandIn) -> None:
    told = {
        "ledger": "a.example/main.1",
        "log": "a.example/main.1",
        "first_seq": 0,
        "size": 3,
        "condition": "starting",
        "reason": "witnesses have not answered yet: w1.example",
        "waiting": [],
        "waiting_witnesses": ["w1.example"],
        "partners": [],
    }
    node.on("GET", "/v1/ledger/standing", answer(told))
    shown = tallystick("standing")
    assert shown.status == 0
    assert "starting: witnesses have not answered yet: w1.example" in shown.out
