"""The real world behind the ports: this machine's clock, the kernel's randomness, keys in memory."""

import os
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from protocol.errors import TallystickError
from protocol.identifiers import Digest
from protocol.keys import PublicKey, Role, SigningKey


class NextKeyElsewhere(TallystickError):
    """The log key that will follow is kept in another place; it is needed where it is committed to or put to use."""

    code = "next_key_elsewhere"


class SystemClock:
    """This machine's clock."""

    def now(self) -> datetime:
        """Return the wall time in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds since an arbitrary start."""
        return time.monotonic()


class SystemRandomness:
    """The kernel's random number generator."""

    def token(self, count: int) -> bytes:
        """Return `count` random bytes."""
        return os.urandom(count)


class SeedKeyring:
    """A ledger's private keys, held in memory."""

    def __init__(
        self, keys: Mapping[Role, SigningKey], *, next_log_key: PublicKey | None, later: Sequence[SigningKey] = ()
    ) -> None:
        """Hold a key for each role; the log has got the keys `later` after its first."""
        self._keys = dict(keys)
        self._later = tuple(later)
        self._next_log_key = next_log_key
        self._committed: bytes | None = None

    def key(self, role: Role) -> SigningKey:
        """Return the key of `role`."""
        return self._keys[role]

    def log_keys(self) -> Sequence[SigningKey]:
        """Return the keys of the log, from its first on."""
        return (self._keys[Role.LOG], *self._later)

    def committed(self, note: bytes) -> None:
        """Remember `note` as long as the keys: the store may come back as an older copy of itself."""
        self._committed = note

    def last_committed(self) -> bytes | None:
        """Return what was remembered last, or None where nothing was."""
        return self._committed

    @property
    def next_log_key(self) -> Digest:
        """Return the digest of the log key that will follow, or raise `NextKeyElsewhere`."""
        if self._next_log_key is None:
            raise NextKeyElsewhere("the log key that will follow is not among the node's keys")
        return self._next_log_key.digest
