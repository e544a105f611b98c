"""Signed notes: a text, and the signatures of keys that are known by name (C2SP signed-note v1.0.0; specs/notes.md).

Two kinds of signature are understood: plain Ed25519 over the text, as a log signs its checkpoint, and the timestamped
cosignature of a witness (C2SP tlog-cosignature). Lines of other keys are carried along and mean nothing.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, unique
from functools import lru_cache
from hashlib import sha256
from typing import Final, Self

from protocol.errors import KeyInvalid, NoteInvalid, SignatureInvalid
from protocol.keys import PUBLIC_KEY_BYTES, SIGNATURE_BYTES, PublicKey, Signer, decode_base64, encode_base64
from protocol.limits import NAME_CHARACTERS_MAX, NOTE_BYTES_MAX, NOTE_SIGNATURES_MAX

KEY_ID_BYTES: Final = 4
TIME_BYTES: Final = 8
COSIGNATURE_SECONDS_MAX: Final = 2**63 - 1
"""Latest time that a cosignature may state, in POSIX seconds (C2SP tlog-cosignature, Format)."""

_DASH: Final = "\u2014 "
_FORBIDDEN: Final = re.compile(r"[\x00-\x09\x0b-\x1f\ud800-\udfff]")
_NAME: Final = re.compile(r"[^+\s\x00-\x1f\ud800-\udfff]+")


@unique
class KeyType(IntEnum):
    """The signature types that are understood, by their identifier byte (C2SP signed-note, Signature types)."""

    ED25519 = 0x01
    COSIGNATURE = 0x04


_KEY_TYPES: Final = frozenset(map(int, KeyType))


@dataclass(frozen=True, slots=True)
class NoteSignature:
    """One signature line: who claims to have signed, and the bytes after the key's id."""

    name: str
    key_id: bytes
    blob: bytes

    def __post_init__(self) -> None:
        """Raise `NoteInvalid` for parts that no signature line can carry."""
        if not _is_name(self.name) or len(self.key_id) != KEY_ID_BYTES or not self.blob:
            raise NoteInvalid(f"not a signature line's parts: {self.name[:80]!r}")

    def format(self) -> str:
        """Return the line, with its newline."""
        return f"{_DASH}{self.name} {encode_base64(self.key_id + self.blob)}\n"


@dataclass(frozen=True, slots=True)
class Note:
    """A text that ends in a newline, and at least one signature; none of them is verified yet."""

    text: str
    signatures: tuple[NoteSignature, ...]

    def __post_init__(self) -> None:
        """Raise `NoteInvalid` for a text or a number of signatures that no note has."""
        _require_text(self.text)
        if not 1 <= len(self.signatures) <= NOTE_SIGNATURES_MAX:
            raise NoteInvalid(f"a note has 1 to {NOTE_SIGNATURES_MAX} signatures")

    def with_signatures(self, signatures: Iterable[NoteSignature]) -> Self:
        """Return the note with `signatures` added after its own."""
        return type(self)(self.text, (*self.signatures, *signatures))


@dataclass(frozen=True, slots=True)
class Verifier:
    """A public key that is trusted under a name, for one type of signature."""

    name: str
    key: PublicKey
    type: KeyType = KeyType.ED25519
    key_id: bytes = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Derive the key's id, or raise `KeyInvalid` for a name that no key can have."""
        if not _is_name(self.name) or len(self.name) > NAME_CHARACTERS_MAX:
            raise KeyInvalid(f"{self.name[:80]!r} cannot be the name of a key")
        message = self.name.encode() + b"\n" + bytes([self.type]) + self.key.raw
        object.__setattr__(self, "key_id", sha256(message).digest()[:KEY_ID_BYTES])

    def verify(self, *, text: str, blob: bytes) -> None:
        """Raise `SignatureInvalid` unless `blob` is this key's signature, of this type, of the note's `text`."""
        if self.type is KeyType.ED25519:
            self.key.verify(signature=blob, message=text.encode())
            return
        if len(blob) != TIME_BYTES + SIGNATURE_BYTES:
            raise SignatureInvalid("a cosignature is a time and an Ed25519 signature")
        message = cosigned_message(text, time_seconds=int.from_bytes(blob[:TIME_BYTES]))
        self.key.verify(signature=blob[TIME_BYTES:], message=message)


def cosigned_message(text: str, *, time_seconds: int) -> bytes:
    """Return what a witness signs at `time_seconds` for a checkpoint's `text` (C2SP tlog-cosignature, Ed25519).

    Raises `SignatureInvalid` for a time that no cosignature may state: 0, or beyond 2^63 - 1.
    """
    if not 0 < time_seconds <= COSIGNATURE_SECONDS_MAX:
        raise SignatureInvalid(f"a cosignature cannot state the time {time_seconds}")
    return f"cosignature/v1\ntime {time_seconds}\n{text}".encode()


def format_vkey(verifier: Verifier) -> str:
    """Return a verifier's text: name, key id in hex, and base64 of type and key (C2SP signed-note, Verifier keys)."""
    material = bytes([verifier.type]) + verifier.key.raw
    return f"{verifier.name}+{verifier.key_id.hex()}+{encode_base64(material)}"


def parse_vkey(text: str) -> Verifier:
    """Return the verifier that `text` names in its one spelling, or raise `KeyInvalid`."""
    name, _, rest = text.partition("+")
    material = decode_base64(rest.partition("+")[2])
    if material is None or len(material) != 1 + PUBLIC_KEY_BYTES or material[0] not in _KEY_TYPES:
        raise KeyInvalid(f"{text[:80]!r} is not the verifier key of an Ed25519 key")
    verifier = Verifier(name, PublicKey(material[1:]), KeyType(material[0]))
    if format_vkey(verifier) != text:
        raise KeyInvalid(f"{text[:80]!r} does not carry its own key id")
    return verifier


def sign_note(text: str, *, name: str, key: Signer) -> Note:
    """Return `text` signed with Ed25519 by `key` under `name`; raises `NoteInvalid` or `KeyInvalid`."""
    _require_text(text)
    verifier = _log_verifier(name, key.public)
    return Note(text, (NoteSignature(name, verifier.key_id, key.sign(text.encode())),))


@lru_cache(maxsize=64)
def _log_verifier(name: str, key: PublicKey) -> Verifier:
    # A log signs a checkpoint with every commit, always under one name.
    return Verifier(name, key)


def format_note(note: Note) -> bytes:
    """Return the bytes of `note`, or raise `NoteInvalid` when they are too many (C2SP signed-note, Format)."""
    data = f"{note.text}\n{format_signatures(note.signatures)}".encode()
    if len(data) > NOTE_BYTES_MAX:
        raise NoteInvalid(f"a note has at most {NOTE_BYTES_MAX} bytes")
    return data


def parse_note(data: bytes) -> Note:
    """Return the note in `data`, not yet verified, or raise `NoteInvalid` (C2SP signed-note, Format)."""
    content = _decode(data)
    text, blank, lines = content.rpartition("\n\n")
    if not blank:
        raise NoteInvalid("no blank line ends the note's text")
    return Note(text + "\n", _parse_lines(lines))


def format_signatures(signatures: Iterable[NoteSignature]) -> str:
    """Return signature lines as they stand in a note, each with its newline."""
    return "".join(signature.format() for signature in signatures)


def parse_signatures(data: bytes) -> tuple[NoteSignature, ...]:
    """Return the signature lines in `data`, as a witness answers them, or raise `NoteInvalid`."""
    return _parse_lines(_decode(data))


def signers_of(note: Note, verifiers: Iterable[Verifier]) -> tuple[Verifier, ...]:
    """Return those of `verifiers` that signed `note`, in the order of its signatures (C2SP signed-note, Signatures).

    Signatures of unknown keys are ignored. Raises `SignatureInvalid` when a signature of a known key does not verify,
    and `KeyInvalid` when two different verifiers go by one name and key id.
    """
    known: dict[tuple[str, bytes], Verifier] = {}
    for verifier in verifiers:
        if known.setdefault((verifier.name, verifier.key_id), verifier) != verifier:
            raise KeyInvalid(f"two keys are known as {verifier.name}+{verifier.key_id.hex()}")
    signers: dict[Verifier, None] = {}
    for signature in note.signatures:
        signer = known.get((signature.name, signature.key_id))
        if signer is not None:
            signer.verify(text=note.text, blob=signature.blob)
            signers[signer] = None
    return tuple(signers)


def verify_note(note: Note, verifiers: Sequence[Verifier]) -> None:
    """Raise `SignatureInvalid` unless one of `verifiers` signed `note`, and no signature of theirs fails."""
    if not signers_of(note, verifiers):
        raise SignatureInvalid("no known key signed the note")


def _require_text(text: str) -> None:
    if not text.endswith("\n") or _FORBIDDEN.search(text):
        raise NoteInvalid("a note's text is UTF-8 without control characters, and ends in a newline")


def _parse_lines(block: str) -> tuple[NoteSignature, ...]:
    lines = block.split("\n")
    if lines.pop() or not 1 <= len(lines) <= NOTE_SIGNATURES_MAX:
        raise NoteInvalid(f"a note ends in 1 to {NOTE_SIGNATURES_MAX} signature lines")
    return tuple(map(_parse_line, lines))


def _parse_line(line: str) -> NoteSignature:
    name, _, signature_text = line.removeprefix(_DASH).partition(" ")
    blob = decode_base64(signature_text)
    if blob is None or not line.startswith(_DASH):
        raise NoteInvalid(f"not a signature line: {line[:80]!r}")
    return NoteSignature(name, blob[:KEY_ID_BYTES], blob[KEY_ID_BYTES:])


def _decode(data: bytes) -> str:
    if len(data) > NOTE_BYTES_MAX:
        raise NoteInvalid(f"a note has at most {NOTE_BYTES_MAX} bytes")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise NoteInvalid("a note is UTF-8") from error


def _is_name(name: str) -> bool:
    """Tell whether a key can go by `name`: no plus sign, no Unicode space, no control character, not empty."""
    return _NAME.fullmatch(name) is not None
