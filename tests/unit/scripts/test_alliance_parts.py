"""The parts of the alliance that need no running node: ports, ids, options, the report."""

import socket
from collections import Counter
from pathlib import Path

import pytest

from protocol.audit.figures import RollForward
from protocol.audit.findings import Finding, Verdict, worst
from protocol.audit.matching import PairReport
from protocol.audit.report import LogReport, Report
from protocol.identifiers import Asset
from scripts.alliance.__main__ import parse_arguments
from scripts.alliance.alliance import _choose_ports, stable_id
from scripts.alliance.brands import AURORA, BLUEBIRD, BRANDS, CEDAR
from scripts.alliance.day import Outcome
from scripts.alliance.process import (
    HOST,
    AllianceFailed,
    NodeProcess,
    check_ports_free,
    find_free_ports,
)
from scripts.alliance.report import report_lines, summarise
from tests.support.reports import direction_report, log_report, pair_report

ROLLED = RollForward(
    points=Asset("AUR"),
    opening="0",
    issued="1000",
    converted_in="250",
    redeemed="100",
    converted_out="400",
    fees="25",
    expired="0",
    adjusted="0",
    closing="725",
    holders="725",
)
FINDING = Finding(verdict=Verdict.BROKEN, code="forked", place="checkpoint", detail="two roots")


def log(ledger: str, verdict: Verdict = Verdict.HELD) -> LogReport:
    return log_report(ledger, ROLLED, verdict=verdict)


def pair(verdict: Verdict = Verdict.HELD) -> PairReport:
    there = direction_report(AURORA.ledger, BLUEBIRD.ledger, completed=5, returned=2, value=6_000_000)
    findings = () if verdict is Verdict.HELD else (FINDING,)
    return pair_report(AURORA.ledger, BLUEBIRD.ledger, [there], verdict=verdict, findings=findings)


def report(*logs: LogReport, pairs: tuple[PairReport, ...]) -> Report:
    verdict = worst([*(one.verdict for one in logs), *(one.verdict for one in pairs)])
    return Report(verdict=verdict, logs=logs, pairs=pairs, unmatched=())


OUTCOME = Outcome(ordered=7, completed=5, returned=Counter({"expired": 1, "cancelled": 1}), surprises=())


def test_the_summary_of_a_good_day() -> None:
    audited = report(*(log(brand.ledger) for brand in BRANDS), pairs=(pair(),))
    summary = summarise(audited, OUTCOME, refused={"id_reused": 1}, seconds=12.34)
    assert summary.is_good
    assert summary.audit.held == tuple(brand.ledger for brand in BRANDS)
    assert (summary.conversions, summary.completed, summary.rejected, summary.matched) == (7, 5, 2, 7)
    assert (summary.programs[0].name, summary.programs[0].closing, summary.seconds) == ("Aurora Air", 725, 12.3)
    text = "\n".join(report_lines(summary, audited))
    assert "7 conversions: 5 completed, 2 returned" in text
    assert "6.00 USD owed" in text
    assert "audit: 3 held, 0 broken, 0 incomplete" in text


def test_a_pair_that_does_not_match_breaks_both_of_its_ledgers() -> None:
    audited = report(*(log(brand.ledger) for brand in BRANDS), pairs=(pair(Verdict.BROKEN),))
    summary = summarise(audited, OUTCOME, refused={}, seconds=1)
    assert (summary.audit.held, summary.audit.broken) == ((CEDAR.ledger,), (AURORA.ledger, BLUEBIRD.ledger))
    assert not summary.is_good
    assert "broken: checkpoint: two roots (forked)" in "\n".join(report_lines(summary, audited))


def test_what_could_not_be_checked_is_not_good_either() -> None:
    logs = [log(AURORA.ledger, Verdict.INCOMPLETE), log(BLUEBIRD.ledger), log(CEDAR.ledger)]
    summary = summarise(report(*logs, pairs=()), OUTCOME, refused={}, seconds=1)
    assert summary.audit.incomplete == (AURORA.ledger,)
    assert not summary.is_good


def test_a_conversion_that_ended_otherwise_than_it_had_to_is_not_good() -> None:
    audited = report(*(log(brand.ledger) for brand in BRANDS), pairs=(pair(),))
    outcome = Outcome(ordered=7, completed=7, returned=Counter(), surprises=("no conversion was returned",))
    summary = summarise(audited, outcome, refused={}, seconds=1)
    assert not summary.is_good
    assert "surprise: no conversion was returned" in "\n".join(report_lines(summary, audited))


def test_free_ports_are_different_and_free() -> None:
    ports = find_free_ports(3)
    assert len(set(ports)) == 3
    check_ports_free(ports)


def test_a_taken_port_is_named() -> None:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(AllianceFailed, match=f"port {port} is taken"):
            check_ports_free([port])


def test_a_made_alliance_keeps_its_ports(tmp_path: Path) -> None:
    assert [port for _, port in _choose_ports(tmp_path, None, ephemeral=False)] == [7101, 7102, 7103]
    assert [port for _, port in _choose_ports(tmp_path, 9000, ephemeral=False)] == [9000, 9001, 9002]
    (tmp_path / AURORA.name).mkdir()
    (tmp_path / AURORA.name / "node.toml").write_text("port = 8000\n")
    assert [port for _, port in _choose_ports(tmp_path, None, ephemeral=False)] == [8000, 7102, 7103]
    with pytest.raises(AllianceFailed, match="listens on port 8000"):
        _choose_ports(tmp_path, 9000, ephemeral=False)


def test_a_node_that_ends_by_itself_shows_the_end_of_its_log(tmp_path: Path) -> None:
    node = NodeProcess(brand=AURORA, directory=tmp_path / "nothing", port=find_free_ports(1)[0], log=tmp_path / "log")
    node.start()
    with pytest.raises(AllianceFailed, match=r"(?s)ended with status \d.*not a node directory"):
        node.wait_ready()
    node.stop()


def test_ids_are_stable_and_different() -> None:
    assert stable_id("member", "aurora") == stable_id("member", "aurora")
    assert stable_id("member", "aurora") != stable_id("member", "cedar")


@pytest.mark.parametrize("arguments", [["--conversions", "5"], ["--conversions", "x"], ["--port-base", "x"], ["more"]])
def test_a_wrong_command_line_is_status_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse_arguments(arguments)
    assert ended.value.code == 2
    assert "Traceback" not in capsys.readouterr().err
