"""Appeals in ledgers of memory."""

from protocol.appeal_entries import AppealOutcome, AppealParty
from protocol.entries import Sealed
from protocol.fields import days_later
from protocol.identifiers import Account, Id
from protocol.ledger.appeal_commands import DecideAppeal, OpenAppeal, SayToAppeal
from tests.support.documents import digest, uuid
from tests.support.ledger import MemoryLedger


def appeal(
    ledger: MemoryLedger, account: Account, *, name: str = "appeal", about: Id | None = None, days: int = 30
) -> Sealed:
    """Open an appeal for `account`."""
    return ledger.execute(
        OpenAppeal(
            id=uuid(name),
            account=account,
            reason="not_received",
            deadline=days_later(ledger.wall[:10], days=days),
            by=AppealParty.HOLDER,
            about=about,
            metadata=digest(f"why {name}"),
        )
    )


def say(
    ledger: MemoryLedger,
    *,
    name: str = "appeal",
    by: AppealParty = AppealParty.PROGRAM,
    asks: bool = False,
    text: str = "said",
) -> Sealed:
    """Say something about an appeal."""
    command = SayToAppeal(id=uuid(f"{name} {text}"), appeal=uuid(name), by=by, asks=asks, metadata=digest(text))
    return ledger.execute(command)


def rule(ledger: MemoryLedger, outcome: AppealOutcome, *, name: str = "appeal", reason: str = "as_booked") -> Sealed:
    """End an appeal."""
    command = DecideAppeal(id=uuid(f"{name} {outcome}"), appeal=uuid(name), outcome=outcome, reason=reason)
    return ledger.execute(command)
