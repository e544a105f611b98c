"""Cosigned and proved checkpoints as they go into the store and come out of it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PutWitnessed:
    """Keep what this node, as a witness, cosigned last of a log: the note has the log's signature and our own."""

    origin: str
    size: int
    note: bytes


@dataclass(frozen=True, slots=True)
class PutPublished:
    """Keep what was published last of our own log: the note has our signature, and those of witnesses."""

    origin: str
    size: int
    note: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvedLog:
    """Keep how far the log `origin` of a partner is proved to be one.

    All its kept checkpoints with numbers below `next_number` were compared with `note`, of `size` entries, which the
    partner had published at `proved_at`: each is of that log, or there is evidence of a fork. `fault` says what could
    not be proved since, where what the partner serves contradicts what it signed and proves nothing to strangers.
    """

    origin: str
    next_number: int
    size: int
    note: bytes
    proved_at: str
    fault: str | None


@dataclass(frozen=True, slots=True)
class CosignedCheckpoint:
    """A checkpoint of the log `origin`, with the signatures that came with it."""

    origin: str
    size: int
    note: bytes
