"""The gate before the log: who keeps it closed, until when, and what goes through all the same."""

import pytest

from node.engine.gate import Gate
from protocol.checkpoint import Checkpoint
from protocol.errors import Code, Refusal
from protocol.ledger import commands, names
from protocol.merkle import Hash
from tests.support.documents import AURORA, BLUEBIRD, COPPER, uuid
from tests.support.ledger import genesis_of, holder

WRITES = commands.IssuePoints(id=uuid("issue"), account=holder("ann"), amount=1)
ENDS = commands.EndRecovery(
    id=names.recovery_ended_id(AURORA.ledger, BLUEBIRD.ledger), partner=BLUEBIRD.ledger, words=1
)


def override(*partners: str) -> commands.OverrideStart:
    chosen = tuple(side.ledger for side in (BLUEBIRD, COPPER) if side.ledger in partners)
    return commands.OverrideStart(id=uuid("start"), partners=chosen, reason="partner_gone")


def checkpoint(size: int, *, generation: int = 1) -> Checkpoint:
    return Checkpoint(origin=f"{AURORA.ledger[:-1]}{generation}", size=size, root=Hash(bytes(32)))


def code_of(gate: Gate, command: commands.AnyCommand) -> str:
    with pytest.raises(Refusal) as refused:
        gate.check(command)
    return refused.value.code


@pytest.fixture
def gate() -> Gate:
    return Gate()


class TestStart:
    def test_it_is_open_where_nobody_is_waited_for(self, gate: Gate) -> None:
        assert (gate.is_open, gate.waiting, gate.behind) == (True, frozenset(), None)
        gate.check(WRITES)
        gate.close([])
        gate.check(WRITES)

    def test_it_opens_when_all_have_answered(self, gate: Gate) -> None:
        gate.close([BLUEBIRD.ledger, COPPER.ledger])
        assert code_of(gate, WRITES) == Code.START_UNANSWERED
        gate.answered(BLUEBIRD.ledger)
        gate.answered(BLUEBIRD.ledger)
        assert code_of(gate, WRITES) == Code.START_UNANSWERED
        gate.answered(COPPER.ledger)
        assert gate.is_open
        gate.check(WRITES)

    def test_only_the_entry_that_goes_on_without_all_others_goes_through(self, gate: Gate) -> None:
        gate.close([BLUEBIRD.ledger, COPPER.ledger])
        assert code_of(gate, override(BLUEBIRD.ledger)) == Code.START_UNANSWERED
        gate.check(override(BLUEBIRD.ledger, COPPER.ledger))
        assert code_of(gate, ENDS) == Code.START_UNANSWERED


class TestBehind:
    def test_what_a_succession_consists_of_goes_through(self, gate: Gate) -> None:
        gate.found_behind("a partner has seen more")
        gate.check(genesis_of(AURORA))
        gate.check(ENDS)

    @pytest.mark.parametrize("command", [WRITES, override(BLUEBIRD.ledger)])
    def test_nothing_else_does(self, gate: Gate, command: commands.AnyCommand) -> None:
        gate.found_behind("a partner has seen more")
        assert code_of(gate, command) == Code.STORE_BEHIND

    def test_nobody_else_who_is_waited_for_matters_then(self, gate: Gate) -> None:
        gate.close([BLUEBIRD.ledger])
        gate.found_behind("a partner has seen more")
        gate.check(ENDS)
        gate.answered(BLUEBIRD.ledger)
        assert not gate.is_open

    def test_the_first_reason_stays_and_the_largest_checkpoint(self, gate: Gate) -> None:
        gate.found_behind("first")
        assert (gate.behind, gate.seen) == ("first", None)
        for seen in (checkpoint(7), checkpoint(3, generation=2), checkpoint(9)):
            gate.found_behind("later", seen)
        assert (gate.behind, gate.seen) == ("first", checkpoint(3, generation=2))

    def test_what_was_found_before_it_was_restored_is_void(self, gate: Gate) -> None:
        looked = gate.restorations
        gate.found_behind("first", checkpoint(7))
        gate.restored()
        gate.found_behind("late", checkpoint(8), restorations=looked)
        assert (gate.is_open, gate.seen) == (True, None)
        gate.found_behind("anew", checkpoint(9), restorations=gate.restorations)
        assert (gate.behind, gate.seen) == ("anew", checkpoint(9))

    def test_a_store_that_is_whole_again_is_written(self, gate: Gate) -> None:
        gate.found_behind("first", checkpoint(7))
        gate.restored()
        assert (gate.behind, gate.seen, gate.is_open) == (None, None, True)
        gate.check(WRITES)
