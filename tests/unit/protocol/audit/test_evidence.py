from collections.abc import Sequence

import msgspec
import pytest

from protocol.agreement import SignedAgreement
from protocol.audit.evidence import (
    BrokenPromise,
    Contradiction,
    Evidence,
    Fork,
    MissingEntry,
    Subject,
    decode_evidence,
    encode_evidence,
    prove,
)
from protocol.audit.findings import Verdict
from protocol.audit.known import KnownKeys, PartnerKeys
from protocol.audit.verify import FileKind, Verification, verify_file
from protocol.envelope import Sighting, sighting_of
from protocol.errors import CouldNotCheck, EvidenceInvalid
from protocol.identifiers import Digest, Network
from protocol.merkle import MemoryTree, leaf_hash
from protocol.messages import Body, EntryReference
from protocol.proof import Receipt, format_receipt
from tests.support.audits import Half, alliance, signed_checkpoint
from tests.support.documents import (
    AURORA,
    BLUEBIRD,
    COPPER,
    NETWORK,
    agreement,
    fulfil,
    hello,
    hex_16,
    prepare,
    query,
    reject,
    signed_agreement,
    uuid,
)
from tests.support.evidence import (
    EVERY_KIND,
    FORGED,
    HONEST,
    broken_promise,
    fork,
    leaf,
    missing_entry,
    naming,
    receipt,
    sighted,
)
from tests.support.ledger import open_holder
from tests.support.parcels import parcel
from tests.support.settlement import close, line

SIGNED = signed_agreement()


def judged(evidence: Evidence, *, known: Sequence[SignedAgreement] = (SIGNED,)) -> Verification:
    data = encode_evidence(evidence)
    assert decode_evidence(data) == evidence
    return verify_file(data, agreements=known)


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
        # What BLUEBIRD says of another brand's decisions decides nothing.
        (
            sighted(fulfil(prepare(destination=COPPER))),
            sighted(reject(prepare(destination=COPPER)), after=1),
        ),
        (
            sighted(fulfil(), receiver=COPPER),
            sighted(reject(), receiver=COPPER, after=1),
        ),
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
    standing = leaf(other.destination.ledger.sealed[seq].data)
    evidence = BrokenPromise(
        promise=promise(made.destination, body), leaf=standing, receipt=receipt_of(other.destination, seq)
    )
    result = judged(evidence)
    assert (result.verdict, result.kind) == (Verdict.HELD, FileKind.BROKEN_PROMISE)
    assert result.lines[0].startswith(f"{BLUEBIRD.ledger} promised another entry {seq} than ")
    assert result.lines[2].startswith("account_opened, ")


def test_a_promise_that_was_kept_is_no_evidence() -> None:
    made = alliance()
    body = made.decided("one")
    seq = len(made.destination.ledger.sealed) - 1
    kept = promise(made.destination, body)

    def of(half: Half, place: int) -> BrokenPromise:
        standing = leaf(half.ledger.sealed[place].data)
        return BrokenPromise(promise=kept, leaf=standing, receipt=receipt_of(half, place))

    for place in (seq, seq - 1):
        assert judged(of(made.destination, place)).code == "evidence_invalid"
    # The receipt of another log is by no key of the log that promised.
    assert judged(of(made.source, seq)).code == "signature_invalid"
    nothing = promise(made.destination, hello(BLUEBIRD, AURORA))
    evidence = msgspec.structs.replace(of(made.destination, seq), promise=nothing)
    assert judged(evidence).code == "evidence_invalid"
    assert judged(evidence, known=[signed_agreement(agreement(AURORA, COPPER))]).verdict is Verdict.INCOMPLETE


def test_a_receipt_without_its_entry_is_enough_and_one_with_another_is_not() -> None:
    bare = judged(broken_promise(bare=True))
    assert bare.verdict is Verdict.HELD
    assert bare.lines[0].endswith(f"than the log that it signed has: {leaf(FORGED[4])}")
    assert len(bare.lines) == 2
    evidence = broken_promise()
    for changed, code in (
        (msgspec.structs.replace(evidence, leaf=leaf(b"a third")), "evidence_invalid"),
        (msgspec.structs.replace(broken_promise(bare=True), leaf=leaf(b"a third")), "proof_invalid"),
        (
            msgspec.structs.replace(evidence, leaf=leaf(HONEST[4]), receipt=receipt(BLUEBIRD, HONEST, 4)),
            "evidence_invalid",
        ),
    ):
        assert judged(changed).code == code


@pytest.mark.parametrize("after", [0, 1])
@pytest.mark.parametrize("size", [1, 4])
def test_a_promised_entry_that_the_log_shown_afterwards_does_not_reach(after: int, size: int) -> None:
    result = judged(missing_entry(after=after, size=size))
    assert (result.verdict, result.kind) == (Verdict.HELD, FileKind.MISSING_ENTRY)
    assert result.lines[0] == f"{BLUEBIRD.ledger} promised its entry 4, and then signed a log that does not reach it"
    assert len(result.lines) == 2


def lacking(**changed: object) -> MissingEntry:
    return msgspec.structs.replace(missing_entry(), **changed)


@pytest.mark.parametrize(
    "evidence",
    [
        pytest.param(missing_entry(size=5), id="a log that reaches it"),
        pytest.param(lacking(later=sighted(reject(), after=1)), id="no checkpoint"),
        pytest.param(lacking(later=sighted(reject(), after=1, epoch=2, log=HONEST[:4])), id="another epoch"),
        pytest.param(
            lacking(later=sighted(reject(), receiver=COPPER, after=1, log=HONEST[:4])), id="to another receiver"
        ),
        pytest.param(
            lacking(promise=sighted(naming(fulfil(), 4, HONEST[4]), after=2)), id="a checkpoint from before the promise"
        ),
        pytest.param(lacking(promise=sighted(hello(BLUEBIRD, AURORA))), id="nothing promised"),
        pytest.param(
            lacking(promise=sighted(naming(fulfil(prepare(destination=COPPER)), 4, HONEST[4]))), id="another's promise"
        ),
    ],
)
def test_what_breaks_no_promise_is_no_missing_entry(evidence: MissingEntry) -> None:
    result = judged(evidence)
    assert (result.verdict, result.code) == (Verdict.BROKEN, "evidence_invalid")


def test_each_kind_is_about_one_thing_of_one_ledger() -> None:
    proved = {what: prove(evidence, KnownKeys(agreements=(SIGNED,))) for what, evidence in EVERY_KIND.items()}
    assert {what: (each.accused, each.subject) for what, each in proved.items()} == {
        "a fork": (AURORA.ledger, Subject.LOG),
        "two roots of one size": (AURORA.ledger, Subject.LOG),
        "two bodies at one position": (BLUEBIRD.ledger, Subject.PLACE),
        "FULFIL and REJECT": (BLUEBIRD.ledger, Subject.DECISION),
        "two PREPAREs": (AURORA.ledger, Subject.ORDER),
        "another leaf at the promised place": (BLUEBIRD.ledger, Subject.PROMISE),
        "no entry at the promised place": (BLUEBIRD.ledger, Subject.PROMISE),
        "a close against a FULFIL": (BLUEBIRD.ledger, Subject.CLOSE),
        "a statement against a FULFIL": (BLUEBIRD.ledger, Subject.CLOSE),
        "a FULFIL beyond the close": (BLUEBIRD.ledger, Subject.CLOSE),
        "a FULFIL of another window within the close": (BLUEBIRD.ledger, Subject.CLOSE),
        "a close against a FULFIL of another epoch": (BLUEBIRD.ledger, Subject.CLOSE),
    }
    conversions = {each.conversion for what, each in proved.items() if each.subject not in {Subject.LOG, Subject.CLOSE}}
    assert conversions == {fulfil().id}
    assert proved["a fork"].name == f"{AURORA.ledger} 5"


def test_a_partners_keys_judge_what_that_partner_signed_in_that_network() -> None:
    aurora = PartnerKeys(ledger=AURORA.ledger, network=NETWORK, keys=AURORA.keys)
    assert prove(EVERY_KIND["a fork"], aurora).accused == AURORA.ledger
    assert prove(EVERY_KIND["two PREPAREs"], aurora).accused == AURORA.ledger
    elsewhere = PartnerKeys(ledger=AURORA.ledger, network=Network(hex_16("elsewhere")), keys=AURORA.keys)
    for keys, what in ((elsewhere, "two PREPAREs"), (aurora, "FULFIL and REJECT")):
        with pytest.raises(CouldNotCheck):
            prove(EVERY_KIND[what], keys)
    bluebird = PartnerKeys(ledger=BLUEBIRD.ledger, network=NETWORK, keys=BLUEBIRD.keys)
    with pytest.raises(CouldNotCheck):
        prove(EVERY_KIND["a fork"], bluebird)


@pytest.mark.parametrize("data", [b"", b"{}", b'{"kind":"fork"}', b"\xff"])
def test_bytes_that_are_no_evidence(data: bytes) -> None:
    with pytest.raises(EvidenceInvalid):
        decode_evidence(data)
