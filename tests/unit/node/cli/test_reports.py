"""`tallystick journal` and `reconcile`: files as the node writes them, and the comparison with a partner's."""

import json
from pathlib import Path

import httpx
import pytest

from protocol.identifiers import Ledger
from protocol.settlement.daily import DailyFile, DailyLine, DailyState, encode_daily
from tests.support.documents import AURORA, BLUEBIRD, NETWORK, uuid
from tests.support.node_stand_in import Answer, NodeStandIn
from tests.unit.node.cli.conftest import Command

DAY = "2026-03-01"


def line(name: str, value: int = 5) -> DailyLine:
    return DailyLine(
        source=AURORA.ledger,
        destination=BLUEBIRD.ledger,
        conversion=uuid(name),
        state=DailyState.COMPLETED,
        decided_at=f"{DAY}T12:00:00.000000Z",
        value=value,
    )


def file(*lines: DailyLine, sender: Ledger = AURORA.ledger, partner: Ledger = BLUEBIRD.ledger) -> bytes:
    return encode_daily(DailyFile(network=NETWORK, sender=sender, partner=partner, day=DAY, lines=lines))


def text(content: bytes) -> Answer:
    return lambda _request: httpx.Response(200, content=content, headers={"Content-Type": "text/csv"})


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    path = tmp_path / "theirs.csv"
    path.write_bytes(file(line("a"), sender=BLUEBIRD.ledger, partner=AURORA.ledger))
    return path


def reconcile(tallystick: Command, *more: str) -> tuple[int, str]:
    told = tallystick("reconcile", "bluebird.example", "--date", DAY, *more)
    return told.status, told.out + told.err


def test_the_file_is_written_as_the_node_gives_it(tallystick: Command, node: NodeStandIn, tmp_path: Path) -> None:
    node.on("GET", "/v1/reconciliation.csv", text(file(line("a"))))
    assert reconcile(tallystick) == (0, file(line("a")).decode())
    out = tmp_path / "ours.csv"
    assert reconcile(tallystick, "--out", str(out))[0] == 0
    assert out.read_bytes() == file(line("a"))
    assert dict(node.requests[-1].url.params) == {"partner": BLUEBIRD.ledger, "date": DAY}


def test_the_same_day_on_both_sides_holds(tallystick: Command, node: NodeStandIn, theirs: Path) -> None:
    node.on("GET", "/v1/reconciliation.csv", text(file(line("a"))))
    status, said = reconcile(tallystick, "--compare", str(theirs))
    assert (status, said) == (0, f"both sides have the same 1 conversions of {DAY}\n")


def test_differences_are_listed_and_disprove(
    tallystick: Command, node: NodeStandIn, theirs: Path, tmp_path: Path
) -> None:
    node.on("GET", "/v1/reconciliation.csv", text(file(line("a", 6), line("b"))))
    out = tmp_path / "ours.csv"
    status, said = reconcile(tallystick, "--compare", str(theirs), "--out", str(out))
    assert status == 1
    assert "value: 6 and 5" in said
    assert "missing_there" in said
    assert out.exists()
    status, said = reconcile(tallystick, "--compare", str(theirs), "--json")
    assert (status, len(json.loads(said)["differences"])) == (1, 2)


def test_a_file_that_was_changed_is_not_compared(tallystick: Command, node: NodeStandIn, theirs: Path) -> None:
    theirs.write_bytes(theirs.read_bytes().replace(b",5,", b",4,"))
    status, said = reconcile(tallystick, "--compare", str(theirs))
    assert (status, "reconciliation_invalid" in said) == (1, True)


def test_the_journal_is_written_by_entry_or_by_day(tallystick: Command, node: NodeStandIn, tmp_path: Path) -> None:
    node.on("GET", "/v1/journal.csv", text(b"day,debit\r\n"))
    days = ("--from", "2026-01-01", "--to", "2026-01-31")
    assert tallystick("journal", *days).out.startswith("day,debit")
    out = tmp_path / "journal.csv"
    assert tallystick("journal", *days, "--per", "day", "--out", str(out)).status == 0
    assert out.read_bytes() == b"day,debit\r\n"
    assert node.requests[-1].url.params["per"] == "day"
    assert tallystick("journal", *days, "--per", "week").status == 2
    assert tallystick("journal", "--from", "31/01/2026", "--to", "2026-01-31").status == 2
