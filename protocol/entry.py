"""What all entries share: their head, and the postings that move points and money (specs/entries.md)."""

from typing import Annotated, Final, TypeAlias

import msgspec
from msgspec import Meta

from protocol.encoding import ZERO_DIGEST
from protocol.fields import AssetField, DateField, DigestField, NonceField, TimeField
from protocol.identifiers import Account, Asset, Id
from protocol.limits import NAME_CHARACTERS_MAX, POSTINGS_MAX
from protocol.points import Natural, Signed

_ID_PATTERN: Final = r"^[a-z0-9_./-]{1,300}\Z"
EntryId = Annotated[Id, Meta(pattern=_ID_PATTERN)]
AccountName = Annotated[Account, Meta(min_length=1, max_length=NAME_CHARACTERS_MAX + 32)]


class Posting(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """`[account, asset, amount]`: credits are positive; the amounts of one asset in an entry sum to zero."""

    account: AccountName
    asset: AssetField
    amount: Signed


Postings: TypeAlias = Annotated[tuple[Posting, ...], Meta(min_length=2, max_length=POSTINGS_MAX)]

PostingsOrNone: TypeAlias = Annotated[tuple[Posting, ...], Meta(max_length=POSTINGS_MAX)]
"""The postings of a kind that can have none: a conversion without value, or one that ends as usual."""


class Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    """The head of every entry; a draft has the defaults here until the engine stamps it."""

    v: Annotated[int, Meta(ge=1, le=1)] = 1
    seq: Natural = 0
    prev: DigestField = ZERO_DIGEST
    time: TimeField = "0001-01-01T00:00:00.000000Z"
    nonce: NonceField = "0" * 32
    occurred_on: DateField
    id: EntryId
    request: DigestField | None


def transfer_postings(asset: Asset, amount: int, *, debit: Account, credit: Account) -> tuple[Posting, ...]:
    """Return the two postings that move `amount` of `asset` from `debit` to `credit`."""
    return (Posting(debit, asset, -amount), Posting(credit, asset, amount))
