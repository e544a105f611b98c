"""What holds in every state of a ledger, whatever led to it."""

from collections import Counter
from collections.abc import Sequence

from protocol.entries import Sealed
from protocol.identifiers import Account
from protocol.ledger.postings import is_holder
from protocol.ledger.state import ACCOUNTS, BALANCES, HEAD, HOLDS, IDS, LEDGER, LOTS, ONLY
from protocol.ledger.view import Overlay
from protocol.limits import INTEGER_MAX


def check_invariants(view: Overlay, entries: Sequence[Sealed]) -> None:
    """Fail unless the rows of `view` agree with each other and with the postings of `entries`."""
    check_sums(view, entries)
    check_holders(view)
    check_holds(view)
    head = view.get(HEAD, ONLY)
    assert head is not None
    assert head.size == len(entries) == len(list(view.rows(IDS)))


def check_sums(view: Overlay, entries: Sequence[Sealed]) -> None:
    """Each asset sums to zero over all accounts, and every balance is the sum of its postings."""
    own = view.get(LEDGER, ONLY)
    assert own is not None
    balances: Counter[tuple[str, str]] = Counter()
    for sealed in entries:
        postings = getattr(sealed.entry, "postings", ())
        sums: Counter[str] = Counter()
        for posting in postings:
            sums[posting.asset] += posting.amount
            balances[posting.account, posting.asset] += posting.amount
        assert not any(sums.values())
    for account, record in view.rows(ACCOUNTS):
        assert balances.pop((account, own.points), 0) == record.posted
    for (account, asset), row in view.rows(BALANCES):
        assert not is_holder(account)
        assert balances.pop((account, asset), 0) == row.amount
    assert not any(balances.values())


def check_holders(view: Overlay) -> None:
    """No holder is below zero, and what is neither spent nor held is exactly what the open lots hold."""
    lots: Counter[Account] = Counter()
    for (account, seq, part), lot in view.rows(LOTS):
        assert (lot.seq, lot.part) == (seq, part)
        assert lot.remaining >= 0
        lots[account] += lot.remaining
    held: Counter[Account] = Counter()
    conversions: Counter[Account] = Counter()
    for _, hold in view.rows(HOLDS):
        held[hold.account] += hold.remaining
        conversions[hold.account] += hold.conversion and hold.remaining > 0
    for account, record in view.rows(ACCOUNTS):
        assert 0 <= record.held <= record.posted <= INTEGER_MAX
        assert record.available == lots[account] == sum(lot.remaining for lot in view.lots(account))
        assert (record.held, record.conversions) == (held[account], conversions[account])


def check_holds(view: Overlay) -> None:
    """A hold's pieces are what remains of it."""
    for _, hold in view.rows(HOLDS):
        assert 0 <= hold.remaining <= hold.amount
        assert sum(piece.amount for piece in hold.pieces) == hold.remaining
        assert all(piece.amount > 0 for piece in hold.pieces)
