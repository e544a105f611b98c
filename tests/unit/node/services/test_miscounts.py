"""A partner whose close does not count what it has credited: the node keeps the file that proves it."""

from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from protocol.audit.evidence import Subject
from protocol.fields import later
from protocol.messages import Body, Close, Fulfil, Lines, Prepare
from protocol.settlement.lines import line_of, totals_of
from protocol.statement import Line
from tests.support.documents import AURORA, NETWORK, entry_reference, fulfil, uuid
from tests.support.nodes import Alliance, LocalNode
from tests.support.operator import operator_of
from tests.support.puppet import PUPPET_EPOCH, Puppet
from tests.support.settling import Settler, settler
from tests.unit.node.services.test_misconduct import check_file, ordered


def closing(node: LocalNode, order: Prepare, counted: Sequence[Line]) -> Close:
    """Return AURORA's close of window 1 over the lines that it counts."""
    return Close(
        network=NETWORK,
        sender=AURORA.ledger,
        receiver=node.ledger,
        window=1,
        totals=totals_of(counted, first_dec_seq=1),
        agreement=order.agreement,
        closed_at=later(order.created_at, seconds=1),
        early=True,
        entry=entry_reference(),
    )


def another(order: Prepare) -> Line:
    """Return the line of an order that the node never made."""
    invented = msgspec.structs.replace(order, id=uuid("invented"))
    return line_of(invented, fulfil(invented))


def shown(node: LocalNode, lines: Sequence[Line]) -> Lines:
    """Return AURORA's word on the lines behind its close."""
    return Lines(network=NETWORK, sender=AURORA.ledger, receiver=node.ledger, window=1, lines=tuple(lines))


def compare(party: Settler, puppet: Puppet, *bodies: Body) -> None:
    """Say `bodies`, and let the node's worker do what is due."""
    puppet.say(*bodies)
    for _ in range(2):
        party.node.clock.advance(10)
        party.worker.step()
        puppet.say()


@pytest.fixture
def party(node: LocalNode) -> Settler:
    return settler(node)


@pytest.fixture
def order(two: Alliance, node: LocalNode, puppet: Puppet) -> Prepare:
    return ordered(two, node, puppet)


def test_a_fulfil_that_is_left_out(party: Settler, puppet: Puppet, order: Prepare, tmp_path: Path) -> None:
    compare(party, puppet, fulfil(order), closing(party.node, order, ()))
    row = check_file(party.node, tmp_path, subject=Subject.CLOSE, kind="uncounted")
    assert (row.conversion, row.window) == (order.id, 1)
    party.node.clock.advance(10)
    party.worker.step()
    assert len(operator_of(party.node).accused()) == 1


def test_a_fulfil_in_whose_place_another_is_counted(
    party: Settler, puppet: Puppet, order: Prepare, tmp_path: Path
) -> None:
    line = another(order)
    compare(party, puppet, fulfil(order), closing(party.node, order, [line]))
    assert operator_of(party.node).accused() == []
    compare(party, puppet, shown(party.node, [line]))
    check_file(party.node, tmp_path, subject=Subject.CLOSE, kind="uncounted")


def test_a_fulfil_of_an_epoch_before_the_close_proves_nothing(party: Settler, puppet: Puppet, order: Prepare) -> None:
    puppet.say(fulfil(order))
    puppet.open(PUPPET_EPOCH + 100)
    compare(party, puppet, closing(party.node, order, ()))
    assert party.service.differences(AURORA.ledger, 1).state == "mismatch"
    assert operator_of(party.node).accused() == []


def test_a_close_that_counts_what_never_came_proves_nothing(party: Settler, puppet: Puppet, order: Prepare) -> None:
    decided = fulfil(order)
    assert isinstance(decided, Fulfil)
    compare(party, puppet, closing(party.node, order, [line_of(order, decided)]))
    assert operator_of(party.node).accused() == []
