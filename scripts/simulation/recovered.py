"""Words that stand again, read as the entries that were lost: what an outsider follows is the same as before."""

from typing import Final

import msgspec

from protocol.entries import ConversionCredited, ConversionHeld
from protocol.identifiers import Account
from protocol.ledger.postings import ADJUSTMENT
from protocol.messages import Fulfil, Prepare
from protocol.recovery_entries import Recovered

_TERMS: Final = (
    "network", "agreement", "promotion", "refund_of", "steps", "source_points", "destination_points", "fee_points",
    "value", "currency", "alias", "accept_by",
)  # fmt: skip
"""What a PREPARE states and both kinds of entries repeat."""


def held_again(entry: Recovered, prepare: Prepare) -> ConversionHeld:
    """Return the order that a recovered PREPARE was made by."""
    said = {
        **_said(entry, prepare, prepare.created_at),
        "kind": "conversion_held",
        "destination": prepare.destination,
        # Who orders is an account, which the program's own is not: it is put in its place below.
        "account": entry.account or _NOBODY,
    }
    held = msgspec.convert(said, ConversionHeld)
    return held if entry.account else msgspec.structs.replace(held, account=ADJUSTMENT)


def credited_again(entry: Recovered, fulfil: Fulfil, prepare: Prepare) -> ConversionCredited:
    """Return the credit that a recovered FULFIL was made by."""
    said = {
        **_said(entry, prepare, fulfil.decided_at),
        "kind": "conversion_credited",
        "source": fulfil.source,
        "prepare": fulfil.prepare,
        "created_at": prepare.created_at,
        "source_entry": msgspec.to_builtins(prepare.entry),
        "window": fulfil.window,
        "dec_seq": fulfil.dec_seq,
        "expires_on": fulfil.expires_on,
        "postings": msgspec.to_builtins(entry.postings),
    }
    return msgspec.convert(said, ConversionCredited)


def is_borne(account: Account) -> bool:
    """Return whether the program itself bears a conversion, since its account is not known any more."""
    return account == ADJUSTMENT


_NOBODY: Final = "member/00000000-0000-4000-8000-000000000000"


def _said(entry: Recovered, prepare: Prepare, time: str) -> dict[str, object]:
    head = {"v": 1, "id": entry.id, "request": entry.request, "occurred_on": time[:10], "seq": entry.seq, "time": time}
    return {**head, **{name: getattr(prepare, name) for name in _TERMS}, "conversion": prepare.id}
