"""What all commands share."""

import msgspec

from protocol.identifiers import Digest, Id


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """`id` is unique in the ledger; `request` is the keyed digest of what was asked, null for the node's own."""

    id: Id
    request: Digest | None = None
    occurred_on: str | None = None
