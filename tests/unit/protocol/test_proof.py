from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from protocol.checkpoint import Checkpoint, sign_checkpoint, sign_cosignature
from protocol.errors import NoteInvalid, ProofInvalid, ProtocolError, SignatureInvalid
from protocol.keys import SigningKey, encode_base64
from protocol.limits import ENTRY_BYTES_MAX, LOG_SIZE_MAX, NOTE_BYTES_MAX, RECEIPT_BYTES_MAX
from protocol.merkle import Hash, MemoryTree, leaf_hash
from protocol.note import Verifier, format_note, parse_note
from protocol.proof import (
    HEADER,
    OpenedReceipt,
    Receipt,
    format_receipt,
    open_receipt,
    parse_receipt,
    refreshed,
    verify_receipt,
)
from tests.support.rfc6962 import flip

ORIGIN = "aurora.example/main.1"
KEY = SigningKey(bytes(range(32)))
VERIFIERS = [Verifier(ORIGIN, KEY.public)]
ENTRIES = [b'{"seq":%d}' % number for number in range(7)]
TREE = MemoryTree(map(leaf_hash, ENTRIES))
CHECKPOINT = Checkpoint(origin=ORIGIN, size=7, root=TREE.root())
SIGNED = sign_checkpoint(CHECKPOINT, key=KEY)


def receipt_of(index: int) -> Receipt:
    return Receipt(extra=ENTRIES[index], index=index, proof=TREE.inclusion_proof(index), checkpoint=SIGNED)


RECEIPT = receipt_of(4)
DATA = format_receipt(RECEIPT)


def test_a_receipt_is_a_text() -> None:
    lines = [encode_base64(each) for each in RECEIPT.proof]
    head = "\n".join([HEADER, f"extra {encode_base64(ENTRIES[4])}", "index 4", *lines])
    assert f"{head}\n\n".encode() + SIGNED == DATA
    assert format_receipt(replace(RECEIPT, extra=None, proof=(), checkpoint=b"x")).decode() == f"{HEADER}\nindex 4\n\nx"


@pytest.mark.parametrize("index", range(7))
def test_every_entry_has_a_receipt_that_opens(index: int) -> None:
    data = format_receipt(receipt_of(index))
    assert parse_receipt(data) == receipt_of(index)
    assert open_receipt(data, VERIFIERS) == OpenedReceipt(entry=ENTRIES[index], index=index, checkpoint=CHECKPOINT)


def test_a_log_of_one_entry_needs_no_hashes() -> None:
    signed = sign_checkpoint(Checkpoint(origin=ORIGIN, size=1, root=leaf_hash(b"")), key=KEY)
    data = format_receipt(Receipt(extra=b"", index=0, proof=(), checkpoint=signed))
    assert open_receipt(data, VERIFIERS).entry == b""


def test_no_changed_receipt_opens() -> None:
    for bit in range(8 * len(DATA)):
        with pytest.raises(ProtocolError):
            open_receipt(flip(DATA, bit), VERIFIERS)
    for length in range(len(DATA)):
        with pytest.raises(ProtocolError):
            open_receipt(DATA[:length], VERIFIERS)


def test_a_receipt_is_of_one_entry_at_one_index() -> None:
    for index in (0, 3, 5, 7, LOG_SIZE_MAX - 1):
        with pytest.raises(ProofInvalid):
            open_receipt(format_receipt(replace(RECEIPT, index=index)), VERIFIERS)
    with pytest.raises(ProofInvalid):
        open_receipt(format_receipt(replace(RECEIPT, extra=ENTRIES[3])), VERIFIERS)
    with pytest.raises(ProofInvalid):
        verify_receipt(RECEIPT, leaf=leaf_hash(ENTRIES[3]), verifiers=VERIFIERS)
    assert verify_receipt(RECEIPT, leaf=leaf_hash(ENTRIES[4]), verifiers=VERIFIERS) == CHECKPOINT


def test_a_receipt_needs_its_log_and_its_entry() -> None:
    with pytest.raises(SignatureInvalid):
        open_receipt(DATA, [Verifier("bluebird.example/main.1", KEY.public)])
    with pytest.raises(NoteInvalid):
        open_receipt(format_receipt(replace(RECEIPT, checkpoint=b"")), VERIFIERS)
    bare = replace(RECEIPT, extra=None)
    with pytest.raises(ProofInvalid):
        open_receipt(format_receipt(bare), VERIFIERS)
    assert verify_receipt(bare, leaf=leaf_hash(ENTRIES[4]), verifiers=VERIFIERS) == CHECKPOINT


@pytest.mark.parametrize(
    "head",
    [
        "",
        HEADER,
        f"{HEADER}\n",
        f"{HEADER}\nindex",
        f"{HEADER}\nindex ",
        f"{HEADER}\nindex -1",
        f"{HEADER}\nindex 01",
        f"{HEADER}\nindex  1",
        f"{HEADER}\nindex 1 ",
        f"{HEADER}\nIndex 1",
        f"{HEADER}\nindex {LOG_SIZE_MAX}",
        f"{HEADER}\nindex {'9' * 9999}",
        f"{HEADER}\nextra AA==",
        f"{HEADER}\nextra AA=\nindex 1",
        f"{HEADER}\nextra AB==\nindex 1",
        f"{HEADER}\nextra  AA==\nindex 1",
        f"{HEADER}\nextra\nindex 1",
        f"{HEADER}\nindex 1\nextra AA==",
        f"{HEADER}\nextra AA==\nextra AA==\nindex 1",
        f"{HEADER}\nextra {encode_base64(bytes(ENTRY_BYTES_MAX + 1))}\nindex 1",
        f"{HEADER}\nindex 1\nAA==",
        f"{HEADER}\nindex 1\n{encode_base64(bytes(33))}",
        f"{HEADER}\nindex 1\n{encode_base64(bytes(32))[:-1]}",
        f"{HEADER}\nindex 1" + 65 * f"\n{encode_base64(bytes(32))}",
        f"{HEADER}\r\nindex 1",
        f"{HEADER} \nindex 1",
        "c2sp.org/tlog-proof@v2\nindex 1",
        f"\n{HEADER}\nindex 1",
        f"{HEADER}\nindex \u0661",
    ],
)
def test_a_malformed_receipt_is_refused(head: str) -> None:
    with pytest.raises(ProofInvalid):
        parse_receipt(f"{head}\n\n".encode() + SIGNED)


def test_a_receipt_is_bounded() -> None:
    largest = Receipt(
        extra=bytes(ENTRY_BYTES_MAX),
        index=LOG_SIZE_MAX - 1,
        proof=(Hash(bytes(32)),) * 64,
        checkpoint=bytes(NOTE_BYTES_MAX),
    )
    assert parse_receipt(format_receipt(largest)) == largest
    with pytest.raises(ProofInvalid):
        parse_receipt(f"{HEADER}\nindex 1\n\n".encode() + bytes(NOTE_BYTES_MAX + 1))
    with pytest.raises(ProofInvalid):
        parse_receipt(DATA + bytes(RECEIPT_BYTES_MAX))


@pytest.mark.parametrize(
    "change",
    [
        {"extra": bytes(ENTRY_BYTES_MAX + 1)},
        {"index": -1},
        {"index": LOG_SIZE_MAX},
        {"proof": (Hash(bytes(32)),) * 65},
        {"proof": (Hash(bytes(31)),)},
        {"checkpoint": bytes(NOTE_BYTES_MAX + 1)},
    ],
)
def test_parts_beyond_the_bounds_make_no_receipt(change: Mapping[str, object]) -> None:
    with pytest.raises(ProofInvalid):
        replace(RECEIPT, **change)  # type: ignore[arg-type]


def signed_at(size: int, *names: str, index: int = 4, entries: Sequence[bytes] = ENTRIES) -> Receipt:
    """Return a receipt from a log of `size` entries that these witnesses have cosigned."""
    tree = MemoryTree(map(leaf_hash, entries[:size]))
    stated = Checkpoint(origin=ORIGIN, size=size, root=tree.root())
    lines = [
        sign_cosignature(stated, name=name, key=SigningKey(name.encode().ljust(32)), time_seconds=1) for name in names
    ]
    note = parse_note(sign_checkpoint(stated, key=KEY)).with_signatures(lines)
    return Receipt(extra=entries[index], index=index, proof=tree.inclusion_proof(index), checkpoint=format_note(note))


def test_of_two_receipts_the_later_stays() -> None:
    early, late = signed_at(5, "w1", "w2"), signed_at(7, "w1")
    assert refreshed(early, late) == late
    assert refreshed(late, early) == late


def test_cosignatures_of_one_checkpoint_are_joined() -> None:
    both = refreshed(signed_at(7, "w1", "w2"), signed_at(7, "w2", "w3"))
    names = [line.name for line in parse_note(both.checkpoint).signatures]
    assert names == [ORIGIN, "w2", "w3", "w1"]
    assert open_receipt(format_receipt(both), VERIFIERS).entry == ENTRIES[4]
    assert refreshed(both, both) == both


OTHERS = [*ENTRIES[:5], b"another", ENTRIES[6]]
UNLIKE: dict[str, Receipt] = {
    "another entry": replace(RECEIPT, extra=ENTRIES[3]),
    "another place": signed_at(7, index=3),
    "no entry": replace(RECEIPT, extra=None),
    "another log": replace(
        RECEIPT, checkpoint=sign_checkpoint(replace(CHECKPOINT, origin="b.example/main.1"), key=KEY)
    ),
    "another path": replace(RECEIPT, proof=RECEIPT.proof[::-1]),
    "another history": signed_at(7, entries=OTHERS),
    "no note": replace(RECEIPT, checkpoint=b"nothing"),
}


@pytest.mark.parametrize("what", UNLIKE)
def test_what_is_no_later_receipt_of_the_same_is_refused(what: str) -> None:
    with pytest.raises(ProtocolError):
        refreshed(RECEIPT, UNLIKE[what])
    if what == "no entry":
        with pytest.raises(ProofInvalid):
            refreshed(UNLIKE[what], UNLIKE[what])
