"""Evidence that rests on a message which its maker had never applied, and what the accused answers to it."""

from collections.abc import Mapping

import msgspec
import pytest

from protocol.audit.evidence import Contradiction, Evidence, encode_evidence
from protocol.audit.fenced import Fenced, answer_to, decode_fenced, encode_fenced, fences_of
from protocol.audit.findings import Verdict
from protocol.audit.known import KnownKeys
from protocol.audit.pages import MessagesPage
from protocol.audit.verify import FileKind, verify_file
from protocol.envelope import Envelope
from protocol.errors import EvidenceInvalid
from tests.support import parcels
from tests.support.documents import AURORA, BLUEBIRD, COPPER, Side, fulfil, reject, signed_agreement
from tests.support.evidence import EVERY_KIND, broken_promise, decided_twice, fence, fenced, sighted

SIGNED = [signed_agreement()]
KNOWN = KnownKeys(agreements=(signed_agreement(),))


def judged(evidence: Evidence, *answers: Fenced) -> tuple[Verdict, str | None, str]:
    found = verify_file(encode_evidence(evidence), agreements=SIGNED, answers=[encode_fenced(each) for each in answers])
    return found.verdict, found.code, found.lines[0]


def silent(*, side: Side = AURORA) -> Envelope:
    return parcels.envelope(parcels.header([], sender=side, receiver=BLUEBIRD), sender=side)


def unsigned(envelope: Envelope) -> Envelope:
    """Return the envelope with a signature for another one."""
    return msgspec.structs.replace(envelope, signatures=silent().signatures)


def test_what_the_maker_never_applied_proves_nothing_for_it() -> None:
    assert judged(decided_twice())[0] is Verdict.HELD
    verdict, code, line = judged(decided_twice(), fenced())
    assert (verdict, code) == (Verdict.BROKEN, "evidence_invalid")
    assert line == (
        "the FULFIL of bluebird.example/main.1 in frame 2 of epoch 1 is void: when it accepted epoch 2, "
        "aurora.example/main.1 signed that it had applied the frames below 2 of epoch 1, and nothing later"
    )


def test_so_does_a_promise_that_was_never_heard() -> None:
    promise = broken_promise()
    assert judged(promise, fenced(promise.promise, fence((1, 0))))[0] is Verdict.BROKEN


HOLDS: Mapping[str, Envelope] = {
    "the frames before it were applied": fence((1, 2)),
    "nothing was applied": fence((1, 0)),
    "its epoch was never accepted": fence((0, 7)),
    "a later epoch was accepted at once": fence((1, 1), epoch=5),
}


@pytest.mark.parametrize("by", HOLDS.values(), ids=HOLDS)
def test_an_answer_is_a_file_of_its_own(by: Envelope) -> None:
    found = verify_file(encode_fenced(fenced(by=by)), agreements=SIGNED)
    assert (found.verdict, found.kind) == (Verdict.HELD, FileKind.FENCED)
    assert "is void" in found.lines[0]
    assert "credited 750 points" in found.lines[1]
    assert judged(decided_twice(), fenced(by=by))[0] is Verdict.BROKEN


NO_ANSWER: Mapping[str, Envelope] = {
    "the message was applied": fence((1, 3)),
    "a later epoch had been accepted before": fence((2, 9), epoch=3),
    "the message's own epoch was accepted": fence((0, 0), epoch=1),
    "no acknowledgement": silent(),
    "another ledger's word": fence((1, 2), by=COPPER),
    "a word about another ledger": fence((1, 2), to=COPPER),
    "the accused's own word": fence((1, 2), by=BLUEBIRD, to=AURORA),
    "another signature": unsigned(fence((1, 2))),
}


@pytest.mark.parametrize("by", NO_ANSWER.values(), ids=NO_ANSWER)
def test_what_is_no_answer_is_said_and_not_judged_by(by: Envelope) -> None:
    assert verify_file(encode_fenced(fenced(by=by)), agreements=SIGNED).verdict is not Verdict.HELD
    verdict, code, _ = judged(decided_twice(), fenced(by=by))
    assert (verdict, code) == (Verdict.INCOMPLETE, "could_not_check")
    assert answer_to(decided_twice(), [by], KNOWN) is None


def test_an_answer_is_about_a_message_on_which_the_evidence_rests() -> None:
    same = EVERY_KIND["FULFIL and REJECT"]
    assert isinstance(same, Contradiction)
    verdict, _, line = judged(same, fenced())
    assert (verdict, line) == (Verdict.INCOMPLETE, "the answer is about no message on which this evidence rests")
    second = fenced(decided_twice().second, fence((1, 9), epoch=2))
    assert judged(decided_twice(), second)[0] is Verdict.INCOMPLETE


def test_two_bodies_in_one_frame_have_no_answer() -> None:
    twice = Contradiction(first=sighted(fulfil()), second=sighted(reject()))
    assert judged(twice, fenced(twice.first, fence((1, 0))))[0] is Verdict.INCOMPLETE
    assert answer_to(twice, [fence((1, 0))], KNOWN) is None


@pytest.mark.parametrize("kind", ["a fork", "no entry at the promised place", "a close against a FULFIL"])
def test_what_rests_on_no_such_message_has_no_answer(kind: str) -> None:
    verdict, _, line = judged(EVERY_KIND[kind], fenced())
    assert verdict is Verdict.INCOMPLETE
    assert line.startswith("no answer is possible to ")
    assert answer_to(EVERY_KIND[kind], [fence((1, 2))], KNOWN) is None


def test_bytes_that_are_no_answer_are_refused() -> None:
    good = encode_fenced(fenced())
    assert decode_fenced(good) == fenced()
    for data in (b"{}", good.replace(b'","', b'", "', 1), good.replace(b'"v":1', b'"v":2')):
        with pytest.raises(EvidenceInvalid):
            decode_fenced(data)
    found = verify_file(encode_evidence(decided_twice()), agreements=SIGNED, answers=[b"{}"])
    assert (found.verdict, found.code) == (Verdict.INCOMPLETE, "could_not_check")


def test_the_answer_is_found_among_what_the_accused_received() -> None:
    good = fence((1, 2))
    unreadable = msgspec.structs.replace(good, payload_type="text/plain")
    envelopes = (silent(), unreadable, fence((1, 2), by=BLUEBIRD, to=AURORA), fence((2, 9), epoch=3), good, good)
    found = fences_of([MessagesPage(first=0, envelopes=envelopes, messages=())], AURORA.ledger)
    assert found == [fence((2, 9), epoch=3), good]
    assert answer_to(decided_twice(), found, KNOWN) == fenced()
    assert answer_to(decided_twice(), [unreadable, *found], KNOWN) == fenced()
    assert answer_to(decided_twice(), found, KnownKeys()) is None
