"""Any bytes at all lead to a value that is written back the same, or to the one error of the format."""

from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from protocol.checkpoint import Checkpoint, format_checkpoint, open_checkpoint, parse_checkpoint, sign_checkpoint
from protocol.errors import (
    CheckpointInvalid,
    KeyInvalid,
    NoteInvalid,
    ProofInvalid,
    ProtocolError,
    SignatureInvalid,
    TileInvalid,
)
from protocol.keys import PublicKey, SigningKey, decode_signature, encode_signature
from protocol.merkle import EMPTY_ROOT, Hash
from protocol.note import (
    Verifier,
    format_note,
    format_signatures,
    format_vkey,
    parse_note,
    parse_signatures,
    parse_vkey,
)
from protocol.proof import Receipt, format_receipt, open_receipt, parse_receipt
from protocol.tiles import decode_bundle, decode_tile, encode_bundle, encode_tile, format_path, parse_path

KEY = SigningKey(bytes(range(32)))
VERIFIER = Verifier("aurora.example/main.1", KEY.public)
CHECKPOINT = Checkpoint(origin=VERIFIER.name, size=0, root=EMPTY_ROOT)
SIGNED = sign_checkpoint(CHECKPOINT, key=KEY)
RECEIPT = format_receipt(Receipt(extra=b"entry", index=3, proof=(Hash(bytes(32)),), checkpoint=SIGNED))

ANY_TEXT = st.text() | st.text(alphabet=st.characters(categories=["Cs", "Cc", "Zs", "Nd", "Ll"]))


def near(sample: bytes) -> st.SearchStrategy[bytes]:
    """Return bytes at random and bytes that differ from `sample` in one place: what parsers stumble over."""
    at = st.integers(min_value=0, max_value=len(sample))
    length = st.integers(min_value=0, max_value=4)
    spliced = st.builds(lambda i, n, new: sample[:i] + new + sample[i + n :], at, length, st.binary(max_size=4))
    return st.binary() | spliced


def near_text(sample: str) -> st.SearchStrategy[str]:
    """Return texts at random, surrogates included, and texts that differ from `sample` in one place."""
    at = st.integers(min_value=0, max_value=len(sample))
    length = st.integers(min_value=0, max_value=4)
    piece = st.text(max_size=3) | st.text(alphabet="+/=0123456789xp.\n \ud800", max_size=3)
    return ANY_TEXT | st.builds(lambda i, n, new: sample[:i] + new + sample[i + n :], at, length, piece)


@given(data=near(SIGNED))
@example(data=SIGNED)
def test_notes(data: bytes) -> None:
    assert same(lambda: format_note(parse_note(data)), data, NoteInvalid)


@given(data=near(SIGNED[-100:]))
def test_signature_lines(data: bytes) -> None:
    assert same(lambda: format_signatures(parse_signatures(data)).encode(), data, NoteInvalid)


@given(text=near_text(format_vkey(VERIFIER)))
@example(text=format_vkey(VERIFIER))
def test_verifier_keys(text: str) -> None:
    assert same(lambda: format_vkey(parse_vkey(text)), text, KeyInvalid)


@given(text=near_text(format_checkpoint(CHECKPOINT)))
@example(text=format_checkpoint(CHECKPOINT))
def test_checkpoints(text: str) -> None:
    assert same(lambda: format_checkpoint(parse_checkpoint(text)), text, CheckpointInvalid)


@given(data=near(RECEIPT))
@example(data=RECEIPT)
def test_receipts(data: bytes) -> None:
    assert same(lambda: format_receipt(parse_receipt(data)), data, ProofInvalid)


@given(path=near_text("tile/0/x001/x234/067.p/5") | near_text("tile/entries/000"))
@example(path="tile/0/x001/x234/067.p/5")
def test_tile_paths(path: str) -> None:
    assert same(lambda: format_path(parse_path(path)), path, TileInvalid)


@given(data=near(encode_bundle([b"one", b"", b"three"])), width=st.integers(min_value=1, max_value=256))
@example(data=encode_bundle([b"one", b"", b"three"]), width=3)
def test_bundles(data: bytes, width: int) -> None:
    assert same(lambda: encode_bundle(decode_bundle(data, width=width)), data, TileInvalid)


@given(data=st.binary(max_size=200), width=st.integers(min_value=1, max_value=6))
def test_tiles(data: bytes, width: int) -> None:
    assert same(lambda: encode_tile(decode_tile(data, width=width)), data, TileInvalid)


@given(text=near_text(KEY.public.text))
@example(text=KEY.public.text)
def test_public_keys(text: str) -> None:
    assert same(lambda: PublicKey.parse(text).text, text, KeyInvalid)


@given(text=near_text(KEY.format_seed()))
@example(text=KEY.format_seed())
def test_seeds(text: str) -> None:
    assert same(lambda: SigningKey.parse_seed(text).format_seed(), text, KeyInvalid)


@given(text=near_text(encode_signature(bytes(64))))
@example(text=encode_signature(bytes(64)))
def test_signatures(text: str) -> None:
    assert same(lambda: encode_signature(decode_signature(text)), text, SignatureInvalid)


@given(raw=st.binary(min_size=32, max_size=32), signature=st.binary(max_size=70), message=st.binary())
def test_no_made_up_signature_verifies(raw: bytes, signature: bytes, message: bytes) -> None:
    with pytest.raises((KeyInvalid, SignatureInvalid)):
        PublicKey(raw).verify(signature=signature, message=message)
    with pytest.raises(SignatureInvalid):
        KEY.public.verify(signature=signature, message=message)


@given(data=near(SIGNED))
def test_no_changed_checkpoint_is_another(data: bytes) -> None:
    try:
        opened = open_checkpoint(data, [VERIFIER])
    except ProtocolError:
        assert data != SIGNED
    else:
        assert opened == CHECKPOINT


@given(data=near(RECEIPT))
def test_a_receipt_that_proves_nothing_never_opens(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        open_receipt(data, [VERIFIER])


def same(round_trip: Callable[[], object], given_value: object, error: type[ProtocolError]) -> bool:
    """Tell whether the value came back as it was given, or was refused with `error`; let any other error pass."""
    try:
        return round_trip() == given_value
    except error:
        return True
