"""RFC 6962 proofs made by transparency-dev/merkle: one that holds for each shape, and its mutations."""

from base64 import b64decode
from pathlib import Path

import msgspec
import pytest

from protocol.errors import ProofInvalid
from protocol.merkle import Hash, verify_consistency, verify_inclusion
from tests.support.vectors import vectors

FOLDER = vectors("merkle")


class Inclusion(msgspec.Struct, rename="camel"):
    leaf_idx: int
    tree_size: int
    root: str
    leaf_hash: str
    proof: list[str] | None
    want_err: bool


class Consistency(msgspec.Struct, rename="camel"):
    size1: int
    size2: int
    root1: str
    root2: str
    proof: list[str] | None
    want_err: bool


def files(kind: str) -> list[Path]:
    return sorted((FOLDER / kind).rglob("*.json"))


def name(path: Path) -> str:
    return str(path.relative_to(FOLDER).with_suffix(""))


def hash_of(text: str) -> Hash:
    return Hash(b64decode(text))


def test_there_are_vectors_to_accept_and_to_refuse() -> None:
    inclusion = [msgspec.json.decode(path.read_bytes(), type=Inclusion) for path in files("inclusion")]
    consistency = [msgspec.json.decode(path.read_bytes(), type=Consistency) for path in files("consistency")]
    assert {case.want_err for case in inclusion} == {case.want_err for case in consistency} == {True, False}
    assert len(inclusion) + len(consistency) > 150


@pytest.mark.parametrize("path", files("inclusion"), ids=name)
def test_inclusion(path: Path) -> None:
    case = msgspec.json.decode(path.read_bytes(), type=Inclusion)

    def verify() -> None:
        verify_inclusion(
            leaf=hash_of(case.leaf_hash),
            index=case.leaf_idx,
            size=case.tree_size,
            root=hash_of(case.root),
            proof=[hash_of(each) for each in case.proof or []],
        )

    if case.want_err:
        with pytest.raises(ProofInvalid):
            verify()
    else:
        verify()


@pytest.mark.parametrize("path", files("consistency"), ids=name)
def test_consistency(path: Path) -> None:
    case = msgspec.json.decode(path.read_bytes(), type=Consistency)

    def verify() -> None:
        verify_consistency(
            old_size=case.size1,
            size=case.size2,
            old_root=hash_of(case.root1),
            root=hash_of(case.root2),
            proof=[hash_of(each) for each in case.proof or []],
        )

    if case.want_err:
        with pytest.raises(ProofInvalid):
            verify()
    else:
        verify()
