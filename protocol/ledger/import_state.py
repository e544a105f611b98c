"""What a ledger knows of the files of balances that came into it."""

from typing import Final

import msgspec

from protocol.identifiers import Digest
from protocol.ledger.tables import Table


class ImportRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A file of `rows` balances, together `points`, as of the day `day`: `rows_done` of them, `points_done`, are in."""

    rows: int
    points: int
    day: str
    begun_seq: int
    rows_done: int = 0
    points_done: int = 0
    finished_seq: int | None = None


IMPORTS: Final[Table[Digest, ImportRecord]] = Table("imports", ImportRecord)
