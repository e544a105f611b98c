"""`tallystick audit` as a person calls it: places, states, papers, evidence, and what is said when it fails."""

import csv
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from rich.console import Console

from node.cli import audit_progress
from node.services.logs.package import write_package
from protocol.agreement import encode_signed_agreement
from protocol.note import format_vkey
from tests.support.audit_pages import Page
from tests.support.audits import Half, MemorySource, alliance, signed_checkpoint, verifier_of
from tests.support.documents import AURORA, BLUEBIRD, COPPER, signed_agreement
from tests.support.ledger import open_holder
from tests.support.settled_logs import settled_alliance
from tests.unit.node.cli.conftest import Command


def package(path: Path, half: Half) -> str:
    write_package(MemorySource(half.files()), path)
    return str(path)


@pytest.fixture
def packages(tmp_path: Path) -> list[str]:
    made = settled_alliance()
    return [package(tmp_path / f"{half.ledger.side.points}.zip", half) for half in made.halves]


def grown(name: str, count: int = 12) -> Half:
    half = alliance().destination
    for number in range(count):
        open_holder(half.ledger, f"{name} {number}")
    return half


def test_the_papers_are_written_as_a_page_as_json_and_as_csv(
    tallystick: Command, packages: list[str], tmp_path: Path
) -> None:
    page, document, tables = tmp_path / "out" / "report.html", tmp_path / "report.json", tmp_path / "csv"
    papers = ("--report", str(page), "--report", str(document), "--csv", str(tables))
    done = tallystick("audit", *packages, *papers, "--sample", "2", "--sample-seed", "x")
    assert done.status == 0, done.err
    assert done.out.endswith("Verdict: held.\n")
    for path in (page, document, tables):
        assert f"wrote {path}" in done.err
    assert Page(page.read_text()).loads == []
    read = json.loads(document.read_bytes())
    assert (read["seed"], len(read["programmes"])) == ("x", 2)
    with (tables / "trial_balance.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["Ledger"] for row in rows} == {AURORA.ledger, BLUEBIRD.ledger}
    receipts = list((tables / "sample").iterdir())
    assert len(receipts) == 4
    paper = tmp_path / "agreement.json"
    paper.write_bytes(encode_signed_agreement(signed_agreement()))
    for receipt in receipts:
        assert tallystick("verify", str(receipt), "--agreement", str(paper)).status == 0


def test_the_outcome_is_the_same_with_any_number_of_jobs(
    tallystick: Command, tmp_path: Path, packages: list[str]
) -> None:
    half = grown("member", 300)
    places = [*packages, package(tmp_path / "grown.zip", half)]
    for logs, status in ((places[:2], 0), (places, 1)):
        told = [tallystick("audit", *logs, "--json", "--jobs", str(jobs)) for jobs in (1, 2)]
        assert [done.status for done in told] == [status, status]
        assert told[0].out == told[1].out
    assert tallystick("audit", *packages, "--jobs", "0").status == 2


def test_figures_of_an_earlier_day_are_asked_for_by_date(
    tallystick: Command, packages: list[str], tmp_path: Path
) -> None:
    document = tmp_path / "report.json"
    command = ("audit", *packages, "--report", str(document))
    assert tallystick(*command, "--as-of", "2026-03-01", "--from", "2026-03-01").status == 0
    read = json.loads(document.read_bytes())
    assert (read["as_of"], read["since"]) == ("2026-03-01", "2026-03-01")
    assert tallystick(*command, "--as-of", "2025-01-01").status == 0
    assert json.loads(document.read_bytes())["programmes"] == []
    for wrong in ("1 March", "2026-02-30"):
        assert tallystick(*command, "--as-of", wrong).status == 2


def test_json_has_the_report(tallystick: Command, packages: list[str]) -> None:
    done = tallystick("audit", *packages, "--json")
    assert json.loads(done.out)["verdict"] == "held"


def test_a_state_spares_and_is_reported_without_a_place(
    tallystick: Command, packages: list[str], tmp_path: Path
) -> None:
    state = ("--state", str(tmp_path / "state"))
    assert tallystick("audit", *packages, *state).status == 0
    again = tallystick("audit", *packages, *state)
    assert again.out.count("were verified by an earlier audit, and not read again") == 2
    assert "not read again" not in tallystick("audit", *packages, *state, "--fresh").out
    page = tmp_path / "kept.html"
    recalled = tallystick("audit", *state, "--report", str(page))
    assert (recalled.status, recalled.out.endswith("Verdict: held.\n")) == (0, True)
    assert Page(page.read_text()).table("sample").rows
    for path in (tmp_path / "state").glob("*.state"):
        path.write_bytes(b"")
    damaged = tallystick("audit", *packages, *state)
    assert damaged.status == 3
    assert "(state_invalid)" in damaged.out
    assert "--fresh" in damaged.out
    assert tallystick("audit", *state).status == 3


def test_two_histories_are_found_where_two_states_meet(tallystick: Command, tmp_path: Path) -> None:
    for name in ("one", "other"):
        place = package(tmp_path / f"{name}.zip", grown(name))
        assert tallystick("audit", place, "--state", str(tmp_path / name)).status == 0
    met = tallystick("audit", "--state", str(tmp_path / "one"), "--compare", str(tmp_path / "other"))
    assert met.status == 1
    assert "(forked)" in met.out
    (evidence,) = (tmp_path / "one" / "evidence").iterdir()
    assert f"wrote {evidence}" in met.err
    paper = tmp_path / "agreement.json"
    paper.write_bytes(encode_signed_agreement(signed_agreement()))
    judged = tallystick("verify", str(evidence), "--agreement", str(paper))
    assert (judged.status, "signed two logs that contradict each other" in judged.out) == (0, True)


def test_a_checkpoint_that_somebody_was_shown_is_compared(tallystick: Command, tmp_path: Path) -> None:
    place, other = package(tmp_path / "log.zip", grown("one")), grown("other")
    note = tmp_path / "checkpoint"
    note.write_bytes(signed_checkpoint(BLUEBIRD, [sealed.data for sealed in other.ledger.sealed]))
    found = tallystick("audit", place, "--compare", str(note), "--evidence", str(tmp_path / "found"))
    assert found.status == 1
    assert len(list((tmp_path / "found").iterdir())) == 1
    assert tallystick("audit", place, "--compare", str(tmp_path / "absent")).status == 3


def test_a_key_whose_log_is_not_there_is_not_passed_over(
    tallystick: Command, packages: list[str], tmp_path: Path
) -> None:
    keys = ("--vkey", format_vkey(verifier_of(AURORA)), "--vkey", format_vkey(verifier_of(COPPER)))
    page = tmp_path / "papers.html"
    done = tallystick("audit", *packages, *keys, "--report", str(page))
    assert (done.status, f"a key of {COPPER.ledger} was given" in done.out) == (3, True)
    assert f"A key of {COPPER.ledger} was given, and none of these logs" in page.read_text()
    assert tallystick("audit", *packages, *keys[:2]).status == 0


def test_an_agreement_vouches_for_the_keys(tallystick: Command, packages: list[str], tmp_path: Path) -> None:
    paper = tmp_path / "agreement.json"
    paper.write_bytes(encode_signed_agreement(signed_agreement()))
    vouched = tallystick("audit", packages[0], "--agreement", str(paper))
    assert (vouched.status, "compare it with what the operator told you" in vouched.out) == (0, False)
    assert "compare it with what the operator told you" in tallystick("audit", packages[0]).out
    paper.write_bytes(b"{}")
    refused = tallystick("audit", packages[0], "--agreement", str(paper))
    assert refused.status == 3
    assert "is not an agreement to check by" in refused.err


@pytest.mark.parametrize(
    "wrong", [(), ("--report", "x.txt"), ("--sample", "-1"), ("--state-every", "1"), ("--from", "yesterday")]
)
def test_a_command_line_that_cannot_be_understood_is_refused(tallystick: Command, wrong: tuple[str, ...]) -> None:
    assert tallystick("audit", *wrong).status == 2


def test_what_cannot_be_written_is_said(tallystick: Command, packages: list[str], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    refused = tallystick("audit", packages[0], "--report", str(tmp_path / "file" / "x.html"))
    assert refused.status == 3
    assert "file_unreadable" in refused.err


def test_a_person_sees_a_bar(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    @contextmanager
    def terminal() -> Iterator[None]:
        monkeypatch.setattr(audit_progress, "Console", lambda *, stderr: Console(stderr=stderr, force_terminal=True))
        yield

    with terminal(), audit_progress.told_progress() as tell:
        for done in (256, 512):
            tell("log.zip", done, 512)
    assert "512/512" in capsys.readouterr().err


def test_a_program_reads_lines(capsys: pytest.CaptureFixture[str]) -> None:
    assert not sys.stderr.isatty()
    with audit_progress.told_progress() as tell:
        for done in (256, 25_600, 25_601):
            tell("log.zip", done, 25_601)
    assert capsys.readouterr().err.splitlines() == [
        "log.zip: 25,600 of 25,601 entries replayed",
        "log.zip: 25,601 of 25,601 entries replayed",
    ]
