"""What two ledgers have about each other, side by side: agreements, lines, statements, and money."""

from collections.abc import Mapping
from typing import Final

from protocol.conversion import DestinationState
from protocol.identifiers import Id, Ledger, partner_of
from protocol.ledger.state import BALANCES, IN, LINES, OUT
from scripts.simulation.book import Book
from scripts.simulation.invariants import Invariant, Violation
from scripts.simulation.place import Place

_SAME: Final = (
    "conversion", "window", "agreement", "currency", "source_points", "destination_points", "fee_points", "value",
    "fulfil",
)  # fmt: skip
"""What both sides must have of a line."""


def check_pair(
    books: Mapping[Ledger, Book], one: Place, other: Place, *, ignored: frozenset[Invariant] = frozenset()
) -> None:
    """Raise `Violation` unless two honest ledgers agree on all that both have; `line-differs` can be ignored."""
    _check_papers(books[one.ledger], books[other.ledger])
    for source, destination in ((one, other), (other, one)):
        if Invariant.LINE_DIFFERS not in ignored:
            _check_lines(source, destination)
        _check_money(books, source, destination)


def _check_papers(one: Book, other: Book) -> None:
    for (partner, number), agreement in one.agreements.items():
        if partner == other.ledger and other.agreements.get((one.ledger, number), agreement) != agreement:
            raise Violation(
                Invariant.STATEMENTS_DIFFER, f"{one.ledger} and {other.ledger} have another agreement {number} each"
            )
    ours, theirs = one.relations.relation(other.ledger), other.relations.relation(one.ledger)
    for window, statement in ours.statements.items():
        if theirs.statements.get(window, statement) != statement:
            raise Violation(
                Invariant.STATEMENTS_DIFFER, f"{one.ledger} and {other.ledger} have another statement {window} each"
            )


def _check_lines(source: Place, destination: Place) -> None:
    theirs = destination.disk.state.table(LINES)
    for (partner, way, dec_seq), line in source.disk.state.table(LINES).items():
        if (partner, way) != (destination.ledger, OUT):
            continue
        found = theirs.get((source.ledger, IN, dec_seq))
        different = [name for name in _SAME if getattr(line, name) != getattr(found, name, None)]
        if different:
            there = {name: (getattr(line, name), getattr(found, name, None)) for name in different}
            raise Violation(
                Invariant.LINE_DIFFERS, f"line {dec_seq} of {source.ledger} to {destination.ledger} has both {there}"
            )


def _check_money(books: Mapping[Ledger, Book], source: Place, destination: Place) -> None:
    """Raise unless one side owes what the other is owed, but for what is credited and not yet captured.

    What one of them has billed already counts as if it were still owed, so that it can be ahead by a statement.
    """
    ours, theirs = books[source.ledger], books[destination.ledger]
    on_its_way = sum(
        held.entry.value
        for conversion, held in ours.outgoing.items()
        if held.is_undecided and held.destination == theirs.ledger and _is_credited(theirs, ours.ledger, conversion)
    )
    owed = _money(source, f"payable/{partner_of(theirs.ledger)}")
    due = -_money(destination, f"receivable/{partner_of(ours.ledger)}")
    billed = ours.relations.relation(theirs.ledger).gone(OUT) - theirs.relations.relation(ours.ledger).gone(IN)
    if owed + on_its_way + billed != due:
        detail = f"{ours.ledger} owes {owed}, {on_its_way} is on its way, {theirs.ledger} is due {due}"
        raise Violation(Invariant.PAYABLE_IS_NOT_RECEIVABLE, f"{detail}; billed here and not there: {billed}")


def _is_credited(book: Book, source: Ledger, conversion: Id) -> bool:
    credit = book.incoming.get((source, conversion))
    return credit is not None and credit.state is DestinationState.CREDITED


def _money(place: Place, account: str) -> int:
    rows = place.disk.state.table(BALANCES).items()
    return sum(row.amount for (name, _), row in rows if name == account)
