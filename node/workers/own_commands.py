"""The node's own commands, a batch a step: one that was settled meanwhile, or fails, is noted and passed over."""

from collections.abc import Iterable
from typing import Final

import structlog

from node.services.answers import EntryAnswer
from node.services.pending import Pending
from protocol.errors import Refusal, TallystickError

_LOG: Final = structlog.get_logger()


def wait_for_each(pending: Iterable[Pending[EntryAnswer]], *, refused: str, failed: str) -> None:
    """Wait until all are done; `refused` and `failed` are how the log calls what was not."""
    for each in pending:
        try:
            each.result()
        except Refusal as refusal:
            _LOG.info(refused, code=refusal.code)
        except TallystickError as failure:
            _LOG.warning(failed, code=failure.code)
