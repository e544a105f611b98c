"""The rules of a program's terms and of what they govern, as the three verbs of the ledger find them."""

from collections.abc import Mapping
from typing import Final

from protocol import program_entries as entries
from protocol.identifiers import Account, Id
from protocol.ledger import lifecycle, programs, reviews, transfers
from protocol.ledger import program_commands as commands
from protocol.ledger.view import View

NEEDS: Final[Mapping[type, object]] = {
    commands.SetProgram: programs.needs_set,
    commands.FreezeAccount: lifecycle.needs_freeze,
    commands.UnfreezeAccount: lifecycle.needs_freeze,
    commands.MergeAccount: lifecycle.needs_merge,
    commands.OfferTransfer: transfers.needs_offer,
    commands.AcceptTransfer: transfers.needs_transfer,
    commands.DeclineTransfer: transfers.needs_transfer,
    commands.OpenReview: reviews.needs_open,
    commands.CloseReview: reviews.needs_close,
}

DECIDE: Final[Mapping[type, object]] = {
    commands.SetProgram: programs.decide_set,
    commands.FreezeAccount: lifecycle.decide_freeze,
    commands.UnfreezeAccount: lifecycle.decide_unfreeze,
    commands.MergeAccount: lifecycle.decide_merge,
    commands.OfferTransfer: transfers.decide_offer,
    commands.AcceptTransfer: transfers.decide_accept,
    commands.DeclineTransfer: transfers.decide_decline,
    commands.OpenReview: reviews.decide_open,
    commands.CloseReview: reviews.decide_close,
}

APPLY: Final[Mapping[type, object]] = {
    entries.ProgramSet: programs.apply_set,
    entries.AccountFrozen: lifecycle.apply_frozen,
    entries.AccountUnfrozen: lifecycle.apply_unfrozen,
    entries.AccountMerged: lifecycle.apply_merged,
    entries.TransferOffered: transfers.apply_offered,
    entries.TransferAccepted: transfers.apply_accepted,
    entries.TransferDeclined: transfers.apply_declined,
    entries.ReviewOpened: reviews.apply_opened,
    entries.ReviewClosed: reviews.apply_closed,
}


def parties(view: View, entry: entries.ProgramEntry) -> tuple[Account, ...]:
    """Return the holders whose history an applied entry belongs to, beside those that it posts to."""
    match entry:
        case entries.AccountMerged():
            return entry.account, entry.survivor
        case entries.TransferOffered():
            return entry.account, entry.recipient
        case entries.TransferDeclined():
            return transfers.parties(view, Id(entry.transfer))
        case entries.AccountFrozen() | entries.AccountUnfrozen() | entries.ReviewOpened():
            return (entry.account,)
        case entries.ReviewClosed():
            return reviews.parties(view, Id(entry.order_id))
        case _:
            return ()
