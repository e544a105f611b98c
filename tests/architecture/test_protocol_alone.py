"""What an auditor installs: `protocol/` in an empty folder, PyNaCl and msgspec, and nothing else of anybody's."""

import re
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import Final

import pytest
from packaging.requirements import Requirement

from protocol.agreement import encode_signed_agreement
from protocol.audit.evidence import encode_evidence
from protocol.keys import Role
from protocol.merkle import MemoryTree, leaf_hash
from protocol.note import Verifier, format_vkey
from protocol.proof import Receipt, format_receipt
from tests.architecture.sources import ROOT
from tests.support.audits import signed_checkpoint
from tests.support.documents import AURORA, signed_agreement
from tests.support.evidence import EVERY_KIND
from tests.support.history import history

WANTED: Final = ("PyNaCl", "msgspec")
STRIDE: Final = 401

IMPORT_ALL: Final = """
import importlib, pkgutil, protocol
rooms = [each.name for each in pkgutil.walk_packages(protocol.__path__, "protocol.") if "__main__" not in each.name]
for room in rooms:
    importlib.import_module(room)
print(len(rooms))
"""
LIST: Final = "import importlib.metadata as m; print(*sorted(each.name.lower() for each in m.distributions()))"
TRY: Final = "import importlib.util as u, sys; print(*[name for name in sys.argv[1:] if u.find_spec(name)])"
ABSENT: Final = ("node", "tests", "scripts", "sqlalchemy", "httpx", "pydantic", "cryptography", "pip")


def required() -> dict[str, Distribution]:
    """Return the two libraries with all that they require themselves, by their names."""
    found: dict[str, Distribution] = {}
    waiting = list(WANTED)
    while waiting:
        one = distribution(waiting.pop())
        if found.setdefault(one.name.lower(), one) is one:
            needs = map(Requirement, one.requires or ())
            waiting += [each.name for each in needs if each.marker is None or each.marker.evaluate({"extra": ""})]
    return found


@dataclass(frozen=True, slots=True)
class Auditor:
    """An environment with the two libraries alone, and a folder that holds `protocol/` alone."""

    python: Path
    folder: Path

    def run(self, *arguments: object) -> "subprocess.CompletedProcess[str]":
        """Run Python there, without anything that the tests' own environment could lend."""
        command = [str(self.python), "-s", *map(str, arguments)]
        return subprocess.run(command, cwd=self.folder, env={}, capture_output=True, text=True, check=False)

    def verify(self, file: Path, *options: str) -> int:
        """Return the exit status of the verdict on a file."""
        done = self.run("-m", "protocol", "verify", file, *options)
        assert done.stderr == ""
        return done.returncode


@pytest.fixture(scope="module")
def auditor(tmp_path_factory: pytest.TempPathFactory) -> Auditor:
    place, folder = tmp_path_factory.mktemp("environment"), tmp_path_factory.mktemp("auditor")
    venv.create(place, with_pip=False)
    (packages,) = place.glob("lib/python*/site-packages")
    for one in required().values():
        for file in one.files or ():
            # Programs that a library installs lie beside the packages, and nobody runs them.
            if ".." not in file.parts and "__pycache__" not in file.parts:
                target = packages.joinpath(*file.parts)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(str(file.locate()), target)
    shutil.copytree(ROOT / "protocol", folder / "protocol", ignore=shutil.ignore_patterns("__pycache__"))
    return Auditor(place / "bin" / "python", folder)


def papers(folder: Path) -> Iterator[tuple[Path, list[str]]]:
    """Write a receipt and every kind of evidence, and yield each with what it is judged by."""
    entries = [sealed.data for sealed in history().source.sealed[:9]]
    tree, note = MemoryTree(map(leaf_hash, entries)), signed_checkpoint(AURORA, entries)
    receipt = Receipt(extra=entries[4], index=4, proof=tree.inclusion_proof(4), checkpoint=note)
    key = format_vkey(Verifier(AURORA.ledger, AURORA.signing_keys[Role.LOG].public))
    (folder / "4.tlog-proof").write_bytes(format_receipt(receipt))
    yield folder / "4.tlog-proof", ["--vkey", key]
    (folder / "agreement.json").write_bytes(encode_signed_agreement(signed_agreement()))
    for number, evidence in enumerate(EVERY_KIND.values()):
        file = folder / f"evidence-{number}.json"
        file.write_bytes(encode_evidence(evidence))
        yield file, ["--agreement", str(folder / "agreement.json")]


def test_nothing_else_is_installed_there(auditor: Auditor) -> None:
    assert auditor.run("-c", LIST).stdout.split() == sorted(required())
    assert set(required()) == {"pynacl", "msgspec", "cffi", "pycparser"}
    assert auditor.run("-c", TRY, *ABSENT).stdout.split() == []
    assert auditor.run("-c", TRY, "nacl", "msgspec", "protocol").stdout.split() == ["nacl", "msgspec", "protocol"]


def test_every_room_can_be_imported_there(auditor: Auditor) -> None:
    done = auditor.run("-c", IMPORT_ALL)
    assert done.stderr == ""
    assert int(done.stdout) > 60


def test_a_receipt_and_evidence_are_verified_there(auditor: Auditor, tmp_path: Path) -> None:
    for file, known in papers(tmp_path):
        assert auditor.verify(file, *known) == 0, file
    assert auditor.verify(tmp_path / "4.tlog-proof") == 3
    data = (tmp_path / "4.tlog-proof").read_bytes()
    spoiled = tmp_path / "spoiled"
    key = next(papers(tmp_path))[1]
    for place in range(0, len(data), STRIDE):
        spoiled.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        assert auditor.verify(spoiled, *key) in {1, 3}, place


@pytest.mark.parametrize("room", ["note", "audit/verify", "ledger/rules", "fields"])
@pytest.mark.parametrize("stranger", ["sqlalchemy", "node.config"])
def test_a_room_that_imported_anything_else_would_fail(
    auditor: Auditor, tmp_path: Path, room: str, stranger: str
) -> None:
    shutil.copytree(auditor.folder / "protocol", tmp_path / "protocol")
    file = tmp_path / "protocol" / f"{room}.py"
    file.write_text(re.sub(r"\nimport |\nfrom ", rf"\nimport {stranger}\g<0>", file.read_text(), count=1))
    done = Auditor(auditor.python, tmp_path).run("-c", IMPORT_ALL)
    assert done.returncode == 1
    assert f"ModuleNotFoundError: No module named '{stranger.partition('.')[0]}'" in done.stderr


def test_it_is_an_interpreter_of_its_own(auditor: Auditor) -> None:
    shown = auditor.run("-c", "import sys; print(sys.prefix, *sys.path)").stdout.split()
    assert not [path for path in shown if path.startswith((str(ROOT), sys.prefix))]
