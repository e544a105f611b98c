"""How often a caller may ask: a token bucket for each credential, and one for each address that shows none.

A bucket holds a minute's requests and fills steadily. There is a bound on buckets, so that nobody fills the memory by
asking under ever new names; the one that was not used for longest goes first.
"""

import math
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from node.ports import Clock
from node.services.access.credentials import Caller, CallerRole
from node.services.refusals import NodeCode, NodeRefusal

BUCKETS_MAX: Final = 16_384
MINUTE: Final = 60.0
PER_MINUTE_MAX: Final = 10_000_000

PER_MINUTE: Final[Mapping[CallerRole, int]] = {
    CallerRole.VIEWER: 6_000,
    CallerRole.SUPPORT: 6_000,
    CallerRole.MANAGER: 6_000,
    CallerRole.ADMINISTRATOR: 60_000,
    CallerRole.BACKEND: 600_000,
    CallerRole.AUDITOR: 60_000,
    CallerRole.PARTNER: 6_000,
    CallerRole.MEMBER: 600,
}
"""What a credential of a role may ask in a minute, unless the configuration or the credential itself says otherwise."""

STRANGER_PER_MINUTE: Final = 600
"""How many requests in a minute one address may make with credentials that nobody knows."""


class RateLimited(NodeRefusal):
    """The caller has used up its requests; in `retry_after` whole seconds there is one again."""

    def __init__(self, *, per_minute: int, retry_after: int) -> None:
        super().__init__(NodeCode.RATE_LIMITED, f"more than {per_minute} requests in a minute: wait, then repeat")
        self.per_minute = per_minute
        self.retry_after = retry_after


@dataclass(slots=True)
class _Bucket:
    left: float
    at: float


class RateLimiter:
    """Counts requests; safe to use from several threads."""

    def __init__(self, clock: Clock, *, per_minute: Mapping[CallerRole, int], stranger_per_minute: int) -> None:
        """Count against `per_minute`, by role, and `stranger_per_minute`, by address."""
        self._clock = clock
        self._per_minute = {**PER_MINUTE, **per_minute}
        self._stranger = stranger_per_minute
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()
        self._lock = threading.Lock()

    def count(self, caller: Caller) -> None:
        """Take one request off what `caller` may ask, or raise `RateLimited`."""
        per_minute = self._per_minute[caller.role] if caller.per_minute is None else caller.per_minute
        self._take(f"{caller.role} {caller.id}", per_minute)

    def check_stranger(self, address: str) -> None:
        """Raise `RateLimited` for an address that has shown too many credentials which nobody knows."""
        with self._lock:
            bucket = self._buckets.get(f"address {address}")
            left = 1.0 if bucket is None else self._filled(bucket, self._stranger)
        if left < 1:
            raise _limited(self._stranger, left)

    def count_stranger(self, address: str) -> None:
        """Take note of a credential that nobody knows, or raise `RateLimited`."""
        self._take(f"address {address}", self._stranger)

    def _take(self, name: str, per_minute: int) -> None:
        with self._lock:
            bucket = self._buckets.get(name)
            if bucket is None:
                bucket = self._buckets[name] = _Bucket(float(per_minute), self._clock.monotonic())
                if len(self._buckets) > BUCKETS_MAX:
                    self._buckets.popitem(last=False)
            self._buckets.move_to_end(name)
            left = self._filled(bucket, per_minute)
            if left >= 1:
                bucket.left = left - 1
        if left < 1:
            raise _limited(per_minute, left)

    def _filled(self, bucket: _Bucket, per_minute: int) -> float:
        now = self._clock.monotonic()
        bucket.left = min(per_minute, bucket.left + (now - bucket.at) * per_minute / MINUTE)
        bucket.at = now
        return bucket.left


def _limited(per_minute: int, left: float) -> RateLimited:
    return RateLimited(per_minute=per_minute, retry_after=max(1, math.ceil((1 - left) * MINUTE / per_minute)))
