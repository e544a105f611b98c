"""Reading what was cosigned last, by this node and by others, and how far partners' logs are proved to be one."""

from typing import Final

from sqlalchemy import bindparam, select

from node.store.reads import Reads
from node.store.rows_witness import CosignedCheckpoint, ProvedLog
from node.store.schema_witness import PROVED, PUBLISHED, WITNESSED

_WITNESSED: Final = select(WITNESSED).order_by(WITNESSED.c.origin)
_OF_LOG: Final = select(WITNESSED).where(WITNESSED.c.origin == bindparam("origin"))


class WitnessReads(Reads):
    """The last cosigned checkpoint of each log."""

    def witnessed(self, origin: str) -> CosignedCheckpoint | None:
        """Return what this node cosigned last of the log `origin`, or None."""
        return next(iter(self._found(CosignedCheckpoint, _OF_LOG, origin=origin)), None)

    def all_witnessed(self) -> list[CosignedCheckpoint]:
        """Return what this node cosigned last of each log, in the order of their origins."""
        return self._objects(CosignedCheckpoint, _WITNESSED)

    def published(self, origin: str) -> CosignedCheckpoint | None:
        """Return what was published last of our own log under the name `origin`, or None."""
        wanted = select(PUBLISHED).where(PUBLISHED.c.origin == origin)
        return next(iter(self._objects(CosignedCheckpoint, wanted)), None)

    def proved(self, origin: str) -> ProvedLog | None:
        """Return how far the log `origin` of a partner is proved to be one, or None where nothing is."""
        wanted = select(PROVED).where(PROVED.c.origin == origin)
        return next(iter(self._objects(ProvedLog, wanted)), None)
