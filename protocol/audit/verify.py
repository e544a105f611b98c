"""One file judged offline: recognised by its content, verified with known keys, explained in words (specs/audit.md).

A file that is what it claims to be *held*; one that is forged or damaged is *broken*; where no key is known, or nobody
can tell what the file is, the check is *incomplete*.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum, unique
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from protocol.agreement import AgreementSignature, SignedAgreement, decode_signed_agreement, verify_agreement
from protocol.audit.evidence import (
    BrokenPromise,
    Contradiction,
    Fork,
    MissingEntry,
    Uncounted,
    decode_evidence,
    open_broken_promise,
    open_contradiction,
    open_fork,
    open_missing_entry,
    open_uncounted,
)
from protocol.audit.explain import agreement_lines, body_line, entry_lines, statement_lines
from protocol.audit.fenced import Fenced, decode_fenced, is_answered, open_fenced
from protocol.audit.findings import Verdict
from protocol.audit.known import KnownKeys
from protocol.audit.messages import Misaddressed, is_addressed
from protocol.audit.trace import decode_trace, trace_lines
from protocol.checkpoint import parse_checkpoint, verify_checkpoint
from protocol.documents import open_invitation, parse_link, verify_link
from protocol.entries import decode_entry
from protocol.envelope import Header, decode_parcel, decode_sighting, verify_envelope, verify_sighting
from protocol.errors import CouldNotCheck, EntryInvalid, EvidenceInvalid, ProtocolError, QuorumMissing, SignatureInvalid
from protocol.identifiers import Ledger, first_of
from protocol.limits import PARCEL_BYTES_MAX
from protocol.messages import Body, decode_body
from protocol.note import KeyType, Note, Verifier, parse_note, signers_of
from protocol.policy import Policy, quorum_lines, require_quorum
from protocol.proof import open_receipt, parse_receipt
from protocol.statement import StatementSignature, decode_signed_statement, verify_statement

_ENCODER: Final = msgspec.json.Encoder(order="sorted")
_PARTIES: Final = 2
_RECEIPT_HEAD: Final = b"c2sp.org/tlog-proof@"
_SIGNATURES: Final = "\n\n\u2014 ".encode()


@unique
class FileKind(StrEnum):
    """The kinds of file that can be verified."""

    RECEIPT = "receipt"
    CHECKPOINT = "checkpoint"
    MESSAGE = "message"
    PARCEL = "parcel"
    AGREEMENT = "agreement"
    STATEMENT = "statement"
    INVITATION = "invitation"
    LINK = "link"
    FORK = "fork"
    CONTRADICTION = "contradiction"
    BROKEN_PROMISE = "broken_promise"
    MISSING_ENTRY = "missing_entry"
    UNCOUNTED = "uncounted"
    FENCED = "fenced"
    TRACE = "trace"


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """What the check of one file came to: `lines` say what was proved, or what was wrong; `code` names that."""

    v: Annotated[int, Meta(ge=1, le=1)] = 1
    verdict: Verdict
    kind: FileKind | None
    code: str | None
    lines: tuple[str, ...]

    def json(self) -> bytes:
        """Return the outcome as one JSON object."""
        return _ENCODER.encode(self)


_MEMBERS: Final[Mapping[FileKind, frozenset[str]]] = {
    FileKind.MESSAGE: frozenset({"body", "envelope", "frame", "path"}),
    FileKind.PARCEL: frozenset({"bodies", "envelope"}),
    FileKind.AGREEMENT: frozenset({"agreement", "signatures"}),
    FileKind.STATEMENT: frozenset({"statement", "signatures"}),
    FileKind.INVITATION: frozenset({"introduction", "signature"}),
    FileKind.LINK: frozenset({"link", "signature"}),
}
_EVIDENCE: Final = frozenset(
    {
        FileKind.FORK,
        FileKind.CONTRADICTION,
        FileKind.BROKEN_PROMISE,
        FileKind.MISSING_ENTRY,
        FileKind.UNCOUNTED,
        FileKind.FENCED,
        FileKind.TRACE,
    }
)
_ANSWERED: Final = frozenset({FileKind.CONTRADICTION, FileKind.BROKEN_PROMISE})
"""Evidence that may rest on a message which its receiver had not applied."""


def recognise(data: bytes) -> FileKind | None:
    """Return what `data` claims to be, or None; nothing is verified."""
    if data.startswith(_RECEIPT_HEAD):
        return FileKind.RECEIPT
    if _SIGNATURES in data and not data.startswith(b"{"):
        return FileKind.CHECKPOINT
    if len(data) > 2 * PARCEL_BYTES_MAX:
        return None
    try:
        document: object = msgspec.json.decode(data)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
    if not isinstance(document, dict):
        return None
    if str(document.get("kind")) in _EVIDENCE:
        return FileKind(str(document["kind"]))
    return next((kind for kind, members in _MEMBERS.items() if members <= document.keys()), None)


def verify_file(
    data: bytes,
    *,
    verifiers: Sequence[Verifier] = (),
    agreements: Sequence[SignedAgreement] = (),
    policy: Policy | None = None,
    answers: Sequence[bytes] = (),
) -> Verification:
    """Return what `data` proves to somebody who knows `verifiers` and the keys in `agreements`.

    With `policy`, its keys are known too, and a checkpoint counts when as many witnesses cosigned it as it asks for.
    `answers` are files of the kind `fenced`: evidence that rests on a message which one of them shows to be void is
    broken, and where one cannot be judged, or is about no message in the evidence, the check is incomplete.
    """
    kind = recognise(data)
    try:
        known = KnownKeys(verifiers=tuple(verifiers), agreements=tuple(agreements), policy=policy)
        if kind is None:
            raise CouldNotCheck("this is no file that can be recognised")
        lines = tuple(_JUDGES[kind](data, known))
        for answer in answers:
            _weigh(data, answer, kind, known)
    except ProtocolError as error:
        return Verification(verdict=Verdict.BROKEN, kind=kind, code=error.code, lines=(str(error),))
    except CouldNotCheck as error:
        told = error.lines if isinstance(error, QuorumMissing) else ()
        return Verification(verdict=Verdict.INCOMPLETE, kind=kind, code=error.code, lines=(str(error), *told))
    return Verification(verdict=Verdict.HELD, kind=kind, code=None, lines=lines)


def _receipt(data: bytes, known: KnownKeys) -> Iterator[str]:
    receipt = parse_receipt(data)
    note = parse_note(receipt.checkpoint)
    verifiers = known.for_notes(parse_checkpoint(note.text).origin)
    opened = open_receipt(data, verifiers)
    entry = decode_entry(opened.entry)
    origin, size = opened.checkpoint.origin, opened.checkpoint.size
    # A successor's log begins at no place of its own and counts on: where, only its genesis says.
    if entry.seq < opened.index or (entry.seq != opened.index and origin == first_of(Ledger(origin))):
        raise EntryInvalid(f"the entry calls itself {entry.seq} and stands at {opened.index}")
    yield f"{origin} has this entry as number {entry.seq}, and signed so with {size} entries:"
    yield from entry_lines(entry)
    yield from _cosigned(note, verifiers, known.policy)


def _checkpoint(data: bytes, known: KnownKeys) -> Iterator[str]:
    note = parse_note(data)
    verifiers = known.for_notes(parse_checkpoint(note.text).origin)
    checkpoint = verify_checkpoint(note, verifiers)
    yield f"{checkpoint.origin} signed that it has {checkpoint.size} entries under the root {checkpoint.root.hex()}"
    yield from _cosigned(note, verifiers, known.policy)


def _cosigned(note: Note, verifiers: Sequence[Verifier], policy: Policy | None) -> Iterator[str]:
    signers = signers_of(note, verifiers)
    for signer in signers:
        if signer.type is KeyType.COSIGNATURE:
            yield f"{signer.name} cosigned it as a witness"
    if policy is not None:
        require_quorum(policy, signers)
        yield from quorum_lines(policy, signers)
        yield "these are as many witnesses as the policy asks for"


def _message(data: bytes, known: KnownKeys) -> Iterator[str]:
    sighting = decode_sighting(data)
    header, body = verify_sighting(sighting, key=known.channel_key(sighting.envelope))
    _check_address(body, header)
    yield f"{header.sender} signed this {type(body).__name__.upper()} to {header.receiver}:"
    yield body_line(body)


def _parcel(data: bytes, known: KnownKeys) -> Iterator[str]:
    parcel = decode_parcel(data)
    header = verify_envelope(parcel.envelope, key=known.channel_key(parcel.envelope))
    yield f"{header.sender} signed these {header.count} messages to {header.receiver}:"
    for each in parcel.bodies:
        body = decode_body(each)
        _check_address(body, header)
        yield body_line(body)


def _check_address(body: Body, header: Header) -> None:
    if not is_addressed(body, header):
        raise Misaddressed(f"{header.sender} cannot say this to {header.receiver}")


def _agreement(data: bytes, known: KnownKeys) -> Iterator[str]:
    signed = decode_signed_agreement(data)
    verify_agreement(signed, complete=False)
    compared = [known.check_listed(party.ledger, party.keys) for party in signed.agreement.parties]
    yield _signers(signed.signatures)
    yield from agreement_lines(signed.agreement)
    if not any(compared):
        yield "the keys are those that the document itself names: compare their fingerprints"


def _statement(data: bytes, known: KnownKeys) -> Iterator[str]:
    signed = decode_signed_statement(data)
    statement = signed.statement
    verify_statement(
        signed, approvals=known.approval_keys(statement.parties, network=statement.network), complete=False
    )
    yield _signers(signed.signatures)
    yield from statement_lines(statement)


def _signers(signatures: Sequence[AgreementSignature | StatementSignature]) -> str:
    names = " and ".join(item.ledger for item in signatures)
    return f"signed by {names}" + ("" if len(signatures) == _PARTIES else " alone: a proposal, which binds nobody yet")


def _invitation(data: bytes, known: KnownKeys) -> Iterator[str]:
    introduction = open_invitation(data)
    compared = known.check_listed(introduction.ledger, introduction.keys)
    yield f"whoever wrote this holds the approval key that it names for {introduction.ledger} at {introduction.url}"
    yield f"keys {introduction.fingerprint()}"
    if not compared:
        yield "that these are that brand's keys is not proved: read the fingerprint aloud to each other"


def _link(data: bytes, known: KnownKeys) -> Iterator[str]:
    signed = parse_link(data)
    link = signed.link
    keys = known.link_keys(link.issuer, network=link.network)
    for key in keys[:-1]:
        try:
            verify_link(signed, key=key)
            break
        except SignatureInvalid:
            continue
    else:
        verify_link(signed, key=keys[-1])
    yield f"{link.issuer} signed for {link.audience} that the alias {link.alias} is an account of its own"
    yield f"issued at {link.issued_at}"


def _fork(data: bytes, known: KnownKeys) -> Iterator[str]:
    evidence = decode_evidence(data)
    assert isinstance(evidence, Fork), "the kind was read from the same bytes"
    earlier, later = open_fork(evidence, known)
    yield f"{earlier.origin} signed two logs that contradict each other"
    yield f"once {earlier.size} entries under the root {earlier.root.hex()}"
    yield f"once {later.size} entries, of which the first {earlier.size} have the root {evidence.root}"


def _contradiction(data: bytes, known: KnownKeys) -> Iterator[str]:
    evidence = decode_evidence(data)
    assert isinstance(evidence, Contradiction), "the kind was read from the same bytes"
    proved = open_contradiction(evidence, known)
    yield f"{proved.accused} signed two messages that contradict each other about {proved.text}"
    for sighting in (evidence.first, evidence.second):
        yield body_line(decode_body(sighting.body_bytes))


def _broken_promise(data: bytes, known: KnownKeys) -> Iterator[str]:
    evidence = decode_evidence(data)
    assert isinstance(evidence, BrokenPromise), "the kind was read from the same bytes"
    proved = open_broken_promise(evidence, known)
    yield f"{proved.accused} promised another entry {proved.name} than the log that it signed has: {evidence.leaf}"
    yield body_line(decode_body(evidence.promise.body_bytes))
    entry = parse_receipt(evidence.receipt.encode()).extra
    if entry is not None:
        yield from entry_lines(decode_entry(entry))


def _missing_entry(data: bytes, known: KnownKeys) -> Iterator[str]:
    evidence = decode_evidence(data)
    assert isinstance(evidence, MissingEntry), "the kind was read from the same bytes"
    proved = open_missing_entry(evidence, known)
    yield f"{proved.accused} promised its entry {proved.name}, and then signed a log that does not reach it"
    yield body_line(decode_body(evidence.promise.body_bytes))


def _uncounted(data: bytes, known: KnownKeys) -> Iterator[str]:
    evidence = decode_evidence(data)
    assert isinstance(evidence, Uncounted), "the kind was read from the same bytes"
    proved = open_uncounted(evidence, known)
    yield f"{proved.accused} signed {proved.text}, and a FULFIL that this does not count"
    for sighting in (evidence.account, evidence.fulfil):
        yield body_line(decode_body(sighting.body_bytes))


def _fenced(data: bytes, known: KnownKeys) -> Iterator[str]:
    fenced = decode_fenced(data)
    _, body, _ = open_fenced(fenced, known)
    yield _voided(fenced, known)
    yield body_line(body)


def _voided(fenced: Fenced, known: KnownKeys) -> str:
    word, body, fence = open_fenced(fenced, known)
    assert fence.acknowledgement is not None, "a fence is part of one"
    before = fence.acknowledgement.fence
    said = f"the {type(body).__name__.upper()} of {word.sender} in frame {fenced.word.frame.seq} of epoch {word.epoch}"
    signed = f"when it accepted epoch {fence.acknowledgement.epoch}, {fence.sender} signed that it had applied"
    return f"{said} is void: {signed} the frames below {before.next_seq} of epoch {before.epoch}, and nothing later"


def _weigh(data: bytes, answer: bytes, kind: FileKind, known: KnownKeys) -> None:
    """Raise `EvidenceInvalid` if `answer` shows evidence that holds to rest on a void message."""
    if kind not in _ANSWERED:
        raise CouldNotCheck(f"no answer is possible to a {kind}: it rests on no message that could be void")
    try:
        fenced = decode_fenced(answer)
        voided = _voided(fenced, known)
    except ProtocolError as error:
        raise CouldNotCheck(f"the answer does not hold, so nothing is judged by it: {error}") from error
    if not is_answered(decode_evidence(data), fenced):
        raise CouldNotCheck("the answer is about no message on which this evidence rests")
    raise EvidenceInvalid(voided)


def _trace(data: bytes, known: KnownKeys) -> Iterator[str]:
    return trace_lines(decode_trace(data), known)


_JUDGES: Final[Mapping[FileKind, Callable[[bytes, KnownKeys], Iterator[str]]]] = {
    FileKind.RECEIPT: _receipt,
    FileKind.CHECKPOINT: _checkpoint,
    FileKind.MESSAGE: _message,
    FileKind.PARCEL: _parcel,
    FileKind.AGREEMENT: _agreement,
    FileKind.STATEMENT: _statement,
    FileKind.INVITATION: _invitation,
    FileKind.LINK: _link,
    FileKind.FORK: _fork,
    FileKind.CONTRADICTION: _contradiction,
    FileKind.BROKEN_PROMISE: _broken_promise,
    FileKind.MISSING_ENTRY: _missing_entry,
    FileKind.UNCOUNTED: _uncounted,
    FileKind.FENCED: _fenced,
    FileKind.TRACE: _trace,
}
