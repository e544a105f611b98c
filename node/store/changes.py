"""What a commit changes in the tables of the ledger's state, most of its rows in four of them, each in its own way.

An id is new, and so is what this commit's own entries opened: that is inserted, and nothing need be looked for. What
was there before is updated in place. Everything else, a few rows, is inserted or replaced as it comes.
"""

from collections.abc import Iterable, Mapping
from typing import Final, TypeAlias, cast

from node.store import schema
from node.store.codec import Row, codec_of
from node.store.numbers import AccountNumbers
from node.store.rows import CommitRecord
from node.store.session import Session
from node.store.sql import Updated
from protocol.identifiers import Account
from protocol.ledger.state import ACCOUNTS, IDS, LOTS, AccountRecord, Lot, Table

_Family: TypeAlias = Table[object, object]
_Lots: TypeAlias = list[tuple[tuple[Account, int, int], Lot]]

_ACCOUNT: Final = Updated(("status", "posted", "held", "conversions", "active_on", "imported_seq"))
_LOT: Final = Updated(("remaining",), same=("expires_on", "clock"))
"""What changes of a lot: seldom its day too, when its clock has run out, and then its places in indexes with it."""


def write_changes(session: Session, record: CommitRecord, numbers: AccountNumbers) -> dict[Account, int]:
    """Write the changed rows and the history of `record`; return the numbers of the accounts that it changed."""
    families = {family: list(changed.items()) for family, changed in record.changes.items()}
    first = record.first_seq + record.begin
    accounts = families.pop(cast("_Family", ACCOUNTS), [])
    lots = cast("_Lots", families.pop(cast("_Family", LOTS), []))
    ids = families.pop(cast("_Family", IDS), [])
    changed_numbers = numbers_of(accounts)
    known = dict(changed_numbers)
    numbers.complete(known, (key[0] for key, _ in lots))
    numbers.complete(known, (account for account, _ in record.history))
    # An id is taken once: where the rules let it pass twice, the key of the table does not.
    session.insert(schema.IDS, codec_of(IDS).encode_all(ids))
    _write_accounts(session, cast("list[tuple[Account, AccountRecord]]", accounts), first)
    for family, changes in families.items():
        session.upsert(codec_of(family).table, codec_of(family).encode_all(changes))
    _write_lots(session, lots, known, first)
    session.insert(schema.HISTORY, [(known[account], seq) for account, seq in record.history])
    return changed_numbers


def numbers_of(records: Iterable[tuple[object, object]]) -> dict[Account, int]:
    """Return the numbers of accounts, given with their records."""
    return {account: record.opened_seq for account, record in cast("Iterable[tuple[Account, AccountRecord]]", records)}


def _write_accounts(session: Session, accounts: list[tuple[Account, AccountRecord]], first: int) -> None:
    opened = [each for each in accounts if each[1].opened_seq >= first]
    session.insert(schema.ACCOUNTS, codec_of(ACCOUNTS).encode_all(opened))
    rows: list[Row] = [
        (str(each.status), each.posted, each.held, each.conversions, each.active_on, each.imported_seq, each.opened_seq)
        for _, each in accounts
        if each.opened_seq < first
    ]
    session.update(schema.ACCOUNTS, _ACCOUNT, rows)


def _write_lots(session: Session, lots: _Lots, numbers: Mapping[Account, int], first: int) -> None:
    new: list[tuple[object, object]] = []
    kept: list[tuple[object, object]] = []
    gone: list[Row] = []
    for (account, seq, part), lot in lots:
        if lot.remaining > 0:
            (new if seq >= first else kept).append(((numbers[account], seq, part), lot))
        elif seq < first:
            gone.append((numbers[account], seq, part))
    codec = codec_of(LOTS)
    session.insert(schema.LOTS, codec.encode_all(new))
    rows = [(lot.remaining, *key, lot.expires_on, lot.clock) for key, lot in cast("list[tuple[Row, Lot]]", kept)]
    if not session.update_all(schema.LOTS, _LOT, rows):
        # One that was closed may be open again, with points that came back from a hold, or have another day.
        session.upsert(schema.LOTS, codec.encode_all(kept))
    session.delete(schema.LOTS, gone)
