from dataclasses import replace

import pytest

from protocol.checkpoint import Checkpoint, format_checkpoint, sign_checkpoint, sign_cosignature
from protocol.errors import AddCheckpointInvalid, NoteInvalid, SignatureInvalid
from protocol.keys import SigningKey
from protocol.limits import ADD_CHECKPOINT_BYTES_MAX, ADD_CHECKPOINT_HASHES_MAX, LOG_SIZE_MAX, NOTE_BYTES_MAX
from protocol.merkle import EMPTY_ROOT, Hash, MemoryTree
from protocol.note import KeyType, Note, NoteSignature, Verifier, format_note, format_signatures, parse_note
from protocol.witness import (
    SIZE_TYPE,
    TEXT_TYPE,
    Accepted,
    AddCheckpoint,
    Known,
    Refused,
    ReplyStatus,
    ShownFork,
    cosigned,
    decide,
    format_add_checkpoint,
    format_size,
    malformed,
    monitor_path,
    parse_add_checkpoint,
    parse_size,
    take_cosignatures,
)
from tests.support.rfc6962 import leaves

ORIGIN = "aurora.example/main.1"
LOG = SigningKey(bytes(range(32)))
NEXT_LOG = SigningKey(bytes(range(1, 33)))
WITNESS = SigningKey(bytes(32))
OTHER = SigningKey(bytes([7]) * 32)
TRUSTED = Verifier(ORIGIN, LOG.public)
COSIGNER = Verifier("bluebird.example/main.1", WITNESS.public, KeyType.COSIGNATURE)
TREE = MemoryTree(leaves(9))
HASH = Hash(bytes(32))


def at(size: int) -> Checkpoint:
    return Checkpoint(origin=ORIGIN, size=size, root=MemoryTree(leaves(9)[:size]).root())


def note_of(checkpoint: Checkpoint, key: SigningKey = LOG) -> Note:
    return parse_note(sign_checkpoint(checkpoint, key=key))


def request(old_size: int, size: int = 9, *, proof: tuple[Hash, ...] | None = None) -> AddCheckpoint:
    if proof is None:
        proof = MemoryTree(leaves(9)[:size]).consistency_proof(old_size) if old_size else ()
    return AddCheckpoint(old_size=old_size, proof=proof, note=note_of(at(size)))


def known(size: int | None) -> Known:
    return Known(trusted=(TRUSTED,), last=None if size is None else at(size))


def status(asked: AddCheckpoint, knowing: Known) -> ReplyStatus:
    decision = decide(asked, knowing)
    return ReplyStatus.COSIGNED if isinstance(decision, Accepted) else decision.reply.status


def test_a_request_is_the_old_size_the_proof_and_the_note() -> None:
    asked = request(6)
    lines = format_add_checkpoint(asked).split(b"\n")
    assert lines[0] == b"old 6"
    assert len(asked.proof) == 4
    assert lines[5] == b""
    assert b"\n".join(lines[6:]) == format_note(asked.note)
    assert asked.checkpoint == at(9)
    for each in (asked, request(0), request(9), request(0, 0)):
        assert parse_add_checkpoint(format_add_checkpoint(each)) == each


SIGNED = sign_checkpoint(at(9), key=LOG)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n\n",
        b"old 0\n" + SIGNED,
        b"\n\n" + SIGNED,
        b"old\n\n" + SIGNED,
        b"old 00\n\n" + SIGNED,
        b"old -1\n\n" + SIGNED,
        b"old 1 \n\n" + SIGNED,
        b"old  1\n\n" + SIGNED,
        b"Old 1\n\n" + SIGNED,
        b"size 1\n\n" + SIGNED,
        b"old 1\r\n\n" + SIGNED,
        b"old 99999999999999999\n\n" + SIGNED,
        b"old %d\n\n" % (LOG_SIZE_MAX + 1) + SIGNED,
        "old \u0661\n\n".encode() + SIGNED,
        b"\nold 1\n\n" + SIGNED,
        b"old 1\n\n\n" + SIGNED,
        b"old 1\nAAAA\n\n" + SIGNED,
        b"old 1\nnot base64\n\n" + SIGNED,
        b"old 1\n" + b"A" * 44 + b"\n\n" + SIGNED,
        b"old 1\n\n" + SIGNED[:-1],
        b"old 1\n\n" + SIGNED + b"\n",
        b"old 1\n\nno note",
        b"old 1\n\n" + format_note(Note("no checkpoint\n", parse_note(SIGNED).signatures)),
        b"old 1\n\n" + sign_checkpoint(replace(at(9), extensions=("more",)), key=LOG),
        b"old 1\n\n" + SIGNED + b" " * ADD_CHECKPOINT_BYTES_MAX,
    ],
)
def test_a_malformed_request_is_one_error(data: bytes) -> None:
    with pytest.raises(AddCheckpointInvalid) as caught:
        parse_add_checkpoint(data)
    reply = malformed(caught.value)
    assert (reply.status, reply.content_type) == (400, TEXT_TYPE)
    assert reply.body.endswith(b"\n")


def test_a_proof_has_at_most_63_hashes() -> None:
    longest = request(6, proof=(HASH,) * ADD_CHECKPOINT_HASHES_MAX)
    assert parse_add_checkpoint(format_add_checkpoint(longest)) == longest
    line = format_add_checkpoint(longest).split(b"\n")[1] + b"\n"
    with pytest.raises(AddCheckpointInvalid):
        parse_add_checkpoint(format_add_checkpoint(longest).replace(b"old 6\n", b"old 6\n" + line))


def test_the_longest_request_fits() -> None:
    most = 4 + 16 + 1 + ADD_CHECKPOINT_HASHES_MAX * 45 + 1 + NOTE_BYTES_MAX
    assert most <= ADD_CHECKPOINT_BYTES_MAX


@pytest.mark.parametrize("last", [None, *range(10)])
def test_what_extends_the_last_is_accepted(last: int | None) -> None:
    for size in range(last or 0, 10):
        decision = decide(request(last or 0, size), known(last))
        assert decision == Accepted(checkpoint=at(size), note=note_of(at(size)))


def test_the_first_checkpoint_of_a_log_may_be_empty() -> None:
    assert status(request(0, 0), known(None)) == 200
    assert status(request(0, 0), known(0)) == 200
    wrong = AddCheckpoint(old_size=0, proof=(), note=note_of(replace(at(0), root=at(1).root)))
    assert status(wrong, known(None)) == 422
    assert status(replace(request(0, 0), proof=(HASH,)), known(None)) == 422


def test_an_unknown_log_is_not_found() -> None:
    decision = decide(request(0), Known())
    assert isinstance(decision, Refused)
    assert decision.reply.status == 404
    assert decision.fork is None


def test_only_the_logs_own_signature_counts() -> None:
    forged = replace(request(0), note=note_of(at(9), OTHER))
    assert status(forged, known(None)) == 403
    text = format_checkpoint(at(9))
    line = note_of(at(9)).signatures[0]
    spoiled = Note(text, (NoteSignature(line.name, line.key_id, line.blob[:-1] + b"\0"),))
    assert status(replace(request(0), note=spoiled), known(None)) == 403
    two_lines = note_of(at(9)).with_signatures(spoiled.signatures)
    assert status(replace(request(0), note=two_lines), known(None)) == 403
    cosignature = sign_cosignature(at(9), name=ORIGIN, key=LOG, time_seconds=1)
    assert status(replace(request(0), note=Note(text, (cosignature,))), known(None)) == 403


def test_lines_of_other_keys_are_neither_verified_nor_kept() -> None:
    strangers = (NoteSignature("stranger.example", b"1234", b"anything"), note_of(at(9), OTHER).signatures[0])
    crowded = replace(request(0), note=note_of(at(9)).with_signatures(strangers))
    decision = decide(crowded, known(None))
    assert isinstance(decision, Accepted)
    assert decision.note == note_of(at(9))


def test_a_log_in_the_middle_of_a_change_of_keys_is_trusted_by_either() -> None:
    both = Known(trusted=(TRUSTED, Verifier(ORIGIN, NEXT_LOG.public)))
    for key in (LOG, NEXT_LOG):
        assert status(replace(request(0), note=note_of(at(9), key)), both) == 200


def test_a_log_that_has_got_a_new_key_is_trusted_by_all_of_its_keys() -> None:
    rotated = Known(trusted=(TRUSTED,), later=(Verifier(ORIGIN, NEXT_LOG.public),))
    both = parse_note(sign_checkpoint(at(9), key=LOG, later=[NEXT_LOG]))
    decision = decide(replace(request(0), note=both), rotated)
    assert isinstance(decision, Accepted)
    assert decision.note == both
    for key in (LOG, NEXT_LOG):
        assert status(replace(request(0), note=note_of(at(9), key)), rotated) == 403
    broken = Note(both.text, (both.signatures[0], replace(both.signatures[1], blob=bytes(64))))
    assert status(replace(request(0), note=broken), rotated) == 403


@pytest.mark.parametrize(("old", "last"), [(0, 6), (5, 6), (7, 6), (9, 6), (6, None), (6, 0), (0, 9)])
def test_another_old_size_is_told_the_right_one(old: int, last: int | None) -> None:
    decision = decide(request(old), known(last))
    assert isinstance(decision, Refused)
    reply = decision.reply
    assert (reply.status, reply.content_type) == (409, SIZE_TYPE)
    assert reply.body == f"{last or 0}\n".encode()
    assert parse_size(reply.body) == (last or 0)


def test_an_old_size_beyond_the_checkpoint_is_malformed() -> None:
    for last in (None, 3, 7):
        assert status(replace(request(0, 6), old_size=7), known(last)) == 400


def test_who_asks_is_looked_at_before_what_is_asked() -> None:
    beyond = replace(request(0, 6), old_size=7)
    assert status(beyond, Known()) == 404
    assert status(replace(beyond, note=note_of(at(6), OTHER)), known(6)) == 403


@pytest.mark.parametrize(
    ("asked", "last"),
    [
        (request(0, proof=(HASH,)), None),
        (request(6, proof=()), 6),
        (request(6, proof=(HASH,) * 3), 6),
        (request(6, proof=(*request(6).proof, HASH)), 6),
        (request(6, proof=request(6).proof[:-1]), 6),
        (request(9, proof=(HASH,)), 9),
        (request(6, proof=request(5).proof), 6),
    ],
)
def test_a_proof_that_does_not_hold_is_refused(asked: AddCheckpoint, last: int | None) -> None:
    decision = decide(asked, known(last))
    assert isinstance(decision, Refused)
    assert decision.reply.status == 422
    assert decision.fork is None


def test_two_roots_of_one_size_are_refused() -> None:
    other = replace(at(9), root=at(8).root)
    decision = decide(AddCheckpoint(old_size=9, proof=(), note=note_of(other)), known(9))
    assert isinstance(decision, Refused)
    assert decision.reply.status == 422
    assert decision.fork == ShownFork(note=note_of(other), root=other.root, proof=())
    crowded = decide(AddCheckpoint(old_size=9, proof=(HASH,), note=note_of(other)), known(9))
    assert isinstance(crowded, Refused)
    assert crowded.fork == decision.fork


@pytest.mark.parametrize("last", range(1, 9))
def test_a_log_whose_past_was_rewritten_shows_it_by_its_own_proof(last: int) -> None:
    rewritten = MemoryTree([HASH, *leaves(9)[1:]])
    note = note_of(Checkpoint(origin=ORIGIN, size=9, root=rewritten.root()))
    proof = rewritten.consistency_proof(last)
    decision = decide(AddCheckpoint(old_size=last, proof=proof, note=note), known(last))
    assert isinstance(decision, Refused)
    assert decision.reply.status == 422
    other = MemoryTree([HASH, *leaves(9)[1:last]]).root()
    # The proof of a power of two leaves out the root of the smaller tree.
    shown = None if last in {1, 2, 4, 8} else ShownFork(note=note, root=other, proof=proof)
    assert decision.fork == shown


COSIGNATURE = sign_cosignature(at(9), name=COSIGNER.name, key=WITNESS, time_seconds=1_700_000_000)
TEXT = format_checkpoint(at(9))


def test_the_answer_to_what_was_kept_is_a_cosignature() -> None:
    reply = cosigned([COSIGNATURE])
    assert (reply.status, reply.content_type) == (200, TEXT_TYPE)
    assert reply.body == COSIGNATURE.format().encode()
    assert take_cosignatures(reply.body, text=TEXT, witnesses=[COSIGNER]) == (COSIGNATURE,)


def test_lines_of_unknown_keys_and_second_lines_are_passed_over() -> None:
    stranger = sign_cosignature(at(9), name="stranger.example", key=OTHER, time_seconds=1)
    again = sign_cosignature(at(9), name=COSIGNER.name, key=WITNESS, time_seconds=2)
    body = format_signatures([stranger, COSIGNATURE, again]).encode()
    assert take_cosignatures(body, text=TEXT, witnesses=[COSIGNER]) == (COSIGNATURE,)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"", AddCheckpointInvalid),
        (b"thank you\n", AddCheckpointInvalid),
        (COSIGNATURE.format().encode()[:-1], AddCheckpointInvalid),
        (note_of(at(9)).signatures[0].format().encode(), SignatureInvalid),
        (sign_cosignature(at(8), name=COSIGNER.name, key=WITNESS, time_seconds=1).format().encode(), SignatureInvalid),
        (
            sign_cosignature(at(9), name="other.example", key=WITNESS, time_seconds=1).format().encode(),
            SignatureInvalid,
        ),
    ],
)
def test_an_answer_that_does_not_cosign_is_refused(body: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        take_cosignatures(body, text=TEXT, witnesses=[COSIGNER])


def test_a_logs_key_is_no_witness() -> None:
    with pytest.raises(SignatureInvalid):
        take_cosignatures(note_of(at(9)).signatures[0].format().encode(), text=TEXT, witnesses=[TRUSTED])


@pytest.mark.parametrize("size", [0, 1, 70_000, LOG_SIZE_MAX])
def test_a_size_has_one_spelling(size: int) -> None:
    assert parse_size(format_size(size)) == size


@pytest.mark.parametrize(
    "body",
    [b"", b"\n", b"5", b"5\n\n", b" 5\n", b"05\n", b"-5\n", b"\xb2\n", b"5 \n", b"9" * 17 + b"\n", b"9" * 16 + b"\n"],
)
def test_what_is_no_size_is_refused(body: bytes) -> None:
    with pytest.raises(AddCheckpointInvalid):
        parse_size(body)


def test_a_monitor_finds_a_log_by_the_digest_of_its_origin() -> None:
    assert monitor_path(ORIGIN) == "2b66f840e12b3026c510236cbd6e2b81e883936b988fb7a3a715487e65a85bee/checkpoint"
    assert monitor_path("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855/checkpoint"


@pytest.mark.parametrize(
    "parts",
    [
        {"old_size": -1, "proof": ()},
        {"old_size": LOG_SIZE_MAX + 1, "proof": ()},
        {"old_size": 0, "proof": (HASH,) * 64},
        {"old_size": 0, "proof": (Hash(b"short"),)},
    ],
)
def test_no_request_has_impossible_parts(parts: dict[str, object]) -> None:
    with pytest.raises(AddCheckpointInvalid):
        replace(request(0), **parts)  # type: ignore[arg-type]


def test_a_note_that_is_too_long_cannot_be_asked_about() -> None:
    line = NoteSignature("n" * 1_000, b"1234", bytes(1_000))
    with pytest.raises(NoteInvalid):
        format_add_checkpoint(replace(request(0), note=note_of(at(9)).with_signatures([line] * 60)))


def test_the_empty_log_has_the_root_of_nothing() -> None:
    assert at(0).root == EMPTY_ROOT
