"""A small log written by transparency-dev/tessera: sixteen checkpoints, partial tiles and entry bundles."""

import pytest

from protocol.checkpoint import Checkpoint, open_checkpoint, verify_extends
from protocol.errors import SignatureInvalid
from protocol.merkle import Hash, consistency_proof, inclusion_proof, leaf_hash, root_of, verify_inclusion
from protocol.note import format_note, format_vkey, parse_note, parse_vkey
from protocol.proof import Receipt, format_receipt, open_receipt
from protocol.tiles import (
    BundleId,
    TileBuilder,
    TileId,
    TileReader,
    bundles_of,
    decode_bundle,
    encode_bundle,
    encode_tile,
    format_path,
    parse_path,
    tiles_of,
)
from tests.support.rfc6962 import flip
from tests.support.vectors import vectors

FOLDER = vectors("tessera-log")
VKEY = "example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx"
VERIFIER = parse_vkey(VKEY)
SIZES = range(16)


def fetch(place: TileId | BundleId) -> bytes:
    return (FOLDER / format_path(place)).read_bytes()


def signed(size: int) -> bytes:
    return (FOLDER / f"checkpoint.{size}").read_bytes()


def checkpoint_at(size: int) -> Checkpoint:
    return open_checkpoint(signed(size), [VERIFIER])


def entries_at(size: int) -> tuple[bytes, ...]:
    return tuple(entry for place in bundles_of(size) for entry in decode_bundle(fetch(place), width=place.width))


def leaves_at(size: int) -> list[Hash]:
    return [leaf_hash(entry) for entry in entries_at(size)]


def test_the_verifier_key_has_one_text() -> None:
    assert format_vkey(VERIFIER) == VKEY


@pytest.mark.parametrize("size", SIZES)
def test_each_checkpoint_is_signed_and_states_the_root_of_its_entries(size: int) -> None:
    checkpoint = checkpoint_at(size)
    assert (checkpoint.origin, checkpoint.size) == ("example.com/log/testdata", size)
    assert checkpoint.root == root_of(leaves_at(size))
    assert format_note(parse_note(signed(size))) == signed(size)


def test_the_last_checkpoint_is_the_published_one() -> None:
    assert (FOLDER / "checkpoint").read_bytes() == signed(15)


@pytest.mark.parametrize("size", SIZES)
def test_no_checkpoint_survives_another_signature(size: int) -> None:
    note = parse_note(signed(size))
    wrong = flip(note.signatures[0].blob, 8 * size)
    forged = note.signatures[0].__class__(VERIFIER.name, VERIFIER.key_id, wrong)
    with pytest.raises(SignatureInvalid):
        open_checkpoint(format_note(note.__class__(note.text, (forged,))), [VERIFIER])


@pytest.mark.parametrize("size", SIZES)
def test_tiles_and_bundles_equal_ours(size: int) -> None:
    builder = TileBuilder()
    for leaf in leaves_at(size):
        builder.append(leaf)
    ours = builder.take_changed()
    assert [tile for tile, _ in ours] == list(tiles_of(size))
    assert all(fetch(tile) == data == encode_tile(leaves_at(size)) for tile, data in ours)
    assert all(fetch(place) == encode_bundle(entries_at(size)) for place in bundles_of(size))


def test_every_file_has_the_one_path_of_its_place() -> None:
    paths = [path.relative_to(FOLDER).as_posix() for path in (FOLDER / "tile").rglob("*") if path.is_file()]
    assert len(paths) == 30
    assert [format_path(parse_path(path)) for path in paths] == paths


@pytest.mark.parametrize("size", SIZES)
def test_every_entry_is_included(size: int) -> None:
    checkpoint = checkpoint_at(size)
    for index, leaf in enumerate(leaves_at(size)):
        proof = inclusion_proof(index=index, size=size, read=TileReader(size=size, fetch=fetch).read)
        verify_inclusion(leaf=leaf, index=index, size=size, root=checkpoint.root, proof=proof)


def test_every_checkpoint_extends_every_earlier_one() -> None:
    for size in SIZES:
        read = TileReader(size=size, fetch=fetch).read
        for old_size in range(size + 1):
            proof = consistency_proof(old_size=old_size, size=size, read=read) if old_size else ()
            verify_extends(old=checkpoint_at(old_size), new=checkpoint_at(size), proof=proof)


def test_a_receipt_of_a_foreign_log_opens() -> None:
    entry = entries_at(15)[11]
    proof = inclusion_proof(index=11, size=15, read=TileReader(size=15, fetch=fetch).read)
    receipt = Receipt(extra=entry, index=11, proof=proof, checkpoint=signed(15))
    assert open_receipt(format_receipt(receipt), [VERIFIER]).entry == entry
