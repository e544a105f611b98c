"""What one person proposes and another approves, in a ledger of the tests."""

from typing import Final

from protocol.approval_entries import Action, Adjustment, AgreementSigning
from protocol.entries import Sealed
from protocol.fields import later
from protocol.identifiers import Account, Id
from protocol.ledger.approval_commands import AdjustPoints, ApproveAction, ProposeAction, RefuseAction
from tests.support.documents import digest, uuid
from tests.support.ledger import MemoryLedger

AGENT: Final = "0a1b2c3d"
MANAGER: Final = "4e5f6071"
DAY_SECONDS: Final = 86_400


def done_id(name: str) -> Id:
    """Return the id of the entry that a test's proposal leads to."""
    return uuid(f"{name} done")


def adjustment(
    account: Account, amount: int = 50, *, expires_on: str | None = None, appeal: Id | None = None
) -> Action:
    """Return an adjustment of an account."""
    return Adjustment(account=account, amount=amount, expires_on=expires_on, reason="goodwill", appeal=appeal)


def propose(
    ledger: MemoryLedger,
    action: Action,
    *,
    name: str = "goodwill gift",
    entry: Id | None = None,
    by: str = AGENT,
    seconds: int = DAY_SECONDS,
) -> Sealed:
    """Propose an act to a second person."""
    command = ProposeAction(
        id=uuid(name),
        entry=entry or done_id(name),
        action=action,
        by=by,
        expires_at=later(max(ledger.wall, ledger.head.time), seconds=seconds),
        metadata=digest(f"note of {name}"),
    )
    return ledger.execute(command)


def approve(ledger: MemoryLedger, *, name: str = "goodwill gift", entry: Id | None = None, by: str = MANAGER) -> Sealed:
    """Let a second person want it, too."""
    command = ApproveAction(id=uuid(f"approve {name} {by}"), proposal=uuid(name), entry=entry or done_id(name), by=by)
    return ledger.execute(command)


def refuse(ledger: MemoryLedger, *, name: str = "goodwill gift", entry: Id | None = None, by: str = MANAGER) -> Sealed:
    """Let it not be done."""
    command = RefuseAction(
        id=uuid(f"refuse {name}"),
        proposal=uuid(name),
        entry=entry or done_id(name),
        by=by,
        reason="not_shown",
    )
    return ledger.execute(command)


def adjust(ledger: MemoryLedger, *, name: str = "goodwill gift") -> Sealed:
    """Carry an approved adjustment out."""
    return ledger.execute(AdjustPoints(id=done_id(name)))


def want(ledger: MemoryLedger, action: Action, *, name: str = "goodwill gift", entry: Id | None = None) -> None:
    """Let two people want an act."""
    if isinstance(action, AgreementSigning):
        assert entry is not None, "an agreement's entry has an id by nature"
    propose(ledger, action, name=name, entry=entry)
    approve(ledger, name=name, entry=entry)


def adjust_points(ledger: MemoryLedger, account: Account) -> None:
    """Make an entry of every kind that two people answer for."""
    want(ledger, adjustment(account))
    adjust(ledger)
    propose(ledger, adjustment(account, -5), name="goodwill taken back")
    refuse(ledger, name="goodwill taken back")
    propose(ledger, adjustment(account, 7), name="goodwill waits")
