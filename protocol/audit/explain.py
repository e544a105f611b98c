"""Entries, messages and terms in words, for whoever reads what was proved."""

from collections.abc import Iterator
from typing import Final

from protocol.agreement import Agreement, Direction, Party
from protocol.audit.figures import MONEY_ACCOUNTS
from protocol.entries import AnyEntry, Genesis, Posting
from protocol.keys import PublicKey, fingerprint
from protocol.limits import CURRENCY_UNIT_MILLIONTHS
from protocol.messages import (
    Body,
    Cancel,
    Close,
    ConversionBody,
    Dispute,
    End,
    Fulfil,
    Hello,
    Lines,
    PaymentAdvice,
    Predecessor,
    Prepare,
    Query,
    Reject,
    StatementSigned,
    Succeeded,
    Unlink,
    WindowBody,
)
from protocol.recovery_entries import Recovered
from protocol.statement import Statement

_FRACTION_DIGITS: Final = 6


def money(millionths: int) -> str:
    """Return an amount of money in whole currency units, exactly, with two decimals or as many as it takes."""
    whole, rest = divmod(abs(millionths), CURRENCY_UNIT_MILLIONTHS)
    digits = f"{rest:0{_FRACTION_DIGITS}d}".rstrip("0").ljust(2, "0")
    return f"{'−' if millionths < 0 else ''}{whole:,}.{digits}"


def entry_lines(entry: AnyEntry) -> Iterator[str]:
    """Yield what an entry says, in the words of its kind and its postings."""
    kind = entry.__struct_config__.tag
    yield f"{kind}, recorded {entry.time} for {entry.occurred_on}, id {entry.id}"
    if isinstance(entry, Genesis) and entry.predecessor is not None:
        yield _succession_text(entry.predecessor)
    if isinstance(entry, Recovered):
        yield f"given back by {entry.partner}: {body_line(entry.body)}"
    for posting in getattr(entry, "postings", ()):
        yield _posting_line(posting)


def _succession_text(before: Predecessor) -> str:
    return f"{before.ledger} had {before.size:,} entries that somebody saw; {before.restored_size:,} were restored"


def _posting_line(posting: Posting) -> str:
    sign = "−" if posting.amount < 0 else "+"
    is_money = posting.account.partition("/")[0] in MONEY_ACCOUNTS
    amount = money(abs(posting.amount)) if is_money else f"{abs(posting.amount):,}"
    return f"{posting.account}: {sign}{amount} {posting.asset}"


def body_line(body: Body) -> str:
    """Return what a message says."""
    if isinstance(body, ConversionBody):
        return f"conversion {body.id}: {_conversion_text(body)}"
    if isinstance(body, WindowBody):
        return f"window {body.window} of {body.sender} and {body.receiver}: {_window_text(body)}"
    if isinstance(body, End):
        return f"{body.sender} ends the agreement {body.agreement} with {body.receiver} at {body.ends_at}"
    if isinstance(body, Unlink):
        return f"{body.sender} ends the link {body.alias} of {body.issuer} with {body.receiver} ({body.reason})"
    if isinstance(body, Hello):
        return f"{body.sender} opens its epoch {body.epoch} to {body.receiver}"
    if isinstance(body, Succeeded):
        return f"{body.sender} goes on as {body.log}, since {body.predecessor.ledger} has lost its end"
    return f"{body.sender} gives {body.receiver} back what its store has lost"


def _conversion_text(body: ConversionBody) -> str:
    match body:
        case Prepare():
            return (
                f"{body.source_points:,} points are on hold at {body.source} for {body.destination_points:,} at "
                f"{body.destination}, worth {money(body.value)} {body.currency}, to be decided by {body.accept_by}; "
                f"the hold is entry {body.entry.seq}"
            )
        case Fulfil():
            return (
                f"{body.destination} credited {body.destination_points:,} points at {body.decided_at}, its decision "
                f"{body.dec_seq} of window {body.window}, in its entry {body.entry.seq}; {body.source} owes "
                f"{money(body.value)} in the agreement's currency"
            )
        case Reject():
            where = f"in its entry {body.entry.seq}"
            return f"{body.destination} refused at {body.decided_at} ({body.reason}), for ever, {where}"
        case Cancel():
            return f"{body.source} asks {body.destination} to refuse unless it has credited"
        case Query():
            return f"{body.source} asks {body.destination} what it decided"
        case _:
            return f"a message about it cannot be answered ({body.reason}); nothing is decided"


def _window_text(body: WindowBody) -> str:
    match body:
        case Close():
            return f"{body.sender} closed it at {body.closed_at} with {body.totals.count} conversions credited"
        case Lines():
            return f"{len(body.lines)} lines as {body.sender} has them"
        case Dispute():
            return f"{body.sender} disputes {len(body.lines)} lines of conversions out of {body.source}"
        case StatementSigned():
            return f"the statement, signed by {' and '.join(item.ledger for item in body.signed.signatures)}"
        case PaymentAdvice():
            return f"{body.sender} paid {body.minor_units} minor units of {body.currency} ({body.reference})"
        case _:
            return f"{body.sender} received the money at {body.received_at}"


def statement_lines(statement: Statement) -> Iterator[str]:
    """Yield what a statement bills, and who pays what."""
    first, second = statement.parties
    yield f"window {statement.window} of {first} and {second}"
    for bill in statement.directions:
        count, owed = bill.totals.count, money(bill.owed(statement.window))
        listed = f"{len(bill.disputed)} in dispute, {len(bill.adjustments)} adjusted"
        yield f"{bill.source} owes {owed} {statement.currency} for {count} conversions ({listed})"
    carried = f"{money(int(statement.carry))} {statement.currency} stay on the balance"
    if statement.payer is None:
        yield f"nobody pays; {carried}"
    else:
        amount = money(statement.amount)
        yield f"{statement.payer} pays {amount} {statement.currency} by {statement.due_at}; {carried}"


def party_line(party: Party) -> str:
    """Return a party with the fingerprint of its keys."""
    return f"{party.ledger} ({party.points}), keys {fingerprint([PublicKey.parse(item.key) for item in party.keys])}"


def agreement_lines(agreement: Agreement) -> Iterator[str]:
    """Yield the terms that people ask for first."""
    until = f"until {agreement.valid_until}" if agreement.valid_until else "with no end"
    yield f"agreement {agreement.number}, in force from {agreement.valid_from} {until}"
    yield from map(party_line, agreement.parties)
    for direction in agreement.directions:
        yield _direction_line(agreement, direction)


def _direction_line(agreement: Agreement, direction: Direction) -> str:
    source, destination = agreement.party(direction.source), agreement.party(direction.destination)
    return (
        f"every {direction.step.source:,} {source.points} give {direction.step.destination:,} {destination.points}, "
        f"settled at {money(direction.price)} {agreement.currency} a step, "
        f"{direction.steps_min:,} to {direction.steps_max:,} steps"
    )
