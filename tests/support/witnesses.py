"""Witnesses that a test plays: each decides as the standard says, unless it is told to do something else."""

from collections.abc import Callable
from dataclasses import dataclass, field

from node.ports import TransportFailed, WitnessAnswer
from node.services.logs.cosigning import Cosigner
from protocol.checkpoint import Checkpoint, sign_cosignature
from protocol.keys import SigningKey
from protocol.note import KeyType, Note, Verifier, format_note
from protocol.witness import (
    Accepted,
    AddCheckpoint,
    Known,
    Reply,
    cosigned,
    decide,
    monitor_path,
    parse_add_checkpoint,
)

Act = Callable[[AddCheckpoint], WitnessAnswer]


@dataclass
class PlayedWitness:
    """One witness: what it knows of logs, what it was asked, and what it does instead of deciding, if anything."""

    name: str
    trusted: tuple[Verifier, ...]
    asked: list[AddCheckpoint] = field(default_factory=list)
    shown: dict[str, Note] = field(default_factory=dict)
    last: dict[str, Checkpoint] = field(default_factory=dict)
    act: Act | None = None
    is_up: bool = True
    time_seconds: int = 1_800_000_000

    @property
    def key(self) -> SigningKey:
        return SigningKey(self.name.encode().ljust(32, b".")[:32])

    @property
    def cosigner(self) -> Cosigner:
        """Return the witness as a log knows it."""
        return Cosigner(Verifier(self.name, self.key.public, KeyType.COSIGNATURE), f"https://{self.name}/w")

    def answer(self, data: bytes) -> WitnessAnswer:
        asked = parse_add_checkpoint(data)
        self.asked.append(asked)
        if self.act is not None:
            return self.act(asked)
        origin = asked.checkpoint.origin
        trusted = tuple(each for each in self.trusted if each.name == origin)
        decision = decide(asked, Known(trusted=trusted, last=self.last.get(origin)))
        reply = self._cosign(decision) if isinstance(decision, Accepted) else decision.reply
        return WitnessAnswer(status=int(reply.status), body=reply.body)

    def _cosign(self, accepted: Accepted) -> Reply:
        checkpoint = accepted.checkpoint
        line = sign_cosignature(checkpoint, name=self.name, key=self.key, time_seconds=self.time_seconds)
        self.last[checkpoint.origin] = checkpoint
        self.shown[checkpoint.origin] = accepted.note.with_signatures([line])
        return cosigned([line])


class PlayedWitnesses:
    """All witnesses of a test, by their URLs."""

    def __init__(self, *witnesses: PlayedWitness) -> None:
        self._by_url = {each.cosigner.url: each for each in witnesses}

    def add_checkpoint(self, url: str, request: bytes) -> WitnessAnswer:
        return self._reach(url).answer(request)

    def latest(self, url: str, path: str, *, credential: str | None = None) -> bytes | None:
        for origin, note in self._reach(url).shown.items():
            if monitor_path(origin) == path:
                return format_note(note)
        return None

    def _reach(self, url: str) -> PlayedWitness:
        witness = self._by_url.get(url)
        if witness is None or not witness.is_up:
            raise TransportFailed("connection refused")
        return witness
