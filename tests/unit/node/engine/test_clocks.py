"""A program that begins to roll in a commit, and the accounts whose clocks begin in that very commit."""

import msgspec

from node.services.fsck.fsck import fsck
from protocol.audit.findings import Verdict
from protocol.ledger.commands import AnyCommand, RedeemPoints
from protocol.ledger.program_commands import SetProgram
from protocol.ledger.state import ACCOUNTS
from protocol.program import ExpiryRule, ProgramTerms
from tests.support.documents import TODAY, digest, uuid
from tests.support.ledger import holder
from tests.unit.node.engine.conftest import Bench
from tests.unit.node.engine.works import issuing, opening

LONG_AGO = "2026-01-10"
RAN_OUT = "2026-02-10"


def rolling() -> SetProgram:
    terms = ProgramTerms(expiry=ExpiryRule(kind="rolling", months=1))
    return SetProgram(id=uuid("rolling"), request=digest("rolling"), terms=terms, reason="rule")


def earning(number: int, *, day: str) -> AnyCommand:
    return msgspec.structs.replace(issuing(number), occurred_on=day)


def redeeming(amount: int) -> AnyCommand:
    return RedeemPoints(id=uuid(f"redeem {amount}"), request=digest("redeem"), account=holder("ann"), amount=amount)


def test_a_clock_begins_and_is_restarted_in_the_commit_that_sets_the_terms(bench: Bench) -> None:
    bench.do(issuing(0, amount=5))
    bench.do(rolling(), earning(1, day=LONG_AGO), earning(2, day=TODAY), earning(3, day=TODAY))
    record = bench.reader.record(ACCOUNTS, holder("ann"))
    assert record is not None
    assert (record.active_on, record.posted) == (TODAY, 8)
    lots = {(lot.remaining, lot.expires_on, lot.clock) for lot in bench.reader.lots(holder("ann"))}
    assert lots == {(5, None, None), (1, RAN_OUT, None), (1, None, "1-none")}
    report = fsck(bench.database)
    assert report.verdict is Verdict.HELD, "\n".join(report.lines())


def test_what_ran_out_in_that_commit_is_not_spent(bench: Bench) -> None:
    bench.do(rolling(), opening("bob"), earning(1, day=LONG_AGO), earning(2, day=TODAY), redeeming(1))
    lots = {(lot.remaining, lot.expires_on) for lot in bench.reader.lots(holder("ann"))}
    assert lots == {(1, RAN_OUT)}
