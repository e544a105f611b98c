"""A clock that has jumped is looked at by a person, also where the node starts again or another process writes on."""

from pathlib import Path

import pytest

from node.app.at_work import at_work
from node.app.open import PortOverrides, open_node
from node.services.context import Ping
from node.services.node import Node
from protocol.errors import Code, Refusal
from tests.support.api import NoTransport, api_of, meet
from tests.support.keyrings import SeededRandomness


def refuse(node: Node) -> None:
    with pytest.raises(Refusal) as caught:
        node.submit(Ping()).result()
    assert caught.value.code == Code.CLOCK


def test_a_jump_waits_for_its_confirmation_through_every_start(tmp_path: Path) -> None:
    directory = tmp_path / "aurora"
    with api_of(directory) as api:
        meet(api)
        clock = api.clock
        clock.jump(366 * 86_400)
        refuse(api.node)
    ports = PortOverrides(clock=clock, randomness=SeededRandomness("again"), transport=NoTransport())
    for _ in range(2):
        with open_node(directory, ports=ports) as opened, at_work(opened):
            assert opened.node.checks()["clock"] is False
            refuse(opened.node)
    with open_node(directory, ports=ports) as opened, at_work(opened):
        found = opened.node.confirm_clock()
        assert (found["clock"], found["writer"]) == (True, True)
    with open_node(directory, ports=ports) as opened, at_work(opened):
        opened.node.submit(Ping()).result()
