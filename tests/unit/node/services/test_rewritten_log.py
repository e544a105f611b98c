"""A brand rewrites an old entry and signs everything anew: its next request and the next audit lead to one evidence."""

import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from node.cli.main import run
from node.services.logs.pages import sighting_of
from node.services.partner_logs.proving import Proving
from node.workers.prove_partners import ProvePartners
from protocol.__main__ import main
from protocol.agreement import encode_signed_agreement
from protocol.entries import PointsIssued
from protocol.ledger import commands
from tests.support.audits import files_of
from tests.support.documents import uuid
from tests.support.nodes import ANN, ENTRIES_MAX, Alliance, LocalNode, convert
from tests.support.operator import operator_of
from tests.support.rewriting import rewrite
from tests.support.settling import LocalLogs, context_of
from tests.unit.node.services.test_proving import doubled

ISSUES = 5


@dataclass(frozen=True, slots=True)
class Auditor:
    """Who audits a log now and then, and remembers what held."""

    folder: Path

    def audit(self, node: LocalNode) -> int:
        """Return the exit status of an audit of everything that an auditor is shown of a log."""
        received = [sighting_of(message) for message in node.reader.messages_received(0, ENTRIES_MAX)]
        files = files_of(node.side, node.reader.entries(0, ENTRIES_MAX), received)
        with zipfile.ZipFile(self.folder / "log.zip", "w") as archive:
            for name, data in files.items():
                archive.writestr(name, data)
        kept = ["--state", str(self.folder / "state"), "--evidence", str(self.folder / "evidence")]
        return run(["audit", str(self.folder / "log.zip"), *kept])

    def evidence(self) -> list[bytes]:
        """Return the files of evidence that were written."""
        return [path.read_bytes() for path in self.folder.glob("evidence/*")]


@pytest.fixture
def auditor(tmp_path: Path) -> Auditor:
    return Auditor(tmp_path)


@pytest.fixture
def liar(two: Alliance) -> LocalNode:
    """Return a brand with a past that its partner has seen, to the last entry."""
    liar, partner = two.pair
    two.talk()
    convert(liar, partner)
    two.talk()
    for number in range(ISSUES):
        liar.do(commands.IssuePoints(id=uuid(f"issue {number}"), account=ANN, amount=10))
    convert(partner, liar, name="back", amount=500)
    two.talk()
    return liar


def issues(node: LocalNode) -> list[int]:
    return [entry.seq for entry in node.entries() if isinstance(entry, PointsIssued)]


@pytest.mark.parametrize("grows", [False, True])
def test_the_next_request_and_the_next_audit_write_the_same_file(
    two: Alliance, liar: LocalNode, auditor: Auditor, grows: bool
) -> None:
    _, partner = two.pair
    worker = ProvePartners(Proving(context_of(partner), LocalLogs(two.network)))
    worker.step()
    assert auditor.audit(liar) == 0
    rewrite(liar, issues(liar)[2], doubled)
    if grows:
        liar.do(commands.IssuePoints(id=uuid("as if nothing had happened"), account=ANN, amount=1))
    two.talk()
    worker.step()
    operator = operator_of(partner)
    (row,) = operator.accused()
    assert (row.partner, row.reason) == (liar.ledger, "log")
    found = operator.file(row)
    assert auditor.audit(liar) == 1
    assert auditor.evidence() == [found]
    file, paper = auditor.folder / "file.json", auditor.folder / "agreement.json"
    file.write_bytes(found)
    ((_, record),) = partner.reader.agreements(liar.ledger)
    paper.write_bytes(encode_signed_agreement(record.signed))
    assert main(["verify", str(file), "--agreement", str(paper)]) == 0


def test_an_entry_on_which_others_rest_is_found_by_both(two: Alliance, liar: LocalNode, auditor: Auditor) -> None:
    """What came before a conversion is in the PREPARE that the partner answered, and its word nobody else can sign."""
    _, partner = two.pair
    worker = ProvePartners(Proving(context_of(partner), LocalLogs(two.network)))
    worker.step()
    assert auditor.audit(liar) == 0
    rewrite(liar, issues(liar)[0], doubled)
    two.talk()
    worker.step()
    (row,) = operator_of(partner).accused()
    assert (row.partner, row.reason) == (liar.ledger, "log")
    assert auditor.audit(liar) == 1


def test_a_brand_that_rewrites_nothing_is_accused_of_nothing(two: Alliance, liar: LocalNode, auditor: Auditor) -> None:
    _, partner = two.pair
    worker = ProvePartners(Proving(context_of(partner), LocalLogs(two.network)))
    worker.step()
    assert auditor.audit(liar) == 0
    rewrite(liar, issues(liar)[2], lambda document: document)
    liar.do(commands.IssuePoints(id=uuid("more"), account=ANN, amount=1))
    two.talk()
    worker.step()
    assert operator_of(partner).accused() == []
    assert auditor.audit(liar) == 0
    assert auditor.evidence() == []
