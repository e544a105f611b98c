"""The entry kind by which a partnership is over: nothing is open, and nothing can begin (specs/partners.md §6)."""

from typing import TypeAlias

from protocol.entry import Entry, PostingsOrNone
from protocol.fields import DigestField, LedgerField, NetworkField, ReasonField
from protocol.statement import CheckpointReference


class PartnerEnded(Entry, frozen=True, kw_only=True, tag="partner_ended"):
    """A partner is a partner no more: `statement` was the last, and both logs had these checkpoints.

    `partner_checkpoint` is the latest that the partner has shown, null where nothing was ever settled with it.
    """

    network: NetworkField
    partner: LedgerField
    reason: ReasonField
    statement: DigestField | None
    checkpoint: CheckpointReference
    partner_checkpoint: CheckpointReference | None
    postings: PostingsOrNone


RunOffEntry: TypeAlias = PartnerEnded
