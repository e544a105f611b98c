"""Expiry: gives back what remains of holds whose time has passed."""

from typing import Final

from node.services.program.points import PointsService
from node.workers.own_commands import wait_for_each

BATCH_HOLDS_MAX: Final = 256
INTERVAL_SECONDS: Final = 1.0


class ExpireHolds:
    """Releases expired holds, a batch a step."""

    def __init__(self, points: PointsService) -> None:
        self._points = points

    def step(self) -> None:
        """Release the holds that are expired now; one that was settled meanwhile is passed over."""
        pending = [self._points.expire_hold(hold) for hold in self._points.expired_holds(BATCH_HOLDS_MAX)]
        wait_for_each(pending, refused="hold_not_expired", failed="hold_expiry_failed")
