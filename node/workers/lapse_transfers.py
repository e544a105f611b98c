"""Lapse: gives back transfers that nobody can accept any more, and forgets what no screen looks at any more."""

from typing import Final

import structlog

from node.services.transfers import TransfersService
from protocol.errors import Refusal, TallystickError

BATCH_MAX: Final = 256
INTERVAL_SECONDS: Final = 5.0
_LOG: Final = structlog.get_logger()


class LapseTransfers:
    """Gives lapsed transfers back, a batch a step."""

    def __init__(self, transfers: TransfersService) -> None:
        self._transfers = transfers

    def step(self) -> None:
        """Give back what has lapsed now; what was decided meanwhile is passed over."""
        pending = [self._transfers.lapse(transfer) for transfer in self._transfers.lapsed(BATCH_MAX)]
        for each in pending:
            try:
                each.result()
            except Refusal as refusal:
                _LOG.info("transfer_not_lapsed", code=refusal.code)
            except TallystickError as failure:
                _LOG.warning("transfer_lapse_failed", code=failure.code)
        self._transfers.forget_traces(BATCH_MAX)
