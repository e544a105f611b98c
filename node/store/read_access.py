"""Reading the acts that two people answer for."""

from typing import Final

from node.store.reads import Reads
from node.store.schema_access import ACTIONS as TABLE
from protocol.identifiers import Id
from protocol.ledger.approval_state import ACTIONS, ActionRecord, ActionState

_COLUMNS: Final = TABLE.c


class AccessReads(Reads):
    """Acts that were proposed, the latest first."""

    def action_of(self, proposal: Id) -> tuple[Id, ActionRecord] | None:
        """Return the act that stands under a proposal, by the id of its entry, or None."""
        return next(self._records(ACTIONS, _COLUMNS.proposal == proposal), None)

    def actions(
        self, *, state: ActionState | None = None, before: int | None = None, limit: int = 100
    ) -> list[tuple[Id, ActionRecord]]:
        """Return acts, those proposed last first, proposed by an entry before `before`."""
        conditions = []
        if state is not None:
            conditions.append(_COLUMNS.state == state.value)
        if before is not None:
            conditions.append(_COLUMNS.proposed_seq < before)
        return list(self._records(ACTIONS, *conditions, order=(_COLUMNS.proposed_seq.desc(),), limit=limit))
