"""Balances that come in from another system, and partners that part: what tests of both start from."""

from collections.abc import Sequence
from functools import cache

from protocol.entries import Sealed
from protocol.identifiers import Account, Digest
from protocol.ledger import names
from protocol.ledger.import_commands import BeginImport, FinishImport, ImportBalance
from protocol.ledger.run_off_commands import EndPartner
from protocol.statement import CheckpointReference
from tests.support.documents import agreement, digest, direction, signed_agreement
from tests.support.keys import suspend
from tests.support.ledger import MemoryLedger, Pair, convert, holder, pair_of
from tests.support.windows import agree, checkpoint, close_both, settle

FILE: Digest = digest("balances")
DAY = "2026-02-01"
Row = tuple[str, int, str | None]
"""Whose points, how many, and their last day."""


def begin_import(
    ledger: MemoryLedger, rows: Sequence[Row], *, file: Digest = FILE, points: int | None = None, day: str | None = DAY
) -> Sealed:
    """Begin to take in a file that has these rows."""
    total = sum(amount for _, amount, _ in rows) if points is None else points
    command = BeginImport(id=names.import_id(file), file=file, rows=len(rows), points=total, occurred_on=day)
    return ledger.execute(command)


def balance(number: int, row: Row, *, file: Digest = FILE, earned_on: str = "2025-11-30") -> ImportBalance:
    """Return a row of a file as a command."""
    name, points, expires_on = row
    return ImportBalance(
        id=names.imported_id(file, number),
        file=file,
        row=number,
        account=holder(name),
        points=points,
        origin="own",
        earned_on=earned_on,
        expires_on=expires_on,
    )


def import_rows(ledger: MemoryLedger, rows: Sequence[Row], *, after: int = 0) -> list[Sealed]:
    """Take in the rows of a file after the row `after`."""
    return [ledger.execute(balance(number, row)) for number, row in enumerate(rows, 1) if number > after]


def finish_import(ledger: MemoryLedger, *, file: Digest = FILE) -> Sealed:
    """Let a file count."""
    return ledger.execute(FinishImport(id=names.import_finished_id(file), file=file))


def import_balances(ledger: MemoryLedger) -> None:
    """Take in a whole file: a member with points that expire, and one without any."""
    rows: tuple[Row, ...] = (("old member", 700, "2026-12-31"), ("empty member", 0, None))
    begin_import(ledger, rows)
    import_rows(ledger, rows)
    finish_import(ledger)


def settled_pair() -> Pair:
    """Return two ledgers that have settled one conversion, of which a rest remains that is less than a minor unit."""
    pair = pair_of(signed=signed_agreement(agreement(there=direction(price=2_505_001))))
    convert(pair.source, pair.destination, pair.sender, 400, name="one")
    close_both(pair.source, pair.destination, 1)
    agree(pair.source, pair.destination, 1)
    settle(pair, 1)
    return pair


def end_partner(
    ledger: MemoryLedger,
    partner: MemoryLedger,
    *,
    ours: CheckpointReference | None = None,
    theirs: CheckpointReference | None = None,
) -> Sealed:
    """End the partnership over both logs as they are."""
    command = EndPartner(
        id=names.partner_ended_id(partner.name),
        partner=partner.name,
        reason="contract_over",
        checkpoint=ours or checkpoint(ledger),
        partner_checkpoint=theirs or checkpoint(partner),
    )
    return ledger.execute(command)


@cache
def departed() -> Pair:
    """Return two ledgers that were partners; do not execute commands on them."""
    pair = settled_pair()
    for ledger, partner in ((pair.source, pair.destination), (pair.destination, pair.source)):
        suspend(ledger, partner.name)
    for ledger, partner in ((pair.source, pair.destination), (pair.destination, pair.source)):
        end_partner(ledger, partner)
    return pair


def account_of(name: str) -> Account:
    """Return the account that a row names."""
    return holder(name)
