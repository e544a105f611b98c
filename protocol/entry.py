"""What all entries share: their head, and the postings that move points and money (specs/entries.md)."""

import re
from typing import Annotated, Final, TypeAlias

import msgspec
from msgspec import Meta

from protocol.encoding import ZERO_DIGEST
from protocol.errors import EntryInvalid
from protocol.fields import DATE_PATTERN, TIME_PATTERN
from protocol.identifiers import ASSET_PATTERN, DIGEST_PATTERN, HEX_16_PATTERN, Account, Asset, Digest, Id
from protocol.limits import NAME_CHARACTERS_MAX, POSTINGS_MAX
from protocol.points import Natural, Signed

ID_PATTERN: Final = r"[a-z0-9_./-]{1,300}"
EntryId = Annotated[Id, Meta(pattern=rf"^{ID_PATTERN}\Z")]
_Digest = Annotated[Digest, Meta(title="digest")]
AccountName = Annotated[Account, Meta(min_length=1, max_length=NAME_CHARACTERS_MAX + 32)]


class Posting(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """`[account, asset, amount]`: credits are positive; the amounts of one asset in an entry sum to zero."""

    account: AccountName
    asset: Annotated[Asset, Meta(title="asset")]
    amount: Signed


Postings: TypeAlias = Annotated[tuple[Posting, ...], Meta(min_length=2, max_length=POSTINGS_MAX)]

PostingsOrNone: TypeAlias = Annotated[tuple[Posting, ...], Meta(max_length=POSTINGS_MAX)]
"""The postings of a kind that can have none: a conversion without value, or one that ends as usual."""


class Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", gc=False):
    """The head of every entry; a draft has the defaults here until the engine stamps it.

    What grammar its texts and the assets of postings have, `check_grammar` checks: every entry is read several times,
    and one expression over all of them costs a third of one a field.
    """

    v: Annotated[int, Meta(ge=1, le=1)] = 1
    seq: Natural = 0
    prev: _Digest = ZERO_DIGEST
    time: Annotated[str, Meta(title="time")] = "0001-01-01T00:00:00.000000Z"
    nonce: Annotated[str, Meta(title="nonce")] = "0" * 32
    occurred_on: Annotated[str, Meta(title="date")]
    id: Annotated[Id, Meta(title="entry id")]
    request: _Digest | None


_ASSET: Final = re.compile(ASSET_PATTERN)
_HEAD: Final = {
    "prev": DIGEST_PATTERN,
    "time": TIME_PATTERN,
    "nonce": HEX_16_PATTERN,
    "occurred_on": DATE_PATTERN,
    "id": ID_PATTERN,
    "request": f"(?:None|'{DIGEST_PATTERN}')",
}
_HEADS: Final = re.compile("\n".join(_HEAD.values()))


def check_grammar(entry: Entry) -> None:
    """Raise `EntryInvalid` where a text of the head, or a posting's asset, has not the grammar of its name."""
    head = (entry.prev, entry.time, entry.nonce, entry.occurred_on, entry.id, repr(entry.request))
    if not _HEADS.fullmatch("\n".join(head)):
        fields = zip(_HEAD.items(), head, strict=True)
        wrong = [name for (name, pattern), text in fields if not re.fullmatch(pattern, text)]
        raise EntryInvalid(f"not as the grammar has it: {', '.join(wrong)}")
    postings: tuple[Posting, ...] = getattr(entry, "postings", ())
    for posting in postings:
        if not _ASSET.fullmatch(posting.asset):
            raise EntryInvalid(f"not the code of an asset: {posting.asset[:40]!r}")


def transfer_postings(asset: Asset, amount: int, *, debit: Account, credit: Account) -> tuple[Posting, ...]:
    """Return the two postings that move `amount` of `asset` from `debit` to `credit`."""
    return (Posting(debit, asset, -amount), Posting(credit, asset, amount))
