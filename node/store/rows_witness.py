"""Cosigned checkpoints as they go into the store and come out of it."""

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


@dataclass(frozen=True, slots=True)
class CosignedCheckpoint:
    """A checkpoint of the log `origin`, with the signatures that came with it."""

    origin: str
    size: int
    note: bytes
