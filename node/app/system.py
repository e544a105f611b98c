"""The real world behind the ports: this machine's clock, the kernel's randomness, key files."""

import os
import stat
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from protocol.errors import KeyInvalid, TallystickError
from protocol.identifiers import Digest
from protocol.keys import PublicKey, Role, SigningKey

KEYS: Final = "keys"
NEXT_LOG: Final = "next_log"
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


class KeyFileInvalid(TallystickError):
    """A key file is missing, unreadable, or readable by others."""

    code = "key_file_invalid"


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

    def __init__(self, keys: Mapping[Role, SigningKey], *, next_log_key: PublicKey) -> None:
        self._keys = dict(keys)
        self._next_log_key = next_log_key

    def key(self, role: Role) -> SigningKey:
        """Return the key of `role`."""
        return self._keys[role]

    @property
    def next_log_key(self) -> Digest:
        """Return the digest of the log key that will follow, committed ahead."""
        return self._next_log_key.digest


def read_keyring(directory: Path) -> SeedKeyring:
    """Return the keys in the node directory `directory`, or raise `KeyFileInvalid`."""
    keys = {role: _read_seed(seed_path(directory, role)) for role in Role}
    return SeedKeyring(keys, next_log_key=_read_seed(seed_path(directory, NEXT_LOG)).public)


def seed_path(directory: Path, role: str) -> Path:
    """Return where the seed of `role` is kept."""
    return directory / KEYS / f"{role}.seed"


def _read_seed(path: Path) -> SigningKey:
    try:
        if path.stat().st_mode & _OTHERS:
            raise KeyFileInvalid(f"{path} can be read by others: chmod 600 {path}")
        return SigningKey.parse_seed(path.read_text(encoding="ascii").strip())
    except (OSError, UnicodeError) as error:
        raise KeyFileInvalid(f"{path} cannot be read: {type(error).__name__}") from error
    except KeyInvalid as error:
        raise KeyFileInvalid(f"{path}: {error}") from error
