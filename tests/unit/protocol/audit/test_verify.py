import json
from collections.abc import Callable, Sequence

import msgspec
import pytest

from protocol.agreement import encode_signed_agreement
from protocol.audit.findings import Verdict
from protocol.audit.verify import FileKind, Verification, recognise, verify_file
from protocol.checkpoint import parse_checkpoint, sign_cosignature
from protocol.documents import sign_link
from protocol.encoding import encode
from protocol.envelope import encode_sighting, sighting_of
from protocol.identifiers import Network
from protocol.keys import Role
from protocol.merkle import MemoryTree, leaf_hash
from protocol.messages import (
    Body,
    Dispute,
    End,
    Lines,
    PaymentAdvice,
    StatementSigned,
)
from protocol.messages import Receipt as PaymentReceipt
from protocol.note import KeyType, Verifier, format_note, parse_note
from protocol.proof import Receipt, format_receipt
from protocol.statement import encode_signed_statement
from tests.support.audits import busy_alliance, signed_checkpoint, verifier_of
from tests.support.documents import (
    ALIAS,
    AURORA,
    BLUEBIRD,
    COPPER,
    NETWORK,
    NOW,
    SOON,
    USD,
    Side,
    account_link,
    agreement,
    entry_reference,
    every_body,
    hello,
    hex_16,
    invitation_bytes,
    link_bytes,
    query,
    signed_agreement,
)
from tests.support.mutations import bit_flips
from tests.support.parcels import parcel, parcel_bytes
from tests.support.settlement import close, disputed, line, signed_statement, statement

SIGNED = signed_agreement()
AGREEMENT = encode_signed_agreement(SIGNED)
ENTRIES = [sealed.data for sealed in busy_alliance().source.ledger.sealed]


def receipt(seq: int, *, entries: list[bytes] | None = None, note: bytes | None = None) -> bytes:
    entries = ENTRIES if entries is None else entries
    tree = MemoryTree(map(leaf_hash, entries))
    return format_receipt(
        Receipt(
            extra=entries[seq],
            index=seq,
            proof=tree.inclusion_proof(seq),
            checkpoint=note or signed_checkpoint(AURORA, entries),
        )
    )


def cosigned(note: bytes, *, key_of: Side = BLUEBIRD) -> bytes:
    parsed = parse_note(note)
    signature = sign_cosignature(
        parse_checkpoint(parsed.text),
        name=BLUEBIRD.ledger,
        key=key_of.signing_keys[Role.WITNESS],
        time_seconds=1_772_366_400,
    )
    return format_note(parsed.with_signatures([signature]))


def message(body: Body, *, sender: Side = AURORA, receiver: Side = BLUEBIRD) -> bytes:
    return encode_sighting(sighting_of(parcel([body], sender=sender, receiver=receiver), 0))


def held(data: bytes, kind: FileKind, **known: object) -> tuple[str, ...]:
    result = verify_file(data, **known)  # type: ignore[arg-type]
    assert (result.verdict, result.kind, result.code) == (Verdict.HELD, kind, None), result.lines
    return result.lines


def outcome(result: Verification) -> tuple[Verdict, str | None]:
    return result.verdict, result.code


INCOMPLETE = (Verdict.INCOMPLETE, "could_not_check")


def test_a_receipt_is_explained() -> None:
    lines = held(receipt(5), FileKind.RECEIPT, verifiers=[verifier_of(AURORA)])
    assert lines[0] == f"{AURORA.ledger} has this entry as number 5, and signed so with {len(ENTRIES)} entries:"
    captured = held(receipt(8), FileKind.RECEIPT, agreements=[SIGNED])
    assert captured[1].startswith("conversion_captured, recorded 2026-03-01T")
    assert captured[-2:] == (
        "conversion_cost/bluebird.example/main: −7.50 USD",
        "payable/bluebird.example/main: +7.50 USD",
    )
    assert captured[3] == "converted_out/bluebird.example/main: +1,200 AUR"


def test_a_receipt_names_the_witnesses_that_are_known() -> None:
    data = receipt(5, note=cosigned(signed_checkpoint(AURORA, ENTRIES)))
    lines = held(data, FileKind.RECEIPT, agreements=[SIGNED])
    assert lines[-1] == f"{BLUEBIRD.ledger} cosigned it as a witness"
    witness = Verifier(BLUEBIRD.ledger, BLUEBIRD.signing_keys[Role.WITNESS].public, KeyType.COSIGNATURE)
    assert held(data, FileKind.RECEIPT, verifiers=[verifier_of(AURORA), witness]) == lines
    assert held(data, FileKind.RECEIPT, verifiers=[verifier_of(AURORA)]) == lines[:-1]


def test_a_receipt_by_an_unknown_log_could_not_be_checked() -> None:
    assert outcome(verify_file(receipt(5))) == INCOMPLETE
    assert outcome(verify_file(receipt(5), verifiers=[verifier_of(BLUEBIRD)])) == INCOMPLETE
    third = signed_agreement(agreement(BLUEBIRD, COPPER))
    assert outcome(verify_file(receipt(5), agreements=[third])) == INCOMPLETE


def test_a_receipt_by_another_key_of_the_same_name_is_disproved() -> None:
    other = Verifier(AURORA.ledger, AURORA.signing_keys[Role.CHANNEL].public)
    assert outcome(verify_file(receipt(5), verifiers=[other])) == (Verdict.BROKEN, "signature_invalid")


def test_a_receipt_of_another_place_or_of_no_entry_is_disproved() -> None:
    known = [verifier_of(AURORA)]
    moved = [ENTRIES[1], ENTRIES[0]]
    assert outcome(verify_file(receipt(0, entries=moved), verifiers=known)) == (Verdict.BROKEN, "entry_invalid")
    assert outcome(verify_file(receipt(0, entries=[b"{}"]), verifiers=known)) == (Verdict.BROKEN, "entry_invalid")
    head, _, tail = receipt(5).partition(b"extra ")
    bare = head + tail.partition(b"\n")[2]
    assert outcome(verify_file(bare, verifiers=known)) == (Verdict.BROKEN, "proof_invalid")


def test_a_checkpoint_is_explained() -> None:
    note = cosigned(signed_checkpoint(AURORA, ENTRIES))
    lines = held(note, FileKind.CHECKPOINT, agreements=[SIGNED])
    assert lines[0].startswith(f"{AURORA.ledger} signed that it has {len(ENTRIES)} entries under the root ")
    assert lines[1] == f"{BLUEBIRD.ledger} cosigned it as a witness"
    assert outcome(verify_file(note)) == INCOMPLETE
    forged = cosigned(signed_checkpoint(AURORA, ENTRIES), key_of=AURORA)
    # The line carries another key id, so it is a stranger's and means nothing.
    assert held(forged, FileKind.CHECKPOINT, agreements=[SIGNED]) == lines[:1]


LINE = line(1, source=BLUEBIRD)
STATEMENT = signed_statement(statement([LINE]))
WINDOW_BODIES: Sequence[Body] = (
    End(
        network=NETWORK,
        sender=AURORA.ledger,
        receiver=BLUEBIRD.ledger,
        agreement=LINE.agreement,
        given_at=NOW,
        ends_at=SOON,
        entry=entry_reference(),
    ),
    close(BLUEBIRD, [LINE]),
    Lines(network=NETWORK, sender=AURORA.ledger, receiver=BLUEBIRD.ledger, window=1, lines=(LINE,)),
    Dispute(
        network=NETWORK,
        sender=AURORA.ledger,
        receiver=BLUEBIRD.ledger,
        window=1,
        source=BLUEBIRD.ledger,
        lines=(disputed(LINE),),
        entry=entry_reference(),
    ),
    StatementSigned(
        network=NETWORK,
        sender=AURORA.ledger,
        receiver=BLUEBIRD.ledger,
        window=1,
        signed=STATEMENT,
        entry=entry_reference(),
    ),
    PaymentAdvice(
        network=NETWORK,
        sender=AURORA.ledger,
        receiver=BLUEBIRD.ledger,
        window=1,
        statement=LINE.agreement,
        currency=USD,
        minor_units="250",
        reference="RF18",
        paid_at=NOW,
        entry=entry_reference(),
    ),
    PaymentReceipt(
        network=NETWORK,
        sender=AURORA.ledger,
        receiver=BLUEBIRD.ledger,
        window=1,
        statement=LINE.agreement,
        payment=LINE.agreement,
        received_at=NOW,
        entry=entry_reference(),
    ),
)


@pytest.mark.parametrize("body", [*every_body(), *WINDOW_BODIES], ids=lambda body: type(body).__name__)
def test_each_kind_of_message_is_explained(body: Body) -> None:
    sender, receiver = (BLUEBIRD, AURORA) if type(body).__name__ in {"Fulfil", "Reject"} else (AURORA, BLUEBIRD)
    lines = held(message(body, sender=sender, receiver=receiver), FileKind.MESSAGE, agreements=[SIGNED])
    assert lines[0] == f"{sender.ledger} signed this {type(body).__name__.upper()} to {receiver.ledger}:"
    assert len(lines) == 2


def test_a_message_is_judged_by_the_key_that_an_agreement_names() -> None:
    data = message(query())
    assert outcome(verify_file(data)) == INCOMPLETE
    assert outcome(verify_file(data, agreements=[signed_agreement(agreement(BLUEBIRD, COPPER))])) == INCOMPLETE
    elsewhere = signed_agreement(agreement(network=Network(hex_16("another"))))
    assert outcome(verify_file(data, agreements=[elsewhere])) == INCOMPLETE
    impostor = Side(ledger=AURORA.ledger, points=AURORA.points, signing_keys=COPPER.signing_keys)
    forged = message(query(), sender=impostor)
    assert outcome(verify_file(forged, agreements=[SIGNED])) == (Verdict.BROKEN, "signature_invalid")


def test_a_message_is_judged_by_a_verifier_key_that_it_points_to() -> None:
    data = message(query())
    channel = Verifier(AURORA.ledger, AURORA.signing_keys[Role.CHANNEL].public)
    held(data, FileKind.MESSAGE, verifiers=[verifier_of(AURORA), channel])
    assert outcome(verify_file(data, verifiers=[verifier_of(AURORA)])) == INCOMPLETE


def test_a_message_that_its_sender_cannot_say_is_disproved() -> None:
    for body in (hello(BLUEBIRD, AURORA), query()):
        data = message(body, sender=AURORA if body != query() else BLUEBIRD, receiver=AURORA)
        assert outcome(verify_file(data, agreements=[SIGNED])) == (Verdict.BROKEN, "message_misaddressed")


def test_a_parcel_is_explained() -> None:
    bodies: list[Body] = [hello(), query()]
    lines = held(parcel_bytes(bodies), FileKind.PARCEL, agreements=[SIGNED])
    assert len(lines) == 3
    assert outcome(verify_file(parcel_bytes(bodies))) == INCOMPLETE
    wrong = parcel_bytes([hello(BLUEBIRD, AURORA)])
    assert outcome(verify_file(wrong, agreements=[SIGNED])) == (Verdict.BROKEN, "message_misaddressed")


def test_an_agreement_is_explained() -> None:
    lines = held(AGREEMENT, FileKind.AGREEMENT)
    assert lines[0] == f"signed by {AURORA.ledger} and {BLUEBIRD.ledger}"
    assert lines[1] == "agreement 1, in force from 2026-01-01T00:00:00.000000Z with no end"
    assert lines[2].startswith(f"{AURORA.ledger} (AUR), keys ")
    assert lines[4] == "every 400 AUR give 250 BLU, settled at 2.50 USD a step, 1 to 1,000 steps"
    assert lines[-1] == "the keys are those that the document itself names: compare their fingerprints"
    assert held(AGREEMENT, FileKind.AGREEMENT, verifiers=[verifier_of(AURORA)]) == lines[:-1]
    until = signed_agreement(agreement(valid_until="2027-01-01T00:00:00.000000Z"))
    assert "until 2027-01-01" in held(encode_signed_agreement(until), FileKind.AGREEMENT)[1]


def test_a_proposal_is_signed_by_one_party_alone() -> None:
    data = encode_signed_agreement(signed_agreement(signers=[AURORA]))
    lines = held(data, FileKind.AGREEMENT)
    assert lines[0] == f"signed by {AURORA.ledger} alone: a proposal, which binds nobody yet"


def test_an_agreement_with_other_keys_than_the_known_ones_is_disproved() -> None:
    other = Verifier(AURORA.ledger, COPPER.signing_keys[Role.LOG].public)
    assert outcome(verify_file(AGREEMENT, verifiers=[other])) == (Verdict.BROKEN, "key_invalid")
    impostor = Side(ledger=BLUEBIRD.ledger, points=BLUEBIRD.points, signing_keys=COPPER.signing_keys)
    forged = signed_agreement(agreement(AURORA, impostor), signers=[AURORA, impostor])
    data = encode_signed_agreement(forged)
    held(data, FileKind.AGREEMENT)
    assert outcome(verify_file(data, agreements=[SIGNED])) == (Verdict.BROKEN, "key_invalid")


def test_an_agreement_whose_signature_fails_is_disproved() -> None:
    wrong = msgspec.structs.replace(SIGNED.signatures[1], ledger=AURORA.ledger)
    forged = msgspec.structs.replace(SIGNED, signatures=(wrong, SIGNED.signatures[1]))
    assert outcome(verify_file(encode_signed_agreement(forged))) == (Verdict.BROKEN, "signature_invalid")


@pytest.mark.parametrize("signers", [[AURORA], [BLUEBIRD]])
def test_an_agreement_to_check_by_must_itself_hold(signers: list[Side]) -> None:
    result = verify_file(receipt(5), agreements=[signed_agreement(signers=signers)])
    assert outcome(result) == INCOMPLETE
    assert "does not hold" in result.lines[0]


def test_a_statement_is_explained() -> None:
    data = encode_signed_statement(STATEMENT)
    lines = held(data, FileKind.STATEMENT, agreements=[SIGNED])
    assert lines == (
        f"signed by {AURORA.ledger} and {BLUEBIRD.ledger}",
        f"window 1 of {AURORA.ledger} and {BLUEBIRD.ledger}",
        f"{AURORA.ledger} owes 0.00 USD for 0 conversions (0 in dispute, 0 adjusted)",
        f"{BLUEBIRD.ledger} owes 2.50 USD for 1 conversions (0 in dispute, 0 adjusted)",
        f"{BLUEBIRD.ledger} pays 2.50 USD by {STATEMENT.statement.due_at}; 0.00 USD stay on the balance",
    )
    proposal = encode_signed_statement(signed_statement(statement(), signers=[AURORA]))
    lines = held(proposal, FileKind.STATEMENT, agreements=[SIGNED])
    assert lines[0] == f"signed by {AURORA.ledger} alone: a proposal, which binds nobody yet"
    assert lines[-1] == "nobody pays; 0.00 USD stay on the balance"
    assert outcome(verify_file(data)) == INCOMPLETE
    wrong = msgspec.structs.replace(STATEMENT.signatures[1], ledger=AURORA.ledger)
    forged = encode_signed_statement(msgspec.structs.replace(STATEMENT, signatures=(wrong, STATEMENT.signatures[1])))
    assert outcome(verify_file(forged, agreements=[SIGNED])) == (Verdict.BROKEN, "signature_invalid")


def test_an_invitation_proves_who_wrote_it_and_not_who_that_is() -> None:
    lines = held(invitation_bytes(), FileKind.INVITATION)
    assert "read the fingerprint aloud" in lines[-1]
    assert held(invitation_bytes(), FileKind.INVITATION, agreements=[SIGNED]) == lines[:-1]
    impostor = Side(ledger=AURORA.ledger, points=AURORA.points, signing_keys=COPPER.signing_keys)
    forged = invitation_bytes(impostor)
    held(forged, FileKind.INVITATION)
    assert outcome(verify_file(forged, agreements=[SIGNED])) == (Verdict.BROKEN, "key_invalid")


def test_an_account_link_is_judged_by_its_issuers_keys() -> None:
    lines = held(link_bytes(), FileKind.LINK, agreements=[SIGNED])
    assert lines[0] == f"{BLUEBIRD.ledger} signed for {AURORA.ledger} that the alias {ALIAS} is an account of its own"
    channel = Verifier(BLUEBIRD.ledger, BLUEBIRD.signing_keys[Role.CHANNEL].public)
    for verifiers in ([channel], [verifier_of(BLUEBIRD), channel], [channel, verifier_of(BLUEBIRD)]):
        assert held(link_bytes(), FileKind.LINK, verifiers=verifiers) == lines
    assert outcome(verify_file(link_bytes())) == INCOMPLETE
    forged = sign_link(account_link(), key=AURORA.signing_keys[Role.CHANNEL])
    assert outcome(verify_file(forged, agreements=[SIGNED])) == (Verdict.BROKEN, "signature_invalid")
    assert outcome(verify_file(forged, verifiers=[verifier_of(BLUEBIRD)])) == (Verdict.BROKEN, "signature_invalid")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        b"{",
        b"[1]",
        b"{}",
        b'{"kind":"hello"}',
        b'{"kind":["fork"]}',
        b"\xff",
        b"[" * 100_000,
        b"\x00" * 20,
    ],
)
def test_what_nobody_can_recognise_could_not_be_checked(data: bytes) -> None:
    assert recognise(data) is None
    result = verify_file(data)
    assert (outcome(result), result.kind) == (INCOMPLETE, None)


def test_what_is_too_large_is_not_even_parsed() -> None:
    assert recognise(b'{"a":"' + b"x" * 9_000_000 + b'"}') is None


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"c2sp.org/tlog-proof@v2\n", FileKind.RECEIPT),
        ("text\n\n\u2014 a b\n".encode(), FileKind.CHECKPOINT),
        (encode({"body": 1, "envelope": 1, "frame": 1, "path": 1}), FileKind.MESSAGE),
        (encode({"bodies": 1, "envelope": 1}), FileKind.PARCEL),
        (encode({"agreement": 1, "signatures": 1, "more": 1}), FileKind.AGREEMENT),
        (encode({"statement": 1, "signatures": 1}), FileKind.STATEMENT),
        (encode({"introduction": 1, "signature": 1}), FileKind.INVITATION),
        (encode({"link": 1, "signature": 1}), FileKind.LINK),
        (encode({"kind": "fork"}), FileKind.FORK),
        (encode({"kind": "contradiction"}), FileKind.CONTRADICTION),
        (encode({"kind": "broken_promise"}), FileKind.BROKEN_PROMISE),
    ],
)
def test_what_claims_to_be_a_file_of_ours_and_is_none_is_disproved(data: bytes, kind: FileKind) -> None:
    assert recognise(data) is kind
    assert verify_file(data, agreements=[SIGNED]).verdict is Verdict.BROKEN


@pytest.mark.parametrize("make", [lambda: receipt(5), lambda: message(query()), link_bytes, invitation_bytes])
def test_no_changed_bit_holds(make: Callable[[], bytes]) -> None:
    data = make()
    assert verify_file(data, agreements=[SIGNED]).verdict is Verdict.HELD
    for number, changed in enumerate(bit_flips(data)):
        if number % 7 == 0:
            assert verify_file(changed, agreements=[SIGNED]).verdict is not Verdict.HELD


def test_the_outcome_as_json() -> None:
    document = json.loads(verify_file(AGREEMENT).json())
    assert (document["v"], document["verdict"], document["kind"], document["code"]) == (1, "held", "agreement", None)
