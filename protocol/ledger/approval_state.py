"""What the ledger knows of acts that two people answer for: a function of the log."""

from enum import StrEnum, unique
from typing import Final

import msgspec

from protocol.approval_entries import Action
from protocol.identifiers import Id
from protocol.ledger.tables import Table


@unique
class ActionState(StrEnum):
    """How far a proposed act has come."""

    PROPOSED = "proposed"
    APPROVED = "approved"
    """A second person wants it, and its entry is not written yet: an agreement waits for the partner's signature."""
    REFUSED = "refused"
    DONE = "done"


class ActionRecord(msgspec.Struct, frozen=True, kw_only=True):
    """An act that was proposed under the id that its entry has, or will have."""

    action: Action
    state: ActionState
    proposal: Id
    proposed_by: str
    proposed_at: str
    proposed_seq: int
    expires_at: str
    decided_by: str | None = None
    decided_seq: int | None = None

    def is_open(self, time: str) -> bool:
        """Return whether it can still be approved at `time`."""
        return self.state is ActionState.PROPOSED and time < self.expires_at


ACTIONS: Final[Table[Id, ActionRecord]] = Table("actions", ActionRecord)
