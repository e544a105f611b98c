"""The vectors in specs/vectors: files and code agree, and the code of others comes to the same."""

import ast
import json
import shutil
import sys
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Final

import msgspec
import pytest

from protocol.keys import SigningKey
from protocol.merkle import leaf_hash, root_of
from protocol.note import parse_vkey
from scripts.published.__main__ import FILES, FOLDER, CodeDiffers, complete, main
from scripts.published.files import Case, VectorFile, parse, render
from scripts.published.judges import outcomes
from tests.support import stranger, stranger_words
from tests.support.pages import table
from tests.support.stranger import JUDGES, judge, sign
from tests.support.stranger_words import envelope

BYTES_MAX: Final = 1_000_000
FOREIGN: Final = (
    "encoding.json",
    "checkpoints.json",
    "cosignatures.json",
    "add-checkpoint.json",
    "receipts.json",
    "envelopes.json",
)
"""The files that somebody else's code reads whole."""


def published(name: str) -> VectorFile:
    return parse((FOLDER / name).read_bytes())


def as_strangers_read(name: str) -> Mapping[str, object]:
    found: Mapping[str, object] = json.loads((FOLDER / name).read_text(encoding="ascii"))
    return found


def test_the_files_are_what_the_code_makes() -> None:
    assert main(["--check"]) == 0


@pytest.mark.parametrize("name", FILES)
def test_the_code_does_what_a_file_says(name: str) -> None:
    file = published(name)
    for case, (code, properties) in zip(file.cases, outcomes(file), strict=True):
        assert (code, properties) == (case.error, case.expected), case.name


@pytest.mark.parametrize("name", FILES)
def test_a_file_accepts_and_refuses_and_names_every_case_once(name: str) -> None:
    cases = published(name).cases
    refused = [case for case in cases if case.error or (case.expected or {}).get("status", 200) != 200]
    assert 5 <= len(refused) < len(cases)
    assert len({case.name for case in cases}) == len(cases)


def test_the_files_are_small() -> None:
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < BYTES_MAX


@pytest.mark.parametrize("name", FOREIGN)
def test_somebody_elses_code_comes_to_the_same(name: str) -> None:
    for case, properties in judge(as_strangers_read(name), {**JUDGES, "envelope": envelope}):
        assert (properties is None) == (case["error"] is not None), case["name"]
        assert properties == case.get("expected"), case["name"]


def test_somebody_elses_code_makes_the_same_cosignatures() -> None:
    file = published("cosignatures.json")
    made = [case for case in file.cases if case.made_from is not None]
    assert len(made) >= 5
    for case in made:
        text = file.given_to(case).text
        assert text is not None
        assert sign(msgspec.to_builtins(case.made_from), text) == case.data


@pytest.mark.parametrize(
    ("name", "roles"),
    [
        ("envelopes.json", ["channel"]),
        ("receipts.json", ["log"]),
        ("evidence.json", ["log", "channel"]),
        ("fenced.json", ["channel"]),
    ],
)
def test_a_brands_keys_have_the_seeds_that_the_page_tells(name: str, roles: list[str]) -> None:
    given = published(name).given
    assert given is not None
    for text in given.verifiers:
        known = parse_vkey(text)
        seeds = [sha256(f"{known.name} {role}".encode()).digest() for role in roles]
        assert known.key in [SigningKey(seed).public for seed in seeds], text


def test_somebody_elses_code_follows_the_chain_of_entries() -> None:
    links = as_strangers_read("entries.json")["chain"]
    assert isinstance(links, list)
    before, hashes = "0" * 64, []
    for number, link in enumerate(links):
        entry = json.loads(link["data"])
        assert (entry["seq"], entry["prev"]) == (number, before)
        before = sha256(b"\x00" + link["data"].encode()).hexdigest()
        hashes.append(leaf_hash(link["data"].encode()))
        assert (before, root_of(hashes).hex()) == (link["leaf"], link["root"])
    assert len(hashes) > 8


def test_the_reader_shares_no_code_with_the_project() -> None:
    for room in (stranger, stranger_words):
        tree = ast.parse(Path(str(room.__file__)).read_text(encoding="utf-8"))
        names = {name.name for each in ast.walk(tree) if isinstance(each, ast.Import) for name in each.names}
        names |= {str(each.module) for each in ast.walk(tree) if isinstance(each, ast.ImportFrom)}
        others = names - {stranger.__name__}
        assert {name.partition(".")[0] for name in others} <= sys.stdlib_module_names | {"nacl"}


def test_a_file_that_was_changed_left_out_or_added_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(FOLDER, tmp_path, dirs_exist_ok=True)
    (tmp_path / "receipts.json").unlink()
    (tmp_path / "more.json").write_text("{}")
    (tmp_path / "evidence.json").write_bytes((tmp_path / "evidence.json").read_bytes().replace(b"a fork", b"a spoon"))
    assert main(["--check"], folder=tmp_path) == 1
    told = [Path(line.partition(" ")[0]).name for line in capsys.readouterr().err.splitlines()]
    assert told == ["evidence.json", "more.json", "receipts.json"]
    (tmp_path / "more.json").unlink()
    assert main([], folder=tmp_path) == 0
    assert main(["--check"], folder=tmp_path) == 0


def test_a_case_that_is_judged_otherwise_than_meant_is_not_published() -> None:
    wrong = VectorFile(
        format="encoding", version=1, page="", about="", cases=(Case(name="a", data="{}", error="encoding_invalid"),)
    )
    with pytest.raises(CodeDiffers, match="encoding, a"):
        complete(wrong)
    right = msgspec.structs.replace(wrong, cases=(Case(name="a", data="{}", error=None),) * 2)
    with pytest.raises(CodeDiffers, match="one name"):
        complete(right)


def test_a_file_is_ascii_and_is_read_as_it_was_written() -> None:
    for name in FILES:
        data = (FOLDER / name).read_bytes()
        assert data.isascii()
        assert render(parse(data)) == data


def test_the_page_lists_every_file() -> None:
    listed = {row["file"].strip("`"): row["format"].strip("`") for row in table("vectors/README", "Files")}
    assert listed == {name: published(name).format for name in FILES}
