"""Checkpoints: a log's name, size and root as a signed note (C2SP tlog-checkpoint v1.0.0; specs/notes.md).

Also what witnesses add to them, the cosignature/v1 (C2SP tlog-cosignature v1.0.1), and the rule by which one
checkpoint extends another.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from protocol.errors import CheckpointInvalid, NoteInvalid, ProofInvalid, SignatureInvalid
from protocol.keys import SIGNATURE_BYTES, Signer, decode_base64, encode_base64
from protocol.limits import LOG_SIZE_MAX
from protocol.merkle import EMPTY_ROOT, HASH_BYTES, Hash, verify_consistency
from protocol.note import (
    TIME_BYTES,
    KeyType,
    Note,
    NoteSignature,
    Verifier,
    cosigned_message,
    format_note,
    parse_note,
    sign_note,
    signers_of,
)

_DECIMAL: Final = re.compile("0|[1-9][0-9]{0,15}")
_LINE: Final = re.compile(r"[^\x00-\x1f\ud800-\udfff]+")
_LINES_MIN: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A log's state: the tree of `size` leaves under `root`. Logs of this protocol have no extension lines."""

    origin: str
    size: int
    root: Hash
    extensions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Raise `CheckpointInvalid` for parts that no checkpoint can carry."""
        if not all(map(_LINE.fullmatch, (self.origin, *self.extensions))):
            raise CheckpointInvalid("a checkpoint's lines are not empty and hold no control character")
        if not 0 <= self.size <= LOG_SIZE_MAX:
            raise CheckpointInvalid(f"a log has at most {LOG_SIZE_MAX} leaves")
        if len(self.root) != HASH_BYTES:
            raise CheckpointInvalid(f"a root is {HASH_BYTES} bytes long")


def format_checkpoint(checkpoint: Checkpoint) -> str:
    """Return the text that a log signs (C2SP tlog-checkpoint, Note text)."""
    lines = (checkpoint.origin, str(checkpoint.size), encode_base64(checkpoint.root), *checkpoint.extensions)
    return "".join(f"{line}\n" for line in lines)


def parse_checkpoint(text: str) -> Checkpoint:
    """Return the checkpoint that a note's `text` states, extension lines included, or raise `CheckpointInvalid`."""
    lines = text.split("\n")
    if lines.pop() or len(lines) < _LINES_MIN:
        raise CheckpointInvalid(f"a checkpoint has at least {_LINES_MIN} lines")
    origin, size_text, root_text, *extensions = lines
    size, root = parse_decimal(size_text), decode_base64(root_text)
    if size is None or root is None:
        raise CheckpointInvalid("the size or the root of a checkpoint is not in its one spelling")
    return Checkpoint(origin=origin, size=size, root=Hash(root), extensions=tuple(extensions))


def parse_decimal(text: str) -> int | None:
    """Return the number that `text` spells in ASCII decimal without leading zeros, or None; at most 16 digits."""
    return int(text) if _DECIMAL.fullmatch(text) else None


def sign_checkpoint(checkpoint: Checkpoint, *, key: Signer, later: Sequence[Signer] = ()) -> bytes:
    """Return `checkpoint` as a note signed by the log's `key`, whose name is the origin, and by those it got `later`.

    Raises `KeyInvalid` when the origin cannot be a key's name. Whether a log may sign it is for the caller to know.
    """
    text, name = format_checkpoint(checkpoint), checkpoint.origin
    note = sign_note(text, name=name, key=key)
    lines = [line for each in later for line in sign_note(text, name=name, key=each).signatures]
    return format_note(note.with_signatures(lines) if lines else note)


def open_checkpoint(data: bytes, verifiers: Sequence[Verifier]) -> Checkpoint:
    """Return the checkpoint in `data` after verifying its log's signature, or raise a `ProtocolError`.

    Raises `NoteInvalid` or `CheckpointInvalid` for malformed bytes and for extension lines, and `SignatureInvalid`
    unless an Ed25519 key among `verifiers` that is named as the origin signed it. Cosignatures of witnesses among
    `verifiers` must verify too, but never stand in for the log.
    """
    return verify_checkpoint(parse_note(data), verifiers)


def verify_checkpoint(note: Note, verifiers: Iterable[Verifier]) -> Checkpoint:
    """Return the checkpoint that `note` states, under the rules of `open_checkpoint`."""
    checkpoint = parse_checkpoint(note.text)
    if checkpoint.extensions:
        raise CheckpointInvalid("a log of this protocol has no extension lines")
    for signer in signers_of(note, verifiers):
        if signer.name == checkpoint.origin and signer.type is KeyType.ED25519:
            return checkpoint
    raise SignatureInvalid(f"no known key of {checkpoint.origin[:80]} signed the checkpoint")


def verify_extends(*, old: Checkpoint, new: Checkpoint, proof: Sequence[Hash]) -> None:
    """Raise unless `proof` shows that `new` is a later or equal state of the log that `old` is a state of.

    Raises `CheckpointInvalid` for another origin, and `ProofInvalid` for a smaller size or a proof that does not hold.
    The empty log needs an empty proof and has the root of nothing.
    """
    if old.origin != new.origin:
        raise CheckpointInvalid(f"{new.origin[:80]} is not the log {old.origin[:80]}")
    for each in (old, new):
        if each.size == 0 and each.root != EMPTY_ROOT:
            raise ProofInvalid("a log without leaves has another root than that of nothing")
    if old.size > 0:
        verify_consistency(old_size=old.size, size=new.size, old_root=old.root, root=new.root, proof=proof)
    elif proof:
        raise ProofInvalid("the empty log needs no proof")


def sign_cosignature(checkpoint: Checkpoint, *, name: str, key: Signer, time_seconds: int) -> NoteSignature:
    """Return the witness's statement that at `time_seconds` (POSIX) this is the largest tree it has seen of the log.

    Raises `KeyInvalid` for a name that no key can have, `SignatureInvalid` for a time that cannot be stated.
    """
    verifier = Verifier(name, key.public, KeyType.COSIGNATURE)
    message = cosigned_message(format_checkpoint(checkpoint), time_seconds=time_seconds)
    return NoteSignature(name, verifier.key_id, time_seconds.to_bytes(TIME_BYTES) + key.sign(message))


def verify_cosignature(signature: NoteSignature, *, checkpoint: Checkpoint, verifier: Verifier) -> None:
    """Raise `SignatureInvalid` unless `signature` is the cosignature of `checkpoint` by the witness `verifier`."""
    if verifier.type is not KeyType.COSIGNATURE:
        raise SignatureInvalid(f"{verifier.name} is not a witness's key")
    if (signature.name, signature.key_id) != (verifier.name, verifier.key_id):
        raise SignatureInvalid(f"the cosignature is not by {verifier.name}")
    verifier.verify(text=format_checkpoint(checkpoint), blob=signature.blob)


def cosignature_time(signature: NoteSignature) -> int:
    """Return the time that a cosignature states, in POSIX seconds, or raise `NoteInvalid` for another signature."""
    if len(signature.blob) != TIME_BYTES + SIGNATURE_BYTES:
        raise NoteInvalid("not the signature line of an Ed25519 cosignature")
    return int.from_bytes(signature.blob[:TIME_BYTES])
