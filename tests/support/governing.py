"""What a program's terms govern, in a ledger of the tests: terms, frozen and merged accounts, transfers, reviews."""

from typing import Literal

from protocol.entries import Sealed
from protocol.identifiers import Account, Id
from protocol.ledger import program_commands as commands
from protocol.ledger.commands import CloseAccount
from protocol.ledger.names import lapsed_id, review_id
from protocol.program import Activity, Limit, ProgramTerms, TransferTerms
from protocol.program_entries import Order, TransferOrder
from tests.support.documents import digest, uuid
from tests.support.ledger import MemoryLedger, issue, open_holder

By = Literal["recipient", "sender", "time"]

GENEROUS = Limit(activity="earn", scope="account", per="year", measure="points", most=2**53 - 1)
SENT = Limit(activity="transfer_out", scope="program", per="day", measure="count", most=1_000)
TERMS = ProgramTerms(limits=(GENEROUS, SENT), transfers=TransferTerms(minimum=10, fee_per_transfer=1))


def limited(
    most: int,
    activity: Activity = "redeem",
    *,
    scope: Literal["account", "kind", "partner", "program"] = "account",
    per: Literal["transaction", "day", "year"] = "day",
    measure: Literal["points", "count"] = "points",
) -> ProgramTerms:
    """Return terms with one limit and nothing else."""
    return ProgramTerms(limits=(Limit(activity=activity, scope=scope, per=per, measure=measure, most=most),))


def govern(ledger: MemoryLedger, terms: ProgramTerms = TERMS, *, name: str = "terms") -> Sealed:
    """Let the program have these terms."""
    return ledger.execute(commands.SetProgram(id=uuid(name), terms=terms, reason="opening"))


def freeze(ledger: MemoryLedger, account: Account, *, name: str = "freeze") -> Sealed:
    """Freeze an account."""
    return ledger.execute(commands.FreezeAccount(id=uuid(name), account=account, reason="stolen_card"))


def unfreeze(ledger: MemoryLedger, account: Account, *, name: str = "unfreeze") -> Sealed:
    """Open a frozen account again."""
    return ledger.execute(commands.UnfreezeAccount(id=uuid(name), account=account, reason="card_found"))


def merge(ledger: MemoryLedger, account: Account, survivor: Account, *, name: str = "merge") -> Sealed:
    """Let one account's points go to another."""
    command = commands.MergeAccount(id=uuid(name), account=account, survivor=survivor, reason="joined_twice")
    return ledger.execute(command)


def offer(ledger: MemoryLedger, account: Account, recipient: Account, amount: int, *, name: str = "gift") -> Sealed:
    """Offer points to another member."""
    command = commands.OfferTransfer(id=uuid(name), account=account, recipient=recipient, amount=amount)
    return ledger.execute(command)


def accept(ledger: MemoryLedger, name: str = "gift", *, as_name: str | None = None) -> Sealed:
    """Take what was offered."""
    command = commands.AcceptTransfer(id=uuid(as_name or f"accept {name}"), transfer=uuid(name))
    return ledger.execute(command)


def decline(ledger: MemoryLedger, name: str = "gift", *, by: By = "recipient", as_name: str | None = None) -> Sealed:
    """Give back what was offered."""
    key = lapsed_id(uuid(name)) if by == "time" else uuid(as_name or f"decline {name}")
    return ledger.execute(commands.DeclineTransfer(id=key, transfer=uuid(name), by=by))


def ask_review(
    ledger: MemoryLedger,
    account: Account,
    points: int,
    order: Order,
    *,
    name: str = "suspect",
    screen: str = "velocity",
) -> Sealed:
    """Put an order up for review."""
    order_id: Id = uuid(name)
    command = commands.OpenReview(
        id=review_id(order_id),
        order_id=order_id,
        account=account,
        screen=screen,
        digest=digest("screen"),
        points=points,
        order=order,
    )
    return ledger.execute(command)


def close_review(ledger: MemoryLedger, *, approved: bool, name: str = "suspect") -> Sealed:
    """Decide an order that is under review."""
    command = commands.CloseReview(id=uuid(f"close {name}"), order_id=uuid(name), approved=approved, reason="looked_at")
    return ledger.execute(command)


def live_under_terms(ledger: MemoryLedger) -> None:
    """Make an entry of every kind that a program's terms govern, between accounts that nothing else touches."""
    govern(ledger)
    first, second, third = (open_holder(ledger, f"governed {name}", points=500) for name in ("one", "two", "three"))
    freeze(ledger, first)
    unfreeze(ledger, first)
    offer(ledger, first, second, 100)
    accept(ledger)
    offer(ledger, first, second, 50, name="unwanted")
    decline(ledger, "unwanted")
    offer(ledger, first, second, 20, name="open offer")
    ask_review(ledger, second, 30, TransferOrder(recipient=third, amount=30))
    close_review(ledger, approved=False)
    ask_review(ledger, second, 40, TransferOrder(recipient=first, amount=40), name="waiting")
    issue(ledger, third, 5)
    merge(ledger, third, second)
    last = open_holder(ledger, "governed last")
    freeze(ledger, last, name="freeze last")
    ledger.execute(CloseAccount(id=uuid("close governed last"), account=last))
