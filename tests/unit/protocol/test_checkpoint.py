from dataclasses import replace

import pytest

from protocol.checkpoint import (
    Checkpoint,
    cosignature_time,
    format_checkpoint,
    open_checkpoint,
    parse_checkpoint,
    parse_decimal,
    sign_checkpoint,
    sign_cosignature,
    verify_cosignature,
    verify_extends,
)
from protocol.errors import CheckpointInvalid, KeyInvalid, NoteInvalid, ProofInvalid, SignatureInvalid
from protocol.keys import SigningKey
from protocol.limits import LOG_SIZE_MAX
from protocol.merkle import EMPTY_ROOT, Hash, MemoryTree
from protocol.note import KeyType, Verifier, format_note, parse_note, sign_note
from tests.support.rfc6962 import leaves

ORIGIN = "aurora.example/main.1"
LOG = SigningKey(bytes(range(32)))
WITNESS = SigningKey(bytes(32))
LOG_VERIFIER = Verifier(ORIGIN, LOG.public)
WITNESS_NAME = "bluebird.example/witness"
WITNESS_VERIFIER = Verifier(WITNESS_NAME, WITNESS.public, KeyType.COSIGNATURE)
LEAVES = leaves(9)
ROOT_TEXT = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="


def at(size: int, origin: str = ORIGIN) -> Checkpoint:
    return Checkpoint(origin=origin, size=size, root=MemoryTree(LEAVES[:size]).root())


CHECKPOINT = at(9)
SIGNED = sign_checkpoint(CHECKPOINT, key=LOG)
COSIGNATURE = sign_cosignature(CHECKPOINT, name=WITNESS_NAME, key=WITNESS, time_seconds=1_700_000_000)


def test_a_checkpoint_is_three_lines() -> None:
    assert format_checkpoint(at(0)) == f"{ORIGIN}\n0\n{ROOT_TEXT}\n"
    for size in range(10):
        assert parse_checkpoint(format_checkpoint(at(size))) == at(size)
    largest = replace(at(0), size=LOG_SIZE_MAX)
    assert parse_checkpoint(format_checkpoint(largest)) == largest


def test_extension_lines_are_kept_but_no_log_of_ours_has_them() -> None:
    extended = replace(CHECKPOINT, extensions=("one", "two words"))
    text = format_checkpoint(extended)
    assert text.endswith("=\none\ntwo words\n")
    assert parse_checkpoint(text) == extended
    with pytest.raises(CheckpointInvalid):
        open_checkpoint(sign_checkpoint(extended, key=LOG), [LOG_VERIFIER])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n\n",
        f"{ORIGIN}\n0\n",
        f"{ORIGIN}\n0\n{ROOT_TEXT}",
        f"\n0\n{ROOT_TEXT}\n",
        f"{ORIGIN}\n\n{ROOT_TEXT}\n",
        f"{ORIGIN}\n00\n{ROOT_TEXT}\n",
        f"{ORIGIN}\n01\n{ROOT_TEXT}\n",
        f"{ORIGIN}\n-1\n{ROOT_TEXT}\n",
        f"{ORIGIN}\n+1\n{ROOT_TEXT}\n",
        f"{ORIGIN}\n 1\n{ROOT_TEXT}\n",
        f"{ORIGIN}\n1_0\n{ROOT_TEXT}\n",
        f"{ORIGIN}\n\u0661\n{ROOT_TEXT}\n",
        f"{ORIGIN}\n{LOG_SIZE_MAX + 1}\n{ROOT_TEXT}\n",
        f"{ORIGIN}\n{'9' * 5000}\n{ROOT_TEXT}\n",
        f"{ORIGIN}\n0\n{ROOT_TEXT[:-1]}\n",
        f"{ORIGIN}\n0\n{ROOT_TEXT[:-2]}V=\n",
        f"{ORIGIN}\n0\nAAAA\n",
        f"{ORIGIN}\n0\n\ud800\n",
        f"{ORIGIN}\n0\n{ROOT_TEXT}\n\n",
        f"{ORIGIN}\n0\n{ROOT_TEXT}\nextension\n\n",
        f"{ORIGIN}\t\n0\n{ROOT_TEXT}\n",
        f"\ud800\n0\n{ROOT_TEXT}\n",
    ],
)
def test_a_malformed_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(CheckpointInvalid):
        parse_checkpoint(text)


def test_numbers_have_one_spelling() -> None:
    assert [parse_decimal(text) for text in ("0", "7", "10", "9" * 16)] == [0, 7, 10, 10**16 - 1]
    assert [parse_decimal(text) for text in ("", "00", "1 ", "0x1", "1\n", "9" * 17)] == [None] * 6


def test_the_log_signs_under_its_own_name() -> None:
    assert open_checkpoint(SIGNED, [LOG_VERIFIER]) == CHECKPOINT
    with pytest.raises(KeyInvalid):
        sign_checkpoint(replace(CHECKPOINT, origin="two words"), key=LOG)


def test_no_other_key_stands_in_for_the_log() -> None:
    text = format_checkpoint(CHECKPOINT)
    cosigned = sign_note(text, name="other", key=WITNESS).with_signatures([COSIGNATURE])
    data = format_note(cosigned)
    witness_named_as_log = sign_cosignature(CHECKPOINT, name=ORIGIN, key=LOG, time_seconds=1)
    as_witness = Verifier(ORIGIN, LOG.public, KeyType.COSIGNATURE)
    with pytest.raises(SignatureInvalid):
        open_checkpoint(data, [Verifier("other", WITNESS.public), WITNESS_VERIFIER, LOG_VERIFIER])
    with pytest.raises(SignatureInvalid):
        open_checkpoint(format_note(cosigned.with_signatures([witness_named_as_log])), [as_witness])


def test_cosignatures_ride_along() -> None:
    note = parse_note(SIGNED).with_signatures([COSIGNATURE])
    assert open_checkpoint(format_note(note), [WITNESS_VERIFIER, LOG_VERIFIER]) == CHECKPOINT
    old = sign_cosignature(at(8), name=WITNESS_NAME, key=WITNESS, time_seconds=1)
    spoiled = format_note(parse_note(SIGNED).with_signatures([old]))
    assert open_checkpoint(spoiled, [LOG_VERIFIER]) == CHECKPOINT
    with pytest.raises(SignatureInvalid):
        open_checkpoint(spoiled, [LOG_VERIFIER, WITNESS_VERIFIER])


def test_bytes_that_are_no_note_or_no_checkpoint_are_told_apart() -> None:
    with pytest.raises(NoteInvalid):
        open_checkpoint(b"nothing", [LOG_VERIFIER])
    with pytest.raises(CheckpointInvalid):
        open_checkpoint(format_note(sign_note("text\n", name=ORIGIN, key=LOG)), [LOG_VERIFIER])


def test_a_cosignature_is_of_one_checkpoint_by_one_witness() -> None:
    verify_cosignature(COSIGNATURE, checkpoint=CHECKPOINT, verifier=WITNESS_VERIFIER)
    assert cosignature_time(COSIGNATURE) == 1_700_000_000
    others = [
        (at(8), WITNESS_VERIFIER),
        (CHECKPOINT, Verifier("other", WITNESS.public, KeyType.COSIGNATURE)),
        (CHECKPOINT, Verifier(WITNESS_NAME, LOG.public, KeyType.COSIGNATURE)),
        (CHECKPOINT, Verifier(WITNESS_NAME, WITNESS.public)),
    ]
    for checkpoint, verifier in others:
        with pytest.raises(SignatureInvalid):
            verify_cosignature(COSIGNATURE, checkpoint=checkpoint, verifier=verifier)
    with pytest.raises(NoteInvalid):
        cosignature_time(parse_note(SIGNED).signatures[0])


@pytest.mark.parametrize("time_seconds", [0, -1, 2**63])
def test_no_cosignature_states_an_impossible_time(time_seconds: int) -> None:
    with pytest.raises(SignatureInvalid):
        sign_cosignature(CHECKPOINT, name=WITNESS_NAME, key=WITNESS, time_seconds=time_seconds)


@pytest.mark.parametrize("old_size", range(10))
def test_a_log_grows(old_size: int) -> None:
    proof = MemoryTree(LEAVES).consistency_proof(old_size) if old_size else ()
    verify_extends(old=at(old_size), new=CHECKPOINT, proof=proof)
    with pytest.raises(ProofInvalid):
        verify_extends(old=at(old_size), new=CHECKPOINT, proof=[*proof, Hash(bytes(32))])


def test_a_log_never_shrinks_or_changes_its_name_or_its_past() -> None:
    with pytest.raises(ProofInvalid):
        verify_extends(old=at(9), new=at(8), proof=[])
    with pytest.raises(ProofInvalid):
        verify_extends(old=at(1), new=at(0), proof=[])
    with pytest.raises(CheckpointInvalid):
        verify_extends(old=at(9), new=at(9, "aurora.example/main.2"), proof=[])
    with pytest.raises(ProofInvalid):
        verify_extends(old=at(9), new=replace(at(9), root=EMPTY_ROOT), proof=[])


def test_a_log_without_leaves_has_the_root_of_nothing() -> None:
    wrong = replace(at(0), root=at(1).root)
    verify_extends(old=at(0), new=at(0), proof=[])
    for old, new in [(wrong, at(0)), (at(0), wrong), (wrong, wrong), (wrong, at(5))]:
        with pytest.raises(ProofInvalid):
            verify_extends(old=old, new=new, proof=[])
