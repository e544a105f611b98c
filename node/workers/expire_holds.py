"""Expiry: gives back what remains of holds whose time has passed."""

from typing import Final

import structlog

from node.services.points import PointsService
from protocol.errors import Refusal, TallystickError

BATCH_HOLDS_MAX: Final = 256
INTERVAL_SECONDS: Final = 1.0
_LOG: Final = structlog.get_logger()


class ExpireHolds:
    """Releases expired holds, a batch a step."""

    def __init__(self, points: PointsService) -> None:
        self._points = points

    def step(self) -> None:
        """Release the holds that are expired now; one that was settled meanwhile is passed over."""
        pending = [self._points.expire_hold(hold) for hold in self._points.expired_holds(BATCH_HOLDS_MAX)]
        for each in pending:
            try:
                each.result()
            except Refusal as refusal:
                _LOG.info("hold_not_expired", code=refusal.code)
            except TallystickError as failure:
                _LOG.warning("hold_expiry_failed", code=failure.code)
