"""A ledger's life in which points expire and are taken back: entries of each kind about lots."""

from protocol.fields import days_later
from protocol.identifiers import Account
from protocol.ledger import commands
from protocol.ledger.expiring import due_lots
from protocol.ledger.lot_commands import ExpireLots, ReversePoints
from protocol.ledger.names import points_expired_id
from tests.support.documents import digest, uuid
from tests.support.ledger import MemoryLedger, issue, open_holder


def expire(ledger: MemoryLedger, account: Account, *, as_of: str) -> None:
    """Post what of `account` expired before the day `as_of`."""
    lots = tuple((lot.seq, lot.part) for lot in due_lots(ledger.state, account, as_of=as_of))
    entry_id = points_expired_id(account, seq=lots[0][0], part=lots[0][1], as_of=as_of)
    ledger.execute(ExpireLots(id=entry_id, occurred_on=as_of, account=account, lots=lots))


def lose_and_return(ledger: MemoryLedger) -> None:
    """Let a member lose some points, and have others returned."""
    member = open_holder(ledger, "gil")
    today = ledger.wall[:10]
    issue(ledger, member, 30, expires_on=today)
    issue(ledger, member, 20)
    ledger.execute(commands.RedeemPoints(id=uuid("gil redeems"), account=member, amount=15))
    ledger.execute(
        ReversePoints(
            id=uuid("gil returns"),
            request=digest("returns"),
            reverses=uuid("gil redeems"),
            amount=5,
            metadata=digest("m"),
        )
    )
    ledger.advance(days=1)
    expire(ledger, member, as_of=days_later(today, days=1))
