"""Settlement: closes windows when their time has passed and signs the statements that follow; it never pays."""

from collections.abc import Callable
from typing import Final

import structlog

from node.services.answers import EntryAnswer
from node.services.pending import Pending
from node.services.settlement.settlement import SettlementService
from protocol.errors import TallystickError
from protocol.identifiers import Ledger

INTERVAL_SECONDS: Final = 1.0
_LOG: Final = structlog.get_logger()

Due = Callable[[Ledger], Pending[EntryAnswer] | None]


class CloseWindows:
    """Does for every partner what is due; what cannot be done yet is tried again at the next step."""

    def __init__(self, settlement: SettlementService) -> None:
        self._settlement = settlement
        self._told: dict[tuple[str, Ledger], str] = {}

    def step(self) -> None:
        """Close the windows that are due, clear up where both sides differ, then sign the statements that are due."""
        for partner in self._settlement.partners():
            self._try("close", partner, self._settlement.close_due)
            self._try("narrow", partner, self._settlement.narrow_due)
            self._try("sign", partner, self._settlement.sign_due)

    def _try(self, what: str, partner: Ledger, due: Due) -> None:
        try:
            pending = due(partner)
            if pending is not None:
                pending.result()
        except TallystickError as failure:
            # A partner's statement that differs stays different: once is enough to tell.
            if self._told.get((what, partner)) != str(failure):
                self._told[what, partner] = str(failure)
                _LOG.warning("settlement_waits", act=what, partner=partner, code=failure.code, detail=str(failure))
        else:
            self._told.pop((what, partner), None)
