"""Keys and randomness of the tests' brands, the same in each run."""

from collections.abc import Sequence
from random import Random

from protocol.identifiers import Digest
from protocol.keys import Role, SigningKey
from tests.support.documents import Side, digest, log_key


class SeededRandomness:
    """Bytes that look random and are the same in each run."""

    def __init__(self, seed: str) -> None:
        self._random = Random(seed)

    def token(self, count: int) -> bytes:
        return self._random.randbytes(count)


class SideKeyring:
    """The keys of a brand of the tests."""

    def __init__(self, side: Side) -> None:
        self._side = side

    def key(self, role: Role) -> SigningKey:
        return self._side.signing_keys[role]

    def log_keys(self) -> Sequence[SigningKey]:
        return [self.key(Role.LOG), log_key(self._side, 1)]

    def committed(self, note: bytes) -> None:
        pass

    def last_committed(self) -> bytes | None:
        return None

    @property
    def next_log_key(self) -> Digest:
        return digest(f"{self._side.ledger} next")
