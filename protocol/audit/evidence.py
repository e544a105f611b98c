"""Files that prove misbehaviour to anybody with public keys: forks, contradictions, broken promises (specs/audit.md).

Each is made of what the misbehaving side signed itself, and shows no more of others than that takes.
"""

from dataclasses import dataclass
from enum import StrEnum, unique
from typing import Annotated, Final, TypeAlias

import msgspec
from msgspec import Meta

from protocol.audit.known import Keys
from protocol.audit.messages import is_addressed, reference_of
from protocol.audit.miscount import Path, Standing, check_uncounted
from protocol.checkpoint import Checkpoint, open_checkpoint, parse_checkpoint
from protocol.encoding import Codec
from protocol.entries import decode_entry
from protocol.envelope import Header, Sighting, verify_sighting
from protocol.errors import EvidenceInvalid
from protocol.fields import DigestField
from protocol.identifiers import Id, Ledger, first_of, partner_of
from protocol.limits import NOTE_BYTES_MAX, PARCEL_BYTES_MAX, PROOF_HASHES_MAX, RECEIPT_BYTES_MAX
from protocol.merkle import Hash, leaf_hash, verify_consistency
from protocol.messages import Body, Close, EntryReference, Fulfil, Prepare, Reject, conversion_of
from protocol.note import parse_note
from protocol.proof import Receipt as ParsedReceipt
from protocol.proof import parse_receipt, verify_receipt

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
    """A message that names an entry of its sender's log, and a receipt of that log for another leaf at that place.

    The receipt may lack the entry, which a partner never sees: `leaf` is what the log has there.
    """

    promise: Sighting
    leaf: DigestField
    receipt: Annotated[str, Meta(max_length=RECEIPT_BYTES_MAX)]


class MissingEntry(_Evidence, frozen=True, kw_only=True, tag="missing_entry"):
    """A message that names an entry of its sender's log, and a later one whose checkpoint does not reach that entry.

    `later` may be the same message: what its own envelope shows of the log lacks the entry.
    """

    promise: Sighting
    later: Sighting


class Uncounted(_Evidence, frozen=True, kw_only=True, tag="uncounted"):
    """A close or a statement, and a FULFIL of its sender that its totals do not count where the FULFIL says it stands.

    `leaf` is the FULFIL that the root has there instead; where the number alone shows it, it is null and `path` empty.
    Without `standing` both are of one epoch, in which no store is put back.
    """

    account: Sighting
    fulfil: Sighting
    leaf: DigestField | None
    path: Path
    standing: Standing | None


Evidence: TypeAlias = Fork | Contradiction | BrokenPromise | MissingEntry | Uncounted

_CODEC: Final = Codec[Evidence](msgspec.json.Decoder(Evidence), error=EvidenceInvalid, bytes_max=2 * PARCEL_BYTES_MAX)


@unique
class Subject(StrEnum):
    """What a file of evidence is about."""

    PLACE = "place"
    """Two bodies in one frame."""
    DECISION = "decision"
    """Two decisions about one PREPARE."""
    ORDER = "order"
    """Two PREPAREs of one conversion."""
    CLOSE = "close"
    """Two closes of one window, or an account of it that does not count a FULFIL."""
    ENTRY = "entry"
    """Two leaves named for one entry."""
    PROMISE = "promise"
    """An entry that was named and is not in its place."""
    LOG = "log"
    """Two histories of one log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proved:
    """What a file of evidence shows: `accused` is found out about one thing, `name` among those of its `subject`.

    `text` says to a person what that is.
    """

    accused: Ledger
    subject: Subject
    name: str
    text: str
    conversion: Id | None = None


def encode_evidence(evidence: Evidence) -> bytes:
    """Return the bytes of a file of evidence."""
    return _CODEC.encode(evidence)


def decode_evidence(data: bytes) -> Evidence:
    """Return the evidence in `data`, nothing of it verified, or raise `EvidenceInvalid`."""
    return _CODEC.decode(data)


def prove(evidence: Evidence, known: Keys) -> Proved:
    """Return what `evidence` shows by `known` keys, or raise a `ProtocolError` or `CouldNotCheck`."""
    match evidence:
        case Fork():
            earlier, _ = open_fork(evidence, known)
            name, text = f"{earlier.origin} {earlier.size}", f"its log of {earlier.size} entries"
            accused = first_of(Ledger(earlier.origin))
            return Proved(accused=accused, subject=Subject.LOG, name=name, text=text)
        case Contradiction():
            return open_contradiction(evidence, known)
        case BrokenPromise():
            return open_broken_promise(evidence, known)
        case MissingEntry():
            return open_missing_entry(evidence, known)
        case _:
            return open_uncounted(evidence, known)


def open_fork(fork: Fork, known: Keys) -> tuple[Checkpoint, Checkpoint]:
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


def _opened(text: str, known: Keys) -> Checkpoint:
    data = text.encode()
    origin = parse_checkpoint(parse_note(data).text).origin
    return open_checkpoint(data, known.for_notes(origin))


def _sighted(sighting: Sighting, known: Keys) -> tuple[Header, Body]:
    return verify_sighting(sighting, key=known.channel_key(sighting.envelope))


def open_contradiction(evidence: Contradiction, known: Keys) -> Proved:
    """Return what the sender contradicts itself about, or raise a `ProtocolError`."""
    (header, body), (other, other_body) = (_sighted(each, known) for each in (evidence.first, evidence.second))
    if (header.network, header.sender) != (other.network, other.sender):
        raise EvidenceInvalid("the two messages are not of one sender")
    if evidence.first.frame.body == evidence.second.frame.body:
        raise EvidenceInvalid("the two messages are one")
    seq = evidence.first.frame.seq
    if _place(header, seq) == _place(other, evidence.second.frame.seq):
        text = f"what the frame {seq} of epoch {header.epoch} says"
        found: tuple[Subject, str, str] | None = (Subject.PLACE, f"{header.epoch}-{header.epoch_nonce}-{seq}", text)
    else:
        # Only what a sender may say to this receiver is its word about anything.
        said = is_addressed(body, header) and is_addressed(other_body, other)
        found = _contradicting(body, other_body) if said else None
    if found is None:
        raise EvidenceInvalid("both messages can be true")
    subject, name, text = found
    return Proved(accused=header.sender, subject=subject, name=name, text=text, conversion=conversion_of(body))


def _place(header: Header, seq: int) -> tuple[Ledger, int, str, int]:
    return header.receiver, header.epoch, header.epoch_nonce, seq


def _contradicting(body: Body, other: Body) -> tuple[Subject, str, str] | None:
    """Return what two different bodies of one sender cannot both say, or None."""
    if isinstance(body, Fulfil | Reject) and isinstance(other, Fulfil | Reject):
        if (body.key, body.prepare) == (other.key, other.prepare):
            return Subject.DECISION, body.id, f"how the conversion {body.id} was decided"
    elif isinstance(body, Prepare) and isinstance(other, Prepare) and body.key == other.key:
        return Subject.ORDER, body.id, f"what the conversion {body.id} is"
    elif isinstance(body, Close) and isinstance(other, Close) and _window(body) == _window(other):
        text = f"what it credited from {body.receiver} in window {body.window}"
        return Subject.CLOSE, str(body.window), text
    one, two = reference_of(body), reference_of(other)
    if one is not None and two is not None and one.seq == two.seq and one.leaf != two.leaf:
        return Subject.ENTRY, str(one.seq), f"what its entry {one.seq} is"
    return None


def _window(body: Close) -> tuple[Ledger, int]:
    return body.receiver, body.window


def _promised(promise: Sighting, known: Keys) -> tuple[Header, Body, EntryReference]:
    header, body = _sighted(promise, known)
    promised = reference_of(body)
    if promised is None or not is_addressed(body, header):
        raise EvidenceInvalid("the message names no entry of its sender's log")
    return header, body, promised


def _unkept(header: Header, body: Body, promised: EntryReference) -> Proved:
    return Proved(
        accused=header.sender,
        subject=Subject.PROMISE,
        name=str(promised.seq),
        text=f"its entry {promised.seq}, which it named and does not have",
        conversion=conversion_of(body),
    )


def open_broken_promise(evidence: BrokenPromise, known: Keys) -> Proved:
    """Return which entry was promised where another one stands, or raise a `ProtocolError`."""
    header, body, promised = _promised(evidence.promise, known)
    receipt = parse_receipt(evidence.receipt.encode())
    if receipt.extra is not None and leaf_hash(receipt.extra).hex() != evidence.leaf:
        raise EvidenceInvalid("the receipt carries another entry than the one whose leaf is named")
    leaf = Hash(bytes.fromhex(evidence.leaf))
    origin = Ledger(parse_checkpoint(parse_note(receipt.checkpoint).text).origin)
    log = origin if partner_of(origin) == partner_of(header.sender) else header.sender
    verify_receipt(receipt, leaf=leaf, verifiers=known.for_notes(log))
    if _numbered(receipt, log) != promised.seq:
        raise EvidenceInvalid("the receipt is not for the promised place")
    if evidence.leaf == promised.leaf:
        raise EvidenceInvalid("the promised entry is in its place")
    return _unkept(header, body, promised)


def _numbered(receipt: ParsedReceipt, log: Ledger) -> int | None:
    """Return the sequence number of a receipt's entry; in a successor's log, which counts on, the entry tells it."""
    if log == first_of(log):
        return receipt.index
    return None if receipt.extra is None else decode_entry(receipt.extra).seq


def open_missing_entry(evidence: MissingEntry, known: Keys) -> Proved:
    """Return which entry was promised and is beyond the end of the log shown later, or raise a `ProtocolError`."""
    header, body, promised = _promised(evidence.promise, known)
    later, _ = _sighted(evidence.later, known)
    stream = (header.network, header.sender, header.receiver, header.epoch, header.epoch_nonce)
    if stream != (later.network, later.sender, later.receiver, later.epoch, later.epoch_nonce):
        raise EvidenceInvalid("the two messages are not of one epoch, in which no store is put back")
    if evidence.later.frame.seq < evidence.promise.frame.seq:
        raise EvidenceInvalid("the message with the checkpoint comes before the promise")
    if later.checkpoint is None:
        raise EvidenceInvalid("the envelope shows no checkpoint")
    checkpoint = open_checkpoint(later.checkpoint.encode(), known.for_notes(header.sender))
    if checkpoint.origin != header.sender or checkpoint.size > promised.seq:
        raise EvidenceInvalid("the log that was shown reaches the promised entry")
    return _unkept(header, body, promised)


@dataclass(frozen=True, slots=True)
class _Opened:
    """Opens what was signed by `known` keys."""

    known: Keys

    def sighted(self, sighting: Sighting) -> tuple[Header, Body]:
        return _sighted(sighting, self.known)

    def checkpoint(self, note: str) -> Checkpoint:
        return _opened(note, self.known)


def open_uncounted(evidence: Uncounted, known: Keys) -> Proved:
    """Return which FULFIL its own signer's account of a window does not count, or raise a `ProtocolError`."""
    header, fulfil, account = check_uncounted(
        evidence.account,
        evidence.fulfil,
        leaf=evidence.leaf,
        path=evidence.path,
        standing=evidence.standing,
        opener=_Opened(known),
    )
    return Proved(
        accused=header.sender,
        subject=Subject.CLOSE,
        name=str(account.window),
        text=f"what it credited from {header.receiver} in window {account.window}",
        conversion=fulfil.id,
    )
