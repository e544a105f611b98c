from collections.abc import Sequence

import msgspec
import pytest

from protocol.agreement import SignedAgreement
from protocol.audit.evidence import (
    BrokenPromise,
    Contradiction,
    Evidence,
    Fork,
    decode_evidence,
    encode_evidence,
)
from protocol.audit.findings import Verdict
from protocol.audit.verify import FileKind, Verification, verify_file
from protocol.envelope import Sighting, sighting_of
from protocol.errors import EvidenceInvalid
from protocol.identifiers import Digest
from protocol.merkle import MemoryTree, leaf_hash
from protocol.messages import Body, EntryReference
from protocol.proof import Receipt, format_receipt
from tests.support.audits import Half, alliance, signed_checkpoint
from tests.support.documents import (
    AURORA,
    BLUEBIRD,
    COPPER,
    Side,
    agreement,
    fulfil,
    hello,
    prepare,
    query,
    reject,
    signed_agreement,
    uuid,
)
from tests.support.ledger import open_holder
from tests.support.parcels import parcel
from tests.support.settlement import close, line

SIGNED = signed_agreement()
HONEST = [b"entry %d" % number for number in range(9)]
FORGED = [*HONEST[:4], b"another entry", *HONEST[5:]]


def judged(evidence: Evidence, *, known: Sequence[SignedAgreement] = (SIGNED,)) -> Verification:
    data = encode_evidence(evidence)
    assert decode_evidence(data) == evidence
    return verify_file(data, agreements=known)


def fork(earlier: Sequence[bytes], later: Sequence[bytes], *, side: Side = AURORA) -> Fork:
    """Return the evidence that `later` does not begin with `earlier`."""
    tree = MemoryTree(map(leaf_hash, later))
    size = len(earlier)
    return Fork(
        earlier=signed_checkpoint(AURORA, earlier).decode(),
        later=signed_checkpoint(side, later).decode(),
        root=Digest(MemoryTree(map(leaf_hash, later[:size])).root().hex()),
        proof=tuple(Digest(node.hex()) for node in tree.consistency_proof(size)),
    )


@pytest.mark.parametrize("size", [5, 8, 9])
def test_two_checkpoints_that_contradict_each_other(size: int) -> None:
    result = judged(fork(HONEST[:size], FORGED))
    assert (result.verdict, result.kind) == (Verdict.HELD, FileKind.FORK)
    assert result.lines[0] == f"{AURORA.ledger} signed two logs that contradict each other"
    assert result.lines[1].startswith(f"once {size} entries under the root ")


@pytest.mark.parametrize(
    "evidence",
    [
        fork(HONEST[:4], FORGED),
        fork(HONEST, HONEST),
        fork(HONEST[:5], FORGED, side=BLUEBIRD),
    ],
)
def test_two_checkpoints_that_both_can_stand_are_no_fork(evidence: Fork) -> None:
    result = judged(evidence)
    assert (result.verdict, result.code) == (Verdict.BROKEN, "evidence_invalid")


def test_a_fork_needs_its_proof_and_its_signatures() -> None:
    evidence = fork(HONEST[:5], FORGED)
    assert judged(msgspec.structs.replace(evidence, proof=())).code == "proof_invalid"
    unsigned = evidence.later.replace(evidence.later[-6:-2], "AAAA")
    assert judged(msgspec.structs.replace(evidence, later=unsigned)).verdict is Verdict.BROKEN
    assert judged(evidence, known=()).verdict is Verdict.INCOMPLETE


def sighted(body: Body, *, sender: Side = BLUEBIRD, receiver: Side = AURORA, after: int = 0) -> Sighting:
    bodies = [hello(sender, receiver)] * after + [body]
    return sighting_of(parcel(bodies, sender=sender, receiver=receiver), after)


OTHER_ENTRY = EntryReference(seq=8, leaf=Digest("1" * 64))


@pytest.mark.parametrize(
    ("first", "second", "about"),
    [
        (sighted(fulfil()), sighted(reject()), "what the frame 0 of epoch 1 says"),
        (sighted(fulfil()), sighted(reject(), after=1), "how the conversion"),
        (sighted(fulfil(window=1)), sighted(fulfil(window=2), after=1), "how the conversion"),
        (
            sighted(prepare(steps=1), sender=AURORA, receiver=BLUEBIRD),
            sighted(prepare(steps=2), sender=AURORA, receiver=BLUEBIRD, after=1),
            "what the conversion",
        ),
        (
            sighted(fulfil()),
            sighted(msgspec.structs.replace(fulfil(prepare(conversion=uuid("two"))), entry=OTHER_ENTRY), after=1),
            "what its entry 8 is",
        ),
        (sighted(close(AURORA, [])), sighted(close(AURORA, [line(1)]), after=1), "what it credited from"),
    ],
)
def test_two_messages_that_contradict_each_other(first: Sighting, second: Sighting, about: str) -> None:
    result = judged(Contradiction(first=first, second=second))
    assert (result.verdict, result.kind) == (Verdict.HELD, FileKind.CONTRADICTION)
    assert f"contradict each other about {about}" in result.lines[0]
    assert len(result.lines) == 3


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (sighted(fulfil()), sighted(fulfil(), after=1)),
        (sighted(fulfil()), sighted(fulfil(prepare(conversion=uuid("two"))), after=1)),
        (sighted(hello(BLUEBIRD, AURORA)), sighted(fulfil(), after=1)),
        (sighted(fulfil()), sighted(hello(BLUEBIRD, AURORA), after=1)),
        (
            sighted(prepare(steps=1), sender=AURORA, receiver=BLUEBIRD),
            sighted(query(), sender=AURORA, receiver=BLUEBIRD, after=1),
        ),
        (
            sighted(prepare(), sender=AURORA, receiver=BLUEBIRD),
            sighted(prepare(conversion=uuid("two"), steps=2), sender=AURORA, receiver=BLUEBIRD, after=1),
        ),
        (sighted(fulfil()), sighted(prepare(), sender=AURORA, receiver=BLUEBIRD, after=1)),
        (sighted(fulfil()), sighted(hello(BLUEBIRD, COPPER), receiver=COPPER)),
        (sighted(close(AURORA, [])), sighted(close(AURORA, [], window=2), after=1)),
    ],
)
def test_two_messages_that_both_can_be_true_contradict_nothing(first: Sighting, second: Sighting) -> None:
    result = judged(Contradiction(first=first, second=second))
    assert (result.verdict, result.code) == (Verdict.BROKEN, "evidence_invalid")


def promise(half: Half, body: Body) -> Sighting:
    return sighting_of(parcel([body], sender=half.ledger.side, receiver=AURORA), 0)


def receipt_of(half: Half, seq: int) -> str:
    entries = [sealed.data for sealed in half.ledger.sealed]
    tree = MemoryTree(map(leaf_hash, entries))
    note = signed_checkpoint(half.ledger.side, entries)
    receipt = Receipt(extra=entries[seq], index=seq, proof=tree.inclusion_proof(seq), checkpoint=note)
    return format_receipt(receipt).decode()


def test_a_promised_entry_in_whose_place_another_one_stands() -> None:
    made, other = alliance(), alliance()
    body = made.decided("one")
    seq = len(made.destination.ledger.sealed) - 1
    open_holder(other.destination.ledger, "somebody")
    evidence = BrokenPromise(promise=promise(made.destination, body), receipt=receipt_of(other.destination, seq))
    result = judged(evidence)
    assert (result.verdict, result.kind) == (Verdict.HELD, FileKind.BROKEN_PROMISE)
    assert result.lines[0].startswith(f"{BLUEBIRD.ledger} promised its entry {seq} to be ")
    assert result.lines[2].startswith("account_opened, ")


def test_a_promise_that_was_kept_is_no_evidence() -> None:
    made = alliance()
    body = made.decided("one")
    seq = len(made.destination.ledger.sealed) - 1
    kept = promise(made.destination, body)
    for place in (seq, seq - 1):
        evidence = BrokenPromise(promise=kept, receipt=receipt_of(made.destination, place))
        assert judged(evidence).code == "evidence_invalid"
    # The receipt of another log is by no key of the log that promised.
    assert judged(BrokenPromise(promise=kept, receipt=receipt_of(made.source, seq))).code == "signature_invalid"
    nothing = promise(made.destination, hello(BLUEBIRD, AURORA))
    evidence = BrokenPromise(promise=nothing, receipt=receipt_of(made.destination, seq))
    assert judged(evidence).code == "evidence_invalid"
    assert judged(evidence, known=[signed_agreement(agreement(AURORA, COPPER))]).verdict is Verdict.INCOMPLETE


@pytest.mark.parametrize("data", [b"", b"{}", b'{"kind":"fork"}', b"\xff"])
def test_bytes_that_are_no_evidence(data: bytes) -> None:
    with pytest.raises(EvidenceInvalid):
        decode_evidence(data)
