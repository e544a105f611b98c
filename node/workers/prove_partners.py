"""Proofs: holds what partners have shown of their logs against what they publish, several partners at once."""

from concurrent.futures import ThreadPoolExecutor
from typing import Final

from node.services.partner_logs.proving import Proving

INTERVAL_SECONDS: Final = 5.0
_THREADS_MAX: Final = 8


class ProvePartners:
    """Looks at each partner of whose log something is not proved yet; one that cannot be read holds up nobody."""

    def __init__(self, proving: Proving) -> None:
        """Prepare a pool of threads."""
        self._proving = proving
        self._pool = ThreadPoolExecutor(_THREADS_MAX, thread_name_prefix="prove")

    def step(self) -> None:
        """Prove what can be proved now, and return once each partner was looked at; raise what a bug raised."""
        asked = [self._pool.submit(self._proving.prove, partner) for partner in self._proving.due()]
        for each in asked:
            each.result()

    def close(self) -> None:
        """Let proofs end and begin no more."""
        self._pool.shutdown(wait=True, cancel_futures=True)
