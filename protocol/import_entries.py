"""The entry kinds by which balances of another system come into a ledger: all of a file, or nothing (specs/import.md).

The first says what the file holds, one more a row gives a holder its points, and the last makes them usable. Rows come
in order, so an import that was broken off goes on where it stopped.
"""

from typing import Annotated, Final, TypeAlias

from msgspec import Meta

from protocol.entry import Entry, PostingsOrNone
from protocol.fields import DateField, DigestField, HolderField
from protocol.identifiers import PARTNER_PATTERN
from protocol.limits import NAME_CHARACTERS_MAX
from protocol.points import Amount, Natural

ORIGIN_PATTERN: Final = rf"(?:own|{PARTNER_PATTERN})"
"""Whose points a lot has: the program's own, or those that a partner paid for, by its name."""

OriginField = Annotated[str, Meta(pattern=rf"^{ORIGIN_PATTERN}\Z", max_length=NAME_CHARACTERS_MAX)]


class ImportBegun(Entry, frozen=True, kw_only=True, tag="import_begun"):
    """A file of `rows` balances, together `points`, begins to come in; `file` is its digest under a key of the node."""

    file: DigestField
    rows: Amount
    points: Natural


class BalanceImported(Entry, frozen=True, kw_only=True, tag="balance_imported"):
    """A row of the file: points of a holder, whose account its first row opens and nothing else moves meanwhile."""

    file: DigestField
    row: Amount
    account: HolderField
    origin: OriginField
    earned_on: DateField
    expires_on: DateField | None
    postings: PostingsOrNone


class ImportFinished(Entry, frozen=True, kw_only=True, tag="import_finished"):
    """All rows of the file are in, and their accounts are accounts like any other."""

    file: DigestField


ImportEntry: TypeAlias = ImportBegun | BalanceImported | ImportFinished
