"""The command by which a partnership ends."""

from typing import TypeAlias

from protocol.identifiers import Ledger
from protocol.ledger.command import Command
from protocol.statement import CheckpointReference


class EndPartner(Command, frozen=True, kw_only=True):
    """End the partnership with a partner with whom nothing is open; `checkpoint` is ours, the other the partner's."""

    partner: Ledger
    reason: str
    checkpoint: CheckpointReference
    partner_checkpoint: CheckpointReference | None


RunOffCommand: TypeAlias = EndPartner
