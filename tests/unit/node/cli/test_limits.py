"""`tallystick partner limits`: what is open with each partner, and how much of the cap that is."""

import json

from tests.support.documents import BLUEBIRD
from tests.support.node_stand_in import NodeStandIn, answer
from tests.unit.node.cli.conftest import Command

OUT = {"direction": "out", "currency": "USD", "open": "7500003", "cap": 10_000_000, "undecided": 3}
IN = {"direction": "in", "currency": "USD", "open": "0", "cap": None, "undecided": 0}
PARTNERS = {"partners": [{"ledger": BLUEBIRD.ledger, "points": "BLU", "exposure": [OUT, IN]}]}


def test_limits_are_shown_beside_what_is_open(tallystick: Command, node: NodeStandIn) -> None:
    node.on("GET", "/v1/partners", answer(PARTNERS))
    done = tallystick("partner", "limits")
    assert done.status == 0
    out, into = (line.split() for line in done.out.splitlines()[1:])
    assert out == [BLUEBIRD.ledger, "out", "7.500003", "USD", "10.00", "USD", "75", "%", "3"]
    assert into == [BLUEBIRD.ledger, "in", "0.00", "USD", "–", "–", "0"]


def test_limits_as_json_are_the_nodes_own_answer(tallystick: Command, node: NodeStandIn) -> None:
    node.on("GET", "/v1/partners", answer(PARTNERS))
    assert json.loads(tallystick("partner", "limits", "--json").out) == PARTNERS
