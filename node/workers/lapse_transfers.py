"""Lapse: gives back transfers that nobody can accept any more, and forgets what no screen looks at any more."""

from typing import Final

from node.services.members.transfers import TransfersService
from node.workers.own_commands import wait_for_each

BATCH_MAX: Final = 256
INTERVAL_SECONDS: Final = 5.0


class LapseTransfers:
    """Gives lapsed transfers back, a batch a step."""

    def __init__(self, transfers: TransfersService) -> None:
        self._transfers = transfers

    def step(self) -> None:
        """Give back what has lapsed now; what was decided meanwhile is passed over."""
        pending = [self._transfers.lapse(transfer) for transfer in self._transfers.lapsed(BATCH_MAX)]
        wait_for_each(pending, refused="transfer_not_lapsed", failed="transfer_lapse_failed")
        self._transfers.forget_traces(BATCH_MAX)
