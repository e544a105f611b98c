"""The verifier that stands for other people's code, held against notes that other programs signed."""

import pytest

from tests.support.outsider import (
    PLAIN,
    Disproved,
    VerifierKey,
    check_cosignature,
    check_signature,
    read_checkpoint,
    read_note,
    tile_path,
    tree_head,
)
from tests.support.vectors import vectors
from tests.vectors.test_note_vectors import COSIGNED, NOTE, PETER, WITNESSES


def test_a_note_of_go_verifies() -> None:
    text, lines = read_note(NOTE)
    key = VerifierKey.read(PETER)
    assert key.kind == PLAIN
    check_signature(key, text, lines)
    with pytest.raises(Disproved):
        check_signature(key, text + "more\n", lines)


@pytest.mark.parametrize("witness", WITNESSES)
def test_the_cosignatures_of_public_witnesses_verify(witness: str) -> None:
    text, lines = read_note(COSIGNED.encode())
    assert check_cosignature(VerifierKey.read(witness), text, lines) == 0x6A122120
    with pytest.raises(Disproved):
        check_cosignature(VerifierKey.read(witness), text.replace("1432088532", "1432088533"), lines)


def test_a_cosignature_with_fixed_seed_and_time_verifies() -> None:
    note = (vectors("tessera-log") / "checkpoint.3").read_bytes()
    text, _ = read_note(note)
    line = (
        "\u2014 witness.example/w1 519lMgAAAABlU/EA0DcHQXq4P6NaWZBCz570GpLYoPzXnNYQ7WvOFrotCPAwg8yvkVDzoq3nrNNE8ZcyT+L0"
        "eJHypJNvHOInS8q7Dg==\n"
    )
    _, lines = read_note(note + line.encode())
    key = VerifierKey.read("witness.example/w1+e75f6532+BAOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4")
    assert check_cosignature(key, text, lines) == 1_700_000_000


def test_checkpoints_of_another_log_are_read() -> None:
    text, _ = read_note((vectors("tessera-log") / "checkpoint.3").read_bytes())
    assert read_checkpoint(text).size == 3


def test_paths_and_heads_are_those_of_the_standards() -> None:
    assert [tile_path("0", 1_234_067, 256), tile_path("1", 5, 17)] == ["tile/0/x001/x234/067", "tile/1/005.p/17"]
    assert tree_head([]).hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
