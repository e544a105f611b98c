"""The file of a trace: each piece is about its conversion and signed by the side it is of, or the file is broken."""

from functools import cache

import msgspec
import pytest

from protocol.audit.findings import Verdict
from protocol.audit.trace import Counterpart, Trace, decode_trace, encode_trace
from protocol.audit.verify import FileKind, Verification, verify_file
from protocol.entries import ConversionCaptured, ConversionHeld, PointsIssued, body_of
from protocol.errors import EvidenceInvalid
from protocol.identifiers import Digest
from protocol.ledger.state import AGREEMENTS, STATEMENTS
from protocol.messages import Fulfil
from tests.support.documents import AURORA, BLUEBIRD, NETWORK, query, uuid
from tests.support.evidence import receipt, sighted
from tests.support.history import history, succession
from tests.support.ledger import MemoryLedger

NAME = uuid("credited")


@cache
def trace() -> Trace:
    """Return what the source of a credited conversion holds about it."""
    source, destination = history().source, history().destination
    captured = next(each.entry for each in source.sealed if isinstance(each.entry, ConversionCaptured))
    held = next(each for each in source.sealed if isinstance(each.entry, ConversionHeld))
    assert isinstance(held.entry, ConversionHeld)
    fulfil = fulfil_of(destination)
    agreement = source.state.get(AGREEMENTS, held.entry.agreement)
    statement = next(record for _, record in source.state.rows(STATEMENTS))
    assert agreement is not None
    return Trace(
        of=AURORA.ledger,
        network=NETWORK,
        source=AURORA.ledger,
        destination=BLUEBIRD.ledger,
        conversion=NAME,
        receipts=(receipt_of(source, held.entry.seq), receipt_of(source, captured.seq)),
        messages=(sighted(fulfil, sender=BLUEBIRD, receiver=AURORA),),
        counterparts=(
            Counterpart(leaf=fulfil.entry.leaf, receipt=receipt_of(destination, fulfil.entry.seq, bare=True)),
        ),
        agreement=agreement.signed,
        statement=statement.signed,
    )


def fulfil_of(destination: MemoryLedger) -> Fulfil:
    bodies = (body_of(sealed, ledger=destination.name) for sealed in destination.sealed)
    return next(body for body in bodies if isinstance(body, Fulfil) and body.id == NAME)


def receipt_of(ledger: MemoryLedger, seq: int, *, bare: bool = False) -> str:
    return receipt(ledger.side, [sealed.data for sealed in ledger.sealed], seq, bare=bare)


def check(found: Trace, *, knows: bool = True) -> Verification:
    return verify_file(encode_trace(found), agreements=[history().signed] if knows else [])


def changed(**fields: object) -> Trace:
    made: Trace = msgspec.structs.replace(trace(), **fields)
    return made


def test_a_trace_holds_and_says_each_step() -> None:
    result = check(trace())
    assert (result.verdict, result.kind) == (Verdict.HELD, FileKind.TRACE), result.lines
    text = "\n".join(result.lines)
    for said in (f"conversion {NAME}", "conversion_held", "conversion_captured", "signed: conversion", "statement of"):
        assert said in text
    assert "has the entry that it names" in text
    assert decode_trace(encode_trace(trace())) == trace()


def test_a_trace_may_lack_what_there_is_not_yet() -> None:
    bare = changed(messages=(), counterparts=(), agreement=None, statement=None)
    assert check(bare).verdict is Verdict.HELD


def test_a_question_is_a_message_that_names_no_entry() -> None:
    asked = query(None)
    about = changed(
        source=asked.source, destination=asked.destination, conversion=asked.id, receipts=(), counterparts=(),
        messages=(sighted(asked, sender=AURORA, receiver=BLUEBIRD),),
    )  # fmt: skip
    assert check(about).verdict is Verdict.HELD


def test_without_a_key_nothing_is_said() -> None:
    result = check(trace(), knows=False)
    assert (result.verdict, result.code) == (Verdict.INCOMPLETE, "could_not_check")


def issued() -> str:
    source = history().source
    return receipt_of(source, next(each.entry.seq for each in source.sealed if isinstance(each.entry, PointsIssued)))


def other_leaf() -> Counterpart:
    (one,) = trace().counterparts
    return Counterpart(leaf=Digest("00" * 32), receipt=one.receipt)


def own_log() -> Counterpart:
    (one,) = trace().counterparts
    return Counterpart(leaf=one.leaf, receipt=receipt_of(history().source, 3, bare=True))


def moved() -> Counterpart:
    (one,) = trace().counterparts
    return Counterpart(leaf=one.leaf, receipt=receipt_of(history().destination, 1, bare=True))


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"receipts": (issued(),)}, "evidence_invalid"),
        ({"of": BLUEBIRD.ledger}, "evidence_invalid"),
        ({"conversion": uuid("another")}, "evidence_invalid"),
        ({"receipts": (), "conversion": uuid("another")}, "evidence_invalid"),
        ({"counterparts": (other_leaf(),)}, "evidence_invalid"),
        ({"counterparts": (own_log(),)}, "evidence_invalid"),
        ({"counterparts": (moved(),)}, "proof_invalid"),
    ],
)
def test_a_piece_that_belongs_elsewhere_breaks_the_file(fields: dict[str, object], code: str) -> None:
    result = check(changed(**fields))
    assert (result.verdict, result.code) == (Verdict.BROKEN, code), result.lines


def test_a_word_that_stands_again_is_about_its_conversion() -> None:
    ledger, _ = succession()
    recovered = next(each for each in ledger.sealed if each.entry.__struct_config__.tag == "recovered")
    assert getattr(recovered.entry, "body").id == uuid("lost")  # noqa: B009 - of this kind alone


@pytest.mark.parametrize("data", [b'{"kind":"trace"}', b'{"kind":"trace","v":1}'])
def test_what_only_says_that_it_is_a_trace_is_broken(data: bytes) -> None:
    assert verify_file(data).code == "evidence_invalid"
    with pytest.raises(EvidenceInvalid):
        decode_trace(data)
