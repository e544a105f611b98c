"""Statements of ledgers that have gone on as another log: which checkpoints they may name."""

import msgspec
import pytest

from protocol.errors import Code, StatementInvalid
from protocol.identifiers import Ledger, successor_of
from protocol.ledger import statements
from protocol.settlement.statements import check_follows
from protocol.settlement.states import WindowState
from protocol.statement import CheckpointReference, Statement, check_statement, statement_digest
from tests.support.documents import digest
from tests.support.ledger import MemoryLedger, Pair, issue, pair_of, refused
from tests.support.settled import both_ways
from tests.support.succession import begin, end, ledger_of, recovered, succeed, take_succession
from tests.support.windows import agree, checkpoint, close_both, compute, settle, state


def succeeded_pair(*, closed_before: bool) -> Pair:
    """Return a pair whose source goes on as a successor, with a window that both closed."""
    pair = pair_of()
    both_ways(pair, "one", out=800)
    if closed_before:
        close_both(pair.source, pair.destination, 1)
    size = len(pair.source.sealed)
    issue(pair.source, pair.sender, 1)
    ledger = succeed(pair.source, size)
    asked = ledger.body(begin(ledger, pair.destination.name))
    take_succession(pair.destination, asked)  # type: ignore[arg-type]
    end(ledger, pair.destination.name)
    made = Pair(
        source=ledger, destination=pair.destination, sender=pair.sender, receiver=pair.receiver, alias=pair.alias,
        signed=pair.signed,
    )  # fmt: skip
    if not closed_before:
        close_both(ledger, pair.destination, 1)
    return made


@pytest.mark.parametrize("closed_before", [True, False])
def test_a_statement_names_the_log_that_is_written_now(closed_before: bool) -> None:
    pair = succeeded_pair(closed_before=closed_before)
    document = agree(pair.source, pair.destination, 1)
    assert document.checkpoints[0].origin == successor_of(pair.source.name)
    assert document.parties[0] == pair.source.name
    settle(pair, 1)
    both = (state(pair.source, pair.destination, 1), state(pair.destination, pair.source, 1))
    assert both == (WindowState.CONFIRMED, WindowState.CONFIRMED)


def with_checkpoint(ledger: MemoryLedger, partner: MemoryLedger, named: CheckpointReference) -> Statement:
    first, second = sorted((ledger, partner), key=lambda one: one.name)
    found = tuple(named if each.name == ledger.name else checkpoint(each) for each in (first, second))
    return statements.compute(ledger.state, partner.name, 1, checkpoints=(found[0], found[1]), adjustments={})


def test_statement_mismatch_of_a_checkpoint_without_its_close_or_of_a_log_that_is_not_known() -> None:
    pair = succeeded_pair(closed_before=False)
    good = checkpoint(pair.source)
    closing = next(one.entry.seq for one in pair.source.sealed if one.entry.id.startswith("window/"))
    short = msgspec.structs.replace(good, size=closing - ledger_of(pair.source).first_seq)
    ahead = msgspec.structs.replace(good, origin=Ledger("aurora.example/main.3"))
    for ledger, partner in ((pair.source, pair.destination), (pair.destination, pair.source)):
        for wrong in (short, ahead):
            with refused(Code.STATEMENT_MISMATCH, ledger):
                named = wrong if ledger is pair.source else checkpoint(ledger)
                if ledger is pair.source:
                    with_checkpoint(ledger, partner, named)
                else:
                    statements.compute(ledger.state, partner.name, 1, checkpoints=(wrong, named), adjustments={})


def test_a_checkpoint_of_an_earlier_log_is_not_counted_any_more() -> None:
    pair = succeeded_pair(closed_before=True)
    earlier = CheckpointReference(origin=pair.source.name, size=1, root=digest("lost"))
    assert with_checkpoint(pair.source, pair.destination, earlier).checkpoints[0] == earlier


def test_statement_invalid_of_a_checkpoint_that_is_no_partys() -> None:
    pair = succeeded_pair(closed_before=True)
    strange = CheckpointReference(origin=Ledger("dune.example/main.1"), size=1, root=digest("x"))
    with refused(Code.STATEMENT_INVALID, pair.source):
        with_checkpoint(pair.source, pair.destination, strange)


def test_a_log_may_begin_anew_and_not_go_back() -> None:
    pair = succeeded_pair(closed_before=True)
    first = agree(pair.source, pair.destination, 1)
    both_ways(pair, "two", out=800)
    close_both(pair.source, pair.destination, 2)
    second = compute(pair.source, pair.destination, 2)
    check_statement(second)
    check_follows(second, first)
    before, other = first.checkpoints
    for wrong in (
        msgspec.structs.replace(before, size=second.checkpoints[0].size + 1),
        msgspec.structs.replace(before, origin=successor_of(before.origin)),
    ):
        later = msgspec.structs.replace(first, checkpoints=(wrong, other))
        following = msgspec.structs.replace(second, previous=statement_digest(later))
        with pytest.raises(StatementInvalid, match="shorter"):
            check_follows(following, later)
    longer = msgspec.structs.replace(before, origin=pair.source.name, size=10**6)
    older = msgspec.structs.replace(first, checkpoints=(longer, other))
    check_follows(msgspec.structs.replace(second, previous=statement_digest(older)), older)


def test_a_statement_of_the_gap_names_a_log_that_is_lost() -> None:
    pair = pair_of()
    both_ways(pair, "one")
    close_both(pair.source, pair.destination, 1)
    size = len(pair.destination.sealed)
    document = agree(pair.source, pair.destination, 1)
    ledger = recovered(pair.destination, size, pair.source)
    assert state(ledger, pair.source, 1) is state(pair.destination, pair.source, 1)
    assert document.checkpoints[1].origin == ledger.name
