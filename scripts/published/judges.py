"""What this project's own code makes of a case: one reader a format, which returns properties or raises a code."""

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from protocol.audit.evidence import decode_evidence, prove
from protocol.audit.fenced import decode_fenced, open_fenced
from protocol.audit.known import KnownKeys
from protocol.audit.verify import recognise, verify_file
from protocol.checkpoint import cosignature_time, open_checkpoint
from protocol.encoding import decode, digest_of
from protocol.entries import unseal
from protocol.envelope import decode_parcel, decode_sighting
from protocol.errors import TallystickError
from protocol.merkle import leaf_hash
from protocol.messages import body_digest, decode_body, kind_of
from protocol.note import Verifier, parse_vkey
from protocol.proof import open_receipt
from protocol.statement import decode_statement, statement_digest
from protocol.witness import take_cosignatures
from scripts.published.files import Case, Given, Shown, VectorFile
from scripts.published.witness import answers

Properties: TypeAlias = Mapping[str, Shown]
Judge: TypeAlias = Callable[[bytes, Given], Properties]


class Judged(TallystickError):
    """A file that was verified as a whole was refused."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def encoding(data: bytes, _given: Given) -> Properties:
    """Read a canonical JSON value."""
    decode(data)
    return {"digest": digest_of("body", data)}


def entry(data: bytes, _given: Given) -> Properties:
    """Read an entry."""
    sealed = unseal(data)
    tag = sealed.entry.__struct_config__.tag
    return {"kind": str(tag), "seq": sealed.entry.seq, "prev": sealed.entry.prev, "leaf": sealed.leaf}


def checkpoint(data: bytes, given: Given) -> Properties:
    """Open a signed checkpoint."""
    opened = open_checkpoint(data, _verifiers(given))
    return {"origin": opened.origin, "size": opened.size, "root": opened.root.hex()}


def cosignature(data: bytes, given: Given) -> Properties:
    """Take the cosignature out of a witness's answer."""
    assert given.text is not None, "a cosignature is of a checkpoint's text"
    lines = take_cosignatures(data, text=given.text, witnesses=_verifiers(given))
    return {"names": [line.name for line in lines], "times": [str(cosignature_time(line)) for line in lines]}


def receipt(data: bytes, given: Given) -> Properties:
    """Open a receipt."""
    _hold(data, given)
    opened = open_receipt(data, _verifiers(given))
    return {
        "leaf": leaf_hash(opened.entry).hex(),
        "index": opened.index,
        "origin": opened.checkpoint.origin,
        "size": opened.checkpoint.size,
    }


def envelope(data: bytes, given: Given) -> Properties:
    """Verify a parcel, or one body with its envelope."""
    _hold(data, given)
    if recognise(data) == "parcel":
        parcel = decode_parcel(data)
        header, envelope, bodies = parcel.header, parcel.envelope, parcel.bodies
    else:
        sighting = decode_sighting(data)
        header, envelope, bodies = sighting.envelope.header(), sighting.envelope, (sighting.body_bytes,)
    return {
        "sender": header.sender,
        "receiver": header.receiver,
        "epoch": header.epoch,
        "first_seq": header.first_seq,
        "count": header.count,
        "root": header.root,
        "envelope": envelope.digest(),
        "bodies": [body_digest(body) for body in bodies],
        "kinds": [kind_of(decode_body(body)) for body in bodies],
    }


def evidence(data: bytes, given: Given) -> Properties:
    """Verify a file of evidence."""
    _hold(data, given)
    proved = prove(decode_evidence(data), KnownKeys(verifiers=_verifiers(given)))
    return {
        "accused": proved.accused,
        "subject": proved.subject.value,
        "name": proved.name,
        "conversion": proved.conversion,
    }


def fenced(data: bytes, given: Given) -> Properties:
    """Verify an answer to evidence."""
    _hold(data, given)
    answer = decode_fenced(data)
    header, body, fence = open_fenced(answer, KnownKeys(verifiers=_verifiers(given)))
    return {
        "sender": header.sender,
        "epoch": header.epoch,
        "seq": answer.word.frame.seq,
        "kind": kind_of(body),
        "signer": fence.sender,
    }


def statement(data: bytes, _given: Given) -> Properties:
    """Read a statement that is consistent in itself."""
    found = decode_statement(data)
    return {
        "digest": statement_digest(found),
        "window": found.window,
        "owed": [str(bill.owed(found.window)) for bill in found.directions],
        "net": found.net,
        "payer": found.payer,
        "amount": str(found.amount),
        "carry": found.carry,
    }


def body(data: bytes, _given: Given) -> Properties:
    """Read a body."""
    return {"digest": body_digest(data), "kind": kind_of(decode_body(data))}


JUDGES: Final[Mapping[str, Judge]] = {
    "encoding": encoding,
    "entry": entry,
    "checkpoint": checkpoint,
    "cosignature": cosignature,
    "receipt": receipt,
    "envelope": envelope,
    "evidence": evidence,
    "fenced": fenced,
    "statement": statement,
    "body": body,
}


def outcomes(file: VectorFile) -> list[tuple[str | None, Properties | None]]:
    """Return for each case the code under which this project's code refuses it, or else its properties."""
    if file.format == "add-checkpoint":
        return [(None, answer) for answer in answers(file)]
    return [_outcome(JUDGES[file.format], case, file.given_to(case)) for case in file.cases]


def _outcome(judge: Judge, case: Case, given: Given) -> tuple[str | None, Properties | None]:
    try:
        return None, judge(case.content, given)
    except TallystickError as error:
        return error.code, None


def _verifiers(given: Given) -> tuple[Verifier, ...]:
    return tuple(map(parse_vkey, given.verifiers))


def _hold(data: bytes, given: Given) -> None:
    result = verify_file(data, verifiers=_verifiers(given))
    if result.code is not None:
        raise Judged(result.code)
