"""Whom this node dials, and how often it asks a partner that cannot dial back (specs/file-exchange.md §6)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from node.store.reader import StoreReader
from protocol.identifiers import Ledger

POLL_SECONDS: Final = 30.0
"""How often a partner is asked for what waits there, where the agreement states no cycle."""

_REMEMBERED_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Dialling:
    """How a partner is reached: dialled or not, and asked every `poll_seconds` when there is nothing to send it."""

    dials: bool
    poll_seconds: float | None = None


class DiallingRules:
    """Reads from addresses and agreements whom to dial; an agreement's word counts a few seconds after its entry."""

    def __init__(self, reader: StoreReader, urls: Callable[[], Mapping[Ledger, str]]) -> None:
        """Read agreements with `reader`, and ask `urls` where partners listen."""
        self._reader = reader
        self._urls = urls
        self._agreed: dict[Ledger, tuple[float, str, int]] = {}

    def all(self, partners: list[Ledger], now: float) -> dict[Ledger, Dialling]:
        """Return how each of `partners` is reached at the monotonic time `now`."""
        urls = self._urls()
        return {ledger: self._one(ledger, now) if urls.get(ledger) else Dialling(dials=False) for ledger in partners}

    def _one(self, ledger: Ledger, now: float) -> Dialling:
        kind, cycle_seconds = self._transport(ledger, now)
        if kind == "files":
            return Dialling(dials=False)
        return Dialling(dials=True, poll_seconds=(cycle_seconds or POLL_SECONDS) if kind == "answers" else None)

    def _transport(self, ledger: Ledger, now: float) -> tuple[str, int]:
        known = self._agreed.get(ledger)
        if known is None or now >= known[0]:
            current = self._reader.current_agreement(ledger)
            transport = None if current is None else current[1].signed.agreement.transport
            kind, cycle = (transport.kind, transport.cycle_seconds) if transport else ("https", 0)
            known = self._agreed[ledger] = (now + _REMEMBERED_SECONDS, kind, cycle)
        return known[1], known[2]
