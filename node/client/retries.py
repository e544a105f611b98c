"""When a request is sent again: it is the same request, so the node does it once however often it comes."""

from dataclasses import dataclass
from typing import Final

_ASKED_SECONDS_MAX: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Retries:
    """How often a request is sent, and how long is waited in between: twice as long each time, up to a bound.

    A connection that broke off is always tried again. A node that cannot be reached, or says that it cannot answer now,
    is waited for only with `waits`; where it says for how long (`Retry-After`), for so long.
    """

    attempts: int
    waits: bool
    first_seconds: float = 0.2
    most_seconds: float = 5.0

    def seconds(self, attempt: int, *, asked: str | None, part: float) -> float:
        """Return how long to wait after the attempt of that number, from 1; `part`, from 0 to 1, spreads callers."""
        doubled = min(self.first_seconds * 2.0 ** (attempt - 1), self.most_seconds)
        spread = doubled * (1 + part) / 2
        wanted = min(float(asked), _ASKED_SECONDS_MAX) if asked is not None and asked.isdecimal() else 0.0
        return max(spread, wanted)


ONCE_MORE: Final = Retries(attempts=2, waits=False)
"""For a person, who would rather be told: a node drops idle connections, and a request may meet one just closing."""

PATIENT: Final = Retries(attempts=8, waits=True)
"""For programs: half a minute through a restart of the node, and longer where it says so."""
