"""Witnessing: a log shows a checkpoint and a proof, a witness answers with a cosignature (C2SP tlog-witness).

Both sides are here, without time, keys or storage: reading and writing the request, the witness's decision, the log's
reading of the answer (specs/witness.md).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, unique
from hashlib import sha256
from typing import Final

from protocol.checkpoint import Checkpoint, parse_checkpoint, parse_decimal, verify_checkpoint, verify_extends
from protocol.errors import AddCheckpointInvalid, CheckpointInvalid, NoteInvalid, ProofInvalid, SignatureInvalid
from protocol.keys import decode_base64, encode_base64
from protocol.limits import ADD_CHECKPOINT_BYTES_MAX, ADD_CHECKPOINT_HASHES_MAX, LOG_SIZE_MAX
from protocol.merkle import EMPTY_ROOT, HASH_BYTES, Hash, shown_root
from protocol.note import (
    KeyType,
    Note,
    NoteSignature,
    Verifier,
    format_note,
    format_signatures,
    parse_note,
    parse_signatures,
    verify_note,
)

ADD_CHECKPOINT: Final = "add-checkpoint"
"""The path of the request below a witness's submission prefix."""

TEXT_TYPE: Final = "text/plain; charset=utf-8"
SIZE_TYPE: Final = "text/x.tlog.size"

_OLD: Final = "old "


@unique
class ReplyStatus(IntEnum):
    """How a witness answers, as the status of HTTP."""

    COSIGNED = 200
    MALFORMED = 400
    UNTRUSTED = 403
    UNKNOWN_LOG = 404
    CONFLICT = 409
    UNPROVED = 422


@dataclass(frozen=True, slots=True, kw_only=True)
class AddCheckpoint:
    """What a log asks of a witness: `proof` shows that the note's checkpoint extends that of `old_size` leaves."""

    old_size: int
    proof: tuple[Hash, ...]
    note: Note
    checkpoint: Checkpoint = field(init=False)

    def __post_init__(self) -> None:
        """Read the note's checkpoint; raise `AddCheckpointInvalid` for parts that no request can carry."""
        if not 0 <= self.old_size <= LOG_SIZE_MAX:
            raise AddCheckpointInvalid(f"a log has at most {LOG_SIZE_MAX} leaves")
        if len(self.proof) > ADD_CHECKPOINT_HASHES_MAX or any(len(each) != HASH_BYTES for each in self.proof):
            raise AddCheckpointInvalid(f"a proof has at most {ADD_CHECKPOINT_HASHES_MAX} hashes of {HASH_BYTES} bytes")
        try:
            checkpoint = parse_checkpoint(self.note.text)
        except CheckpointInvalid as error:
            raise AddCheckpointInvalid(str(error)) from error
        if checkpoint.extensions:
            raise AddCheckpointInvalid("a log of this protocol has no extension lines")
        object.__setattr__(self, "checkpoint", checkpoint)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A witness's answer, as HTTP carries it."""

    status: ReplyStatus
    body: bytes
    content_type: str = TEXT_TYPE


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What a witness knows of one origin: the keys that may sign for it, and what it cosigned last.

    `later` are keys that the log has got since: each of them must have signed too.
    """

    trusted: tuple[Verifier, ...] = ()
    later: tuple[Verifier, ...] = ()
    last: Checkpoint | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The witness is to keep `checkpoint` as the last of its origin, then to cosign it.

    `note` has the log's own signatures alone: nothing of what other keys are said to have signed was verified.
    """

    checkpoint: Checkpoint
    note: Note


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownFork:
    """What the log's own key signed beside what was cosigned last: under `note`, as many leaves have another `root`.

    `proof` leads from that root to the note's own; it is empty where both have one size.
    """

    note: Note
    root: Hash
    proof: tuple[Hash, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The witness is to answer `reply` and to keep what it has; `fork` is what the request proves against its log."""

    reply: Reply
    fork: ShownFork | None = None


def parse_add_checkpoint(data: bytes) -> AddCheckpoint:
    """Return the request in `data`, nothing of it verified, or raise `AddCheckpointInvalid`."""
    head, blank, note = data.partition(b"\n\n")
    if len(data) > ADD_CHECKPOINT_BYTES_MAX or not blank or not head.isascii():
        raise AddCheckpointInvalid("the bytes are not a request to a witness")
    first, *lines = head.decode("ascii").split("\n")
    old_size = parse_decimal(first.removeprefix(_OLD)) if first.startswith(_OLD) else None
    if old_size is None:
        raise AddCheckpointInvalid("a request to a witness begins with the old size")
    try:
        return AddCheckpoint(old_size=old_size, proof=tuple(map(_hash_of, lines)), note=parse_note(note))
    except NoteInvalid as error:
        raise AddCheckpointInvalid(str(error)) from error


def format_add_checkpoint(request: AddCheckpoint) -> bytes:
    """Return the bytes of `request`, or raise `NoteInvalid` when its note has too many."""
    lines = [f"{_OLD}{request.old_size}", *map(encode_base64, request.proof), ""]
    return "".join(f"{line}\n" for line in lines).encode("ascii") + format_note(request.note)


def decide(request: AddCheckpoint, known: Known) -> Accepted | Refused:
    """Return what a witness that knows `known` of the checkpoint's origin does with `request`.

    What `known` says MUST still hold when the accepted checkpoint is kept, and that MUST be durable before anything is
    answered: else two requests at one time could roll the log back.
    """
    checkpoint = request.checkpoint
    if not known.trusted:
        return _refused(ReplyStatus.UNKNOWN_LOG, f"{checkpoint.origin[:80]} is no log that this witness knows")
    try:
        verify_checkpoint(request.note, known.trusted)
        for each in known.later:
            verify_note(request.note, [each])
    except SignatureInvalid as error:
        return _refused(ReplyStatus.UNTRUSTED, str(error))
    if request.old_size > checkpoint.size:
        return _refused(ReplyStatus.MALFORMED, "the old size is larger than the checkpoint's")
    last = known.last or Checkpoint(origin=checkpoint.origin, size=0, root=EMPTY_ROOT)
    if request.old_size != last.size:
        body = format_size(last.size)
        return Refused(reply=Reply(status=ReplyStatus.CONFLICT, body=body, content_type=SIZE_TYPE))
    signed = signed_by(request.note, (*known.trusted, *known.later))
    try:
        verify_extends(old=last, new=checkpoint, proof=request.proof)
    except ProofInvalid as error:
        return _refused(ReplyStatus.UNPROVED, str(error), _fork_of(request, last, signed))
    return Accepted(checkpoint=checkpoint, note=signed)


def malformed(error: AddCheckpointInvalid) -> Reply:
    """Return the answer to bytes that are no request."""
    return _refused(ReplyStatus.MALFORMED, str(error)).reply


def cosigned(signatures: Iterable[NoteSignature]) -> Reply:
    """Return the answer to an accepted checkpoint that the witness has kept."""
    return Reply(status=ReplyStatus.COSIGNED, body=format_signatures(signatures).encode())


def format_size(size: int) -> bytes:
    """Return the body by which a witness says how large the checkpoint was that it cosigned last."""
    return b"%d\n" % size


def parse_size(body: bytes) -> int:
    """Return the size that a witness cosigned last by its answer to an old size, or raise `AddCheckpointInvalid`."""
    size = parse_decimal(body[:-1].decode("latin-1")) if body.endswith(b"\n") else None
    if size is None or size > LOG_SIZE_MAX:
        raise AddCheckpointInvalid("a witness's answer to an old size is a size")
    return size


def take_cosignatures(body: bytes, *, text: str, witnesses: Sequence[Verifier]) -> tuple[NoteSignature, ...]:
    """Return the lines of a witness's answer by which `witnesses` cosigned the checkpoint's `text`.

    Lines of other keys are passed over, as is a key's second line. Raises `AddCheckpointInvalid` for what is no answer,
    and `SignatureInvalid` when none is theirs, or one that is does not verify.
    """
    try:
        lines = parse_signatures(body)
    except NoteInvalid as error:
        raise AddCheckpointInvalid(str(error)) from error
    known = {(each.name, each.key_id): each for each in witnesses if each.type is KeyType.COSIGNATURE}
    found: dict[tuple[str, bytes], NoteSignature] = {}
    for line in lines:
        witness = known.get((line.name, line.key_id))
        if witness is not None:
            witness.verify(text=text, blob=line.blob)
            found.setdefault((line.name, line.key_id), line)
    if not found:
        raise SignatureInvalid("the witness did not cosign under a key that is known")
    return tuple(found.values())


def monitor_path(origin: str) -> str:
    """Return where, below its monitoring prefix, a witness shows what it cosigned last of `origin`."""
    return f"{sha256(origin.encode()).hexdigest()}/checkpoint"


def signed_by(note: Note, verifiers: Iterable[Verifier]) -> Note:
    """Return `note` with the lines of `verifiers` alone; the caller has verified them, and that there is one."""
    known = {(each.name, each.key_id) for each in verifiers}
    return Note(note.text, tuple(line for line in note.signatures if (line.name, line.key_id) in known))


def _fork_of(request: AddCheckpoint, last: Checkpoint, signed: Note) -> ShownFork | None:
    """Return what shows that the log has another history than `last`, if the request itself shows it."""
    new, proof = request.checkpoint, request.proof
    if new.size == last.size:
        root, proof = new.root, ()
    else:
        try:
            root = shown_root(old_size=last.size, size=new.size, root=new.root, proof=proof)
        except ProofInvalid:
            return None
    return ShownFork(note=signed, root=root, proof=proof) if last.size and root != last.root else None


def _refused(status: ReplyStatus, why: str, fork: ShownFork | None = None) -> Refused:
    return Refused(reply=Reply(status=status, body=f"{why}\n".encode()), fork=fork)


def _hash_of(line: str) -> Hash:
    data = decode_base64(line)
    if data is None:
        raise AddCheckpointInvalid("a line of the proof is not canonical base64")
    return Hash(data)
