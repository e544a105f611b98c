"""Files that prove misbehaviour to anybody with public keys: forks, contradictions, broken promises (specs/audit.md).

Each is made of what the misbehaving side signed itself, and shows no more of others than that takes.
"""

from typing import Annotated, Final, TypeAlias

import msgspec
from msgspec import Meta

from protocol.audit.known import KnownKeys
from protocol.audit.messages import reference_of
from protocol.checkpoint import Checkpoint, open_checkpoint, parse_checkpoint
from protocol.encoding import Codec
from protocol.envelope import Frame, Header, Sighting, verify_sighting
from protocol.errors import EvidenceInvalid
from protocol.fields import DigestField
from protocol.identifiers import Digest, Ledger
from protocol.limits import NOTE_BYTES_MAX, PARCEL_BYTES_MAX, PROOF_HASHES_MAX, RECEIPT_BYTES_MAX
from protocol.merkle import Hash, leaf_hash, verify_consistency
from protocol.messages import Body, Close, EntryReference, Fulfil, Prepare, Reject
from protocol.note import parse_note
from protocol.proof import OpenedReceipt, open_receipt

NoteText = Annotated[str, Meta(max_length=NOTE_BYTES_MAX)]


class _Evidence(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    v: Annotated[int, Meta(ge=1, le=1)] = 1


class Fork(_Evidence, frozen=True, kw_only=True, tag="fork"):
    """Two checkpoints of one log that no honest log signs.

    `root` is what the first entries of the later checkpoint's tree lead to, as many as the earlier one counts; `proof`
    shows it (RFC 6962 §2.1.2). The earlier checkpoint states another root.
    """

    earlier: NoteText
    later: NoteText
    root: DigestField
    proof: Annotated[tuple[DigestField, ...], Meta(max_length=PROOF_HASHES_MAX)]


class Contradiction(_Evidence, frozen=True, kw_only=True, tag="contradiction"):
    """Two messages of one sender of which at most one can be true."""

    first: Sighting
    second: Sighting


class BrokenPromise(_Evidence, frozen=True, kw_only=True, tag="broken_promise"):
    """A message that names an entry of its sender's log, and a receipt of that log for another entry at that place."""

    promise: Sighting
    receipt: Annotated[str, Meta(max_length=RECEIPT_BYTES_MAX)]


Evidence: TypeAlias = Fork | Contradiction | BrokenPromise

_CODEC: Final = Codec[Evidence](msgspec.json.Decoder(Evidence), error=EvidenceInvalid, bytes_max=2 * PARCEL_BYTES_MAX)


def encode_evidence(evidence: Evidence) -> bytes:
    """Return the bytes of a file of evidence."""
    return _CODEC.encode(evidence)


def decode_evidence(data: bytes) -> Evidence:
    """Return the evidence in `data`, nothing of it verified, or raise `EvidenceInvalid`."""
    return _CODEC.decode(data)


def open_fork(fork: Fork, known: KnownKeys) -> tuple[Checkpoint, Checkpoint]:
    """Return the two checkpoints once they are shown to contradict each other, or raise a `ProtocolError`."""
    earlier, later = (_opened(text, known) for text in (fork.earlier, fork.later))
    if earlier.origin != later.origin:
        raise EvidenceInvalid("the checkpoints are of two logs")
    root = Hash(bytes.fromhex(fork.root))
    verify_consistency(
        old_size=earlier.size,
        size=later.size,
        old_root=root,
        root=later.root,
        proof=[Hash(bytes.fromhex(node)) for node in fork.proof],
    )
    if root == earlier.root:
        raise EvidenceInvalid("the later checkpoint extends the earlier one, as it should")
    return earlier, later


def _opened(text: str, known: KnownKeys) -> Checkpoint:
    data = text.encode()
    origin = parse_checkpoint(parse_note(data).text).origin
    return open_checkpoint(data, known.for_notes(origin))


def open_contradiction(evidence: Contradiction, known: KnownKeys) -> tuple[Header, str]:
    """Return the sender's header and what it contradicts itself about, or raise a `ProtocolError`."""
    (header, body), (other, other_body) = (
        verify_sighting(each, key=known.channel_key(each.envelope)) for each in (evidence.first, evidence.second)
    )
    if (header.network, header.sender) != (other.network, other.sender):
        raise EvidenceInvalid("the two messages are not of one sender")
    about = _frames_contradict(header, evidence.first.frame, other, evidence.second.frame)
    if about is None and evidence.first.frame.body != evidence.second.frame.body:
        about = _bodies_contradict(body, other_body)
    if about is None:
        raise EvidenceInvalid("both messages can be true")
    return header, about


def _frames_contradict(header: Header, frame: Frame, other: Header, other_frame: Frame) -> str | None:
    place = (header.receiver, header.epoch, header.epoch_nonce, frame.seq)
    other_place = (other.receiver, other.epoch, other.epoch_nonce, other_frame.seq)
    if place == other_place and frame.body != other_frame.body:
        return f"what the frame {frame.seq} of epoch {header.epoch} says"
    return None


def _bodies_contradict(body: Body, other: Body) -> str | None:
    """Return what two different bodies of one sender cannot both say, or None."""
    if isinstance(body, Fulfil | Reject) and isinstance(other, Fulfil | Reject):
        if (body.key, body.prepare) == (other.key, other.prepare):
            return f"how the conversion {body.id} was decided"
    elif isinstance(body, Prepare) and isinstance(other, Prepare) and body.key == other.key:
        return f"what the conversion {body.id} is"
    elif isinstance(body, Close) and isinstance(other, Close) and _window(body) == _window(other):
        return f"what it credited from {body.receiver} in window {body.window}"
    one, two = reference_of(body), reference_of(other)
    if one is not None and two is not None and one.seq == two.seq and one.leaf != two.leaf:
        return f"what its entry {one.seq} is"
    return None


def _window(body: Close) -> tuple[Ledger, int]:
    return body.receiver, body.window


def open_broken_promise(evidence: BrokenPromise, known: KnownKeys) -> tuple[Header, EntryReference, OpenedReceipt]:
    """Return who promised which entry and what stands in its place, or raise a `ProtocolError`."""
    header, body = verify_sighting(evidence.promise, key=known.channel_key(evidence.promise.envelope))
    promised = reference_of(body)
    if promised is None:
        raise EvidenceInvalid("the message names no entry of its sender's log")
    opened = open_receipt(evidence.receipt.encode(), known.for_notes(header.sender))
    if (opened.checkpoint.origin, opened.index) != (header.sender, promised.seq):
        raise EvidenceInvalid("the receipt is not for the promised place")
    if Digest(leaf_hash(opened.entry).hex()) == promised.leaf:
        raise EvidenceInvalid("the promised entry is in its place")
    return header, promised, opened
