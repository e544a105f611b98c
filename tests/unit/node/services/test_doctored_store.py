"""Somebody who can write to the database and has no key: what they gain, who finds out where, and what nobody can."""

from collections.abc import Callable

from sqlalchemy import Connection, create_engine, update
from sqlalchemy.pool import NullPool

from node.services.fsck.fsck import fsck
from node.store.columns import METADATA
from node.store.database import Database
from node.store.numbers import number_of
from protocol.audit.findings import Verdict
from protocol.audit.log import audit_log
from protocol.ledger import commands
from tests.support.audits import MemorySource, files_of
from tests.support.documents import uuid
from tests.support.nodes import ANN, ENTRIES_MAX, Alliance, LocalNode
from tests.unit.node.services.fsck.damages import found

ACCOUNTS, LOTS, HEADS, ACCUSATIONS = (
    METADATA.tables[name] for name in ("accounts", "lots", "evidence_heads", "accusations")
)
GIFT = 1_000_000


def doctor(node: LocalNode, change: Callable[[Connection], object]) -> None:
    """Change a node's database behind its back, and let it start again."""
    node.stop()
    engine = create_engine(node._database_url, poolclass=NullPool)
    with engine.begin() as connection:
        change(connection)
    node.start()


def raise_balance(connection: Connection) -> None:
    connection.execute(update(ACCOUNTS).where(ACCOUNTS.c.account == ANN).values(posted=ACCOUNTS.c.posted + GIFT))
    lots = update(LOTS).where(LOTS.c.account_seq == number_of(ANN))
    connection.execute(lots.values(remaining=LOTS.c.remaining + GIFT))


def test_a_balance_that_was_raised_and_spent_is_found_at_the_row_and_at_the_entry(two: Alliance) -> None:
    node, _ = two.pair
    two.talk()
    doctor(node, raise_balance)
    two.talk()
    with Database.open(node._database_url) as database:
        report = fsck(database)
    assert [line.partition(":")[0] for line in found(report)["accounts"]] == [f"accounts[{ANN}].posted"]
    # The node believes what it reads, and the points are spent.
    node.do(commands.RedeemPoints(id=uuid("spent"), account=ANN, amount=GIFT))
    entries = node.reader.entries(0, ENTRIES_MAX)
    audit = audit_log(MemorySource(files_of(node.side, entries), "log"))
    assert audit.findings.verdict is Verdict.BROKEN
    (first, *_) = audit.findings.listed
    assert (first.code, first.place) == ("insufficient_points", f"entry {len(entries) - 1}")
