"""A log that a test writes by itself: leaves, checkpoints, proofs, and the requests that it makes of witnesses."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from protocol.checkpoint import Checkpoint, sign_checkpoint
from protocol.keys import SigningKey
from protocol.merkle import Hash, MemoryTree, leaf_hash
from protocol.note import Note, Verifier, parse_note
from protocol.witness import AddCheckpoint, format_add_checkpoint


def leaves_of(story: str, count: int) -> list[Hash]:
    """Return the leaves of a log with this story."""
    return [leaf_hash(f"{story} {number}".encode()) for number in range(count)]


@dataclass(frozen=True, slots=True)
class TestLog:
    """A log of as many leaves as it has, under any of its sizes; `key` signs."""

    __test__ = False

    origin: str
    key: SigningKey
    leaves: Sequence[Hash] = field(default_factory=lambda: leaves_of("entry", 40))

    @property
    def verifier(self) -> Verifier:
        return Verifier(self.origin, self.key.public)

    def checkpoint(self, size: int) -> Checkpoint:
        return Checkpoint(origin=self.origin, size=size, root=MemoryTree(self.leaves[:size]).root())

    def note(self, size: int) -> Note:
        return parse_note(sign_checkpoint(self.checkpoint(size), key=self.key))

    def proof(self, old_size: int, size: int) -> tuple[Hash, ...]:
        return MemoryTree(self.leaves[:size]).consistency_proof(old_size) if 0 < old_size <= size else ()

    def asks(self, old_size: int, size: int) -> AddCheckpoint:
        """Return an honest request."""
        return AddCheckpoint(old_size=old_size, proof=self.proof(old_size, size), note=self.note(size))

    def request(self, old_size: int, size: int) -> bytes:
        """Return an honest request's bytes."""
        return format_add_checkpoint(self.asks(old_size, size))
