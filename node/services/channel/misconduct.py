"""What partners sign that no honest ledger signs: noticed in their parcels, kept as files that anybody can check.

A parcel is looked through in the transaction that takes it in, since nothing else keeps a second body of one frame.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, Protocol

import msgspec
import structlog

from node.engine.work import Desk
from node.services.channel.peer import Peer, Promised
from node.services.logs.pages import sighting_of as sighting_of_received
from node.store.rows import ReceivedBody, ReceivedEnvelope, ReceivedMessage
from node.store.rows_accusations import Accusation
from protocol.audit.evidence import Contradiction, Evidence, MissingEntry, Subject, encode_evidence, prove
from protocol.audit.known import PartnerKeys
from protocol.audit.messages import is_addressed, reference_of
from protocol.checkpoint import Checkpoint, parse_checkpoint
from protocol.envelope import Frame, Header, Parcel, Sighting, decode_envelope, sighting_of
from protocol.errors import CouldNotCheck, ProtocolError
from protocol.identifiers import Digest, Ledger
from protocol.ledger.state import PartnerRecord
from protocol.messages import Body
from protocol.note import parse_note

_LOG: Final = structlog.get_logger()

_SHOW: Final = "show the file of evidence to the partner and to whoever judges between you"
TO_DO: Final[Mapping[Subject, str]] = {
    Subject.PLACE: f"the first of the two counts and the other changed nothing; {_SHOW}",
    Subject.DECISION: f"the first decision counts here; a REJECT binds the partner: dispute the line; {_SHOW}",
    Subject.ORDER: f"the first order counts and nothing is owed for another; {_SHOW}",
    Subject.CLOSE: f"do not sign the window's statement until it is cleared; {_SHOW}",
    Subject.ENTRY: f"take no more orders until it is cleared; {_SHOW}",
    Subject.PROMISE: f"dispute the line: what was promised is not in the partner's log; {_SHOW}",
    Subject.LOG: f"stop converting with this partner: it shows two histories; {_SHOW}",
}
"""What an operator does about evidence, by what it is about."""


class AccusationReads(Protocol):
    """What the store tells about evidence, and about the words of which it is made."""

    def is_accused(self, partner: Ledger, subject: str, name: str) -> bool:
        """Return whether there is evidence against `partner` about this very thing."""

    def received_places(
        self, partner: Ledger, *, epoch: int, epoch_nonce: str, first_seq: int, last_seq: int
    ) -> dict[int, Digest]:
        """Return which bodies were first received in these frames of the partner's stream, by the frames' `seq`."""

    def received_in(self, partner: Ledger, *, epoch: int, epoch_nonce: str, seq: int) -> ReceivedMessage | None:
        """Return the body that was first received in a frame of the partner's stream, or None."""


def keys_of(ledger: Ledger, record: PartnerRecord) -> PartnerKeys:
    """Return the keys by which what a partner signed is judged."""
    return PartnerKeys(ledger=ledger, network=record.network, keys=record.keys)


def fork_name(checkpoint: Checkpoint) -> tuple[str, str]:
    """Return what evidence that a log had another root at this size is about."""
    return Subject.LOG.value, f"{checkpoint.origin} {checkpoint.size}"


def accuse(desk: Desk, store: AccusationReads, evidence: Evidence, *, keys: PartnerKeys) -> bool:
    """Keep `evidence` if it shows something of which there is none yet, and return whether it does."""
    try:
        proved, data = prove(evidence, keys), encode_evidence(evidence)
    except (ProtocolError, CouldNotCheck):
        return False
    thing = (keys.ledger, proved.subject.value, proved.name)
    staged = (write for write in desk.staged() if isinstance(write, Accusation))
    if store.is_accused(*thing) or any((each.partner, each.subject, each.name) == thing for each in staged):
        return False
    digest = Digest(sha256(data).hexdigest())
    _LOG.error("partner_accused", partner=keys.ledger, subject=proved.subject, about=proved.text, evidence=digest)
    desk.stage(
        Accusation(
            digest=digest,
            partner=keys.ledger,
            kind=str(evidence.__struct_config__.tag),
            subject=proved.subject,
            name=proved.name,
            conversion=proved.conversion,
            found_at=desk.time,
            evidence=data,
        )
    )
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """Looks through a verified parcel, before it is applied, for what its sender contradicts itself in."""

    store: AccusationReads
    peer: Peer
    parcel: Parcel
    bodies: Sequence[Body]

    def look(self, desk: Desk, *, repeated: int) -> None:
        """Keep evidence of what is found; the parcel's first `repeated` frames are not due."""
        keys = keys_of(self.peer.ledger, self.peer.record)
        found: list[Evidence] = [*self._two_bodies(desk, self.parcel.frames[:repeated]), *self._missing_entry()]
        for evidence in found:
            accuse(desk, self.store, evidence, keys=keys)

    def _two_bodies(self, desk: Desk, frames: Sequence[Frame]) -> Iterator[Contradiction]:
        """Yield a contradiction for each frame in which another body came before."""
        if not frames:
            return
        header, partner = self.parcel.header, self.peer.ledger
        known = self.store.received_places(
            partner,
            epoch=header.epoch,
            epoch_nonce=header.epoch_nonce,
            first_seq=frames[0].seq,
            last_seq=frames[-1].seq,
        )
        staged = {each.frame.seq: each for each in _staged(desk, header)}
        for offset, frame in enumerate(frames):
            first: Sighting | None = None
            if frame.seq in staged:
                first = staged[frame.seq]
            elif known.get(frame.seq, frame.body) != frame.body:
                first = self._kept(header.epoch, header.epoch_nonce, frame.seq)
            if first is not None and first.frame.body != frame.body:
                yield Contradiction(first=first, second=sighting_of(self.parcel, offset))

    def _missing_entry(self) -> Iterator[MissingEntry]:
        """Yield the evidence that the checkpoint shown with the last frame lacks an entry named until then."""
        header, before = self.parcel.header, self.peer.promised
        promised = self._furthest(header)
        self.peer.promised = promised
        if promised is None or header.checkpoint is None or promised.epoch != header.epoch:
            return
        checkpoint = parse_checkpoint(parse_note(header.checkpoint.encode()).text)
        if checkpoint.origin != header.sender or checkpoint.size > promised.entry_seq:
            return
        last = self.parcel.frames[-1:]
        if not last or last[0].seq < promised.frame_seq:
            return
        kept = self._kept(promised.epoch, promised.epoch_nonce, promised.frame_seq) if promised == before else None
        promise = kept or sighting_of(self.parcel, max(promised.frame_seq - header.first_seq, 0))
        yield MissingEntry(promise=promise, later=sighting_of(self.parcel, len(self.parcel.frames) - 1))

    def _furthest(self, header: Header) -> Promised | None:
        """Return the furthest entry that the partner has named in the envelope's epoch, this parcel included."""
        known = self.peer.promised
        if known is not None and (known.epoch, known.epoch_nonce) != (header.epoch, header.epoch_nonce):
            if header.epoch < known.epoch:
                return known
            known = None
        for frame, body in zip(self.parcel.frames, self.bodies, strict=True):
            named = reference_of(body)
            if named is None or (known is not None and named.seq <= known.entry_seq) or not is_addressed(body, header):
                continue
            known = Promised(
                epoch=header.epoch, epoch_nonce=header.epoch_nonce, frame_seq=frame.seq, entry_seq=named.seq
            )
        return known

    def _kept(self, epoch: int, epoch_nonce: str, seq: int) -> Sighting | None:
        found = self.store.received_in(self.peer.ledger, epoch=epoch, epoch_nonce=epoch_nonce, seq=seq)
        return None if found is None else sighting_of_received(found)


def _staged(desk: Desk, header: Header) -> Iterator[Sighting]:
    """Yield the bodies of the stream of `header` that this commit keeps and no reader sees yet."""
    envelope = b""
    for write in desk.staged():
        if isinstance(write, ReceivedEnvelope):
            envelope = write.envelope
        elif isinstance(write, ReceivedBody) and (write.partner, write.epoch, write.epoch_nonce) == (
            header.sender, header.epoch, header.epoch_nonce,
        ):  # fmt: skip
            yield Sighting(
                body=msgspec.Raw(write.body),
                frame=Frame(seq=write.frame_seq, body=write.digest),
                path=write.path,
                envelope=decode_envelope(envelope),
            )
