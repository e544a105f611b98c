"""The reader of the fake store, the part about settlement: lines of windows, statements, bodies about them."""

from collections.abc import Callable
from typing import TypeVar

from node.store.reader import StoreReader
from node.store.rows import ReceivedMessage
from protocol.identifiers import Digest, Id, Ledger
from protocol.ledger.state import LINES, STATEMENTS, LineRecord, StatementRecord, Table, Way
from scripts.simulation.store import Disk

_K = TypeVar("_K")
_R = TypeVar("_R")
_Line = tuple[tuple[Ledger, Way, int], LineRecord]


class SettlementReader(StoreReader):
    """Reads what was committed last."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk

    def record(self, table: Table[_K, _R], key: _K) -> _R | None:
        """Return one row of the ledger's state, or None."""
        return self._disk.state.row(table, key)

    def statement_named(self, digest: Digest) -> tuple[tuple[Ledger, int], StatementRecord] | None:
        """Return the agreed statement with this digest, and its partner and window, or None."""
        rows = self._disk.state.table(STATEMENTS).items()
        return next((row for row in rows if row[1].digest == digest), None)

    def lines(self, partner: Ledger, window: int) -> list[_Line]:
        """Return the lines of a window, each direction in the order of its decisions."""
        return self._lines(lambda row: (row[0][0], row[1].window) == (partner, window))

    def lines_of_way(self, partner: Ledger, way: Way, window: int, *, limit: int, after: int = 0) -> list[_Line]:
        """Return the lines of one direction of a window in the order of its decisions, those after one number."""
        found = self._lines(lambda row: (*row[0][:2], row[1].window) == (partner, way, window))
        return [row for row in found if row[0][2] > after][:limit]

    def lines_of_conversion(self, partner: Ledger, conversion: Id) -> list[_Line]:
        """Return the lines that name a conversion."""
        return self._lines(lambda row: (row[0][0], row[1].conversion) == (partner, conversion))

    def message_received(self, digest: Digest) -> ReceivedMessage | None:
        """Return the first receipt of a partner's body, with its envelope, or None."""
        return next((each for each in self._disk.state.words if each.digest == digest), None)

    def bodies_received(self, partner: Ledger, kind: str, *, from_number: int, limit: int) -> list[bytes]:
        """Return bodies of a kind that `partner` has sent us, in the order of receipt, from `from_number` on."""
        words = self._disk.state.words[from_number:]
        return [each.body for each in words if (each.partner, each.kind) == (partner, kind)][:limit]

    def _lines(self, wanted: Callable[[_Line], bool]) -> list[_Line]:
        return sorted(filter(wanted, self._disk.state.table(LINES).items()), key=lambda row: row[0])
