"""`tallystick import-balances`: control totals, the dry run, the file of errors, and going on after an interruption."""

import csv
import json
import os
from pathlib import Path
from typing import cast

import httpx
import pytest

from node.cli import importing
from node.cli.import_file import Fault, digest_of
from node.cli.importing import write_faults
from tests.support.documents import digest, uuid
from tests.support.node_stand_in import NodeStandIn, answer, refuse
from tests.unit.node.cli.conftest import Command, Finished

IMPORTS = "/v1/imports"
FILE = digest("file")
WRITTEN = {"id": "x", "kind": "x", "seq": 9, "leaf": "ab" * 32, "time": "t", "occurred_on": "2026-02-01"}
STATE = {"file": FILE, "state": "under_way", "day": "2026-02-01", "rows": 3, "points": 12, "rows_done": 2,
         "points_done": 11, "begun_seq": 5, "finished_seq": None}  # fmt: skip
FINISHED = {**STATE, "state": "finished", "finished_seq": 9, "rows_done": 3, "points_done": 12}
ROWS = [(uuid("ann"), 10), (uuid("bob"), 1), (uuid("cid"), 1)]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "balances.csv"
    lines = [f"{account},{points},2025-12-24" for account, points in ROWS]
    path.write_text("\n".join(["account,points,earned_on", *lines]) + "\n")
    return path


@pytest.fixture(autouse=True)
def _small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "ROWS_AT_ONCE", 2)


def ready(node: NodeStandIn, *states: object) -> None:
    node.on("GET", IMPORTS, *(answer({"imports": [state] if state else []}) for state in states))
    node.on("GET", "/v1/program", answer({"terms": {}, "entered_seq": 4, "today": "2026-02-02"}))
    node.on("POST", f"{IMPORTS}/checks", answer({"faults": []}))
    node.on("POST", IMPORTS, answer({**WRITTEN, "fields": {"file": FILE}}))
    node.on("POST", f"{IMPORTS}/{FILE}/rows", answer({}))
    node.on("POST", f"{IMPORTS}/{FILE}/finish", answer(WRITTEN))
    node.on("GET", f"{IMPORTS}/{FILE}", answer(FINISHED))


def bodies(node: NodeStandIn, path: str) -> list[dict[str, object]]:
    return [json.loads(one.content) for one in node.requests if one.method == "POST" and one.url.path == path]


def import_it(tallystick: Command, file: Path, *more: str) -> Finished:
    totals = ("--count", "3", "--points", "12", "--as-of", "2026-02-01")
    return tallystick("import-balances", str(file), *totals, *more)


def test_a_file_is_checked_taken_in_and_finished(tallystick: Command, node: NodeStandIn, file: Path) -> None:
    ready(node, None)
    finished = import_it(tallystick, file)
    assert finished.status == 0, finished.err
    assert "imported (entry 9): 3 rows, 12 points as of 2026-02-01" in finished.out
    (begun,) = bodies(node, IMPORTS)
    assert begun == {"sha256": digest_of(file), "rows": 3, "points": 12, "occurred_on": "2026-02-01"}
    assert [body["first_row"] for body in bodies(node, f"{IMPORTS}/{FILE}/rows")] == [1, 3]
    assert [body["first_row"] for body in bodies(node, f"{IMPORTS}/checks")] == [1, 3]
    first = bodies(node, f"{IMPORTS}/{FILE}/rows")[0]["rows"]
    assert isinstance(first, list)
    assert first[0] == {
        "kind": "member",
        "account": f"member/{uuid('ann')}",
        "points": 10,
        "earned_on": "2025-12-24",
        "origin": "own",
    }


def test_an_interrupted_import_goes_on_after_the_last_row(tallystick: Command, node: NodeStandIn, file: Path) -> None:
    ready(node, STATE)
    assert import_it(tallystick, file).status == 0
    assert [body["first_row"] for body in bodies(node, f"{IMPORTS}/{FILE}/rows")] == [3]


def test_a_file_that_is_in_is_not_taken_in_again(tallystick: Command, node: NodeStandIn, file: Path) -> None:
    ready(node, FINISHED)
    finished = import_it(tallystick, file)
    assert finished.status == 0
    assert "imported before (entry 9)" in finished.out
    assert bodies(node, IMPORTS) == []


def test_without_a_day_the_file_is_as_of_the_programs(tallystick: Command, node: NodeStandIn, file: Path) -> None:
    ready(node, None)
    finished = tallystick("import-balances", str(file), "--count", "3", "--points", "12")
    assert finished.status == 0, finished.err
    assert [body["occurred_on"] for body in bodies(node, IMPORTS)] == ["2026-02-02"]


def test_a_dry_run_writes_nothing(tallystick: Command, node: NodeStandIn, file: Path) -> None:
    ready(node, None)
    finished = import_it(tallystick, file, "--dry-run", "--json")
    assert finished.status == 0
    told = json.loads(finished.out)
    assert (told["outcome"], told["rows"], told["points"], told["faults"]) == ("checked", 3, 12, 0)
    assert bodies(node, IMPORTS) == []


@pytest.mark.parametrize("totals", [("--count", "4", "--points", "12"), ("--count", "3", "--points", "13")])
def test_control_totals_that_differ_stop_it(
    tallystick: Command, node: NodeStandIn, file: Path, totals: tuple[str, ...]
) -> None:
    ready(node, None)
    finished = tallystick("import-balances", str(file), *totals)
    assert finished.status == 1
    assert "totals_differ: 3 rows of 12 points, not" in finished.out
    assert bodies(node, f"{IMPORTS}/checks") == []


def test_the_trailer_is_a_control_total_too(tallystick: Command, node: NodeStandIn, file: Path) -> None:
    ready(node, None)
    file.write_text(file.read_text() + "trailer,3,12\n")
    assert tallystick("import-balances", str(file)).status == 0
    file.write_text(file.read_text().replace("trailer,3,12", "trailer,3,11"))
    assert tallystick("import-balances", str(file), "--dry-run").status == 1


@pytest.mark.parametrize("totals", [(), ("--count", "3"), ("--points", "12")])
def test_without_control_totals_it_does_not_begin(
    tallystick: Command, node: NodeStandIn, file: Path, totals: tuple[str, ...]
) -> None:
    ready(node, None)
    assert tallystick("import-balances", str(file), *totals).status == 2


def test_what_is_wrong_is_written_to_a_file_row_by_row(
    tallystick: Command, node: NodeStandIn, file: Path, tmp_path: Path
) -> None:
    ready(node, None)
    fault = {"row": 2, "column": "account", "code": "account_exists", "detail": "it is there"}
    node.on("POST", f"{IMPORTS}/checks", answer({"faults": [fault]}), answer({"faults": []}))
    errors = tmp_path / "errors.csv"
    finished = import_it(tallystick, file, "--errors", str(errors))
    assert finished.status == 1
    with errors.open(newline="") as written:
        assert list(csv.reader(written)) == [
            ["row", "column", "code", "text"],
            ["2", "account", "account_exists", "it is there"],
        ]
    assert bodies(node, IMPORTS) == []


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_no_cell_of_the_file_of_errors_is_a_formula(tmp_path: Path, start: str) -> None:
    path = tmp_path / "errors.csv"
    write_faults(path, [Fault(1, "points", "x", f"{start}HYPERLINK(1)")])
    with path.open(newline="") as written:
        assert list(csv.reader(written))[1][3] == f"'{start}HYPERLINK(1)"


def test_many_faults_are_counted_and_a_file_of_errors_is_advised(
    tallystick: Command, node: NodeStandIn, file: Path
) -> None:
    ready(node, None)
    lines = "".join(f"{uuid(f'x {number}')},-1,2025-12-24\n" for number in range(30))
    file.write_text("account,points,earned_on\n" + lines)
    finished = import_it(tallystick, file)
    assert finished.status == 1
    assert "row 1, points: points_negative" in finished.out
    assert "and 10 more: give --errors FILE" in finished.out


def test_a_file_that_was_changed_meanwhile_is_not_finished(tallystick: Command, node: NodeStandIn, file: Path) -> None:
    ready(node, None)

    def change(request: httpx.Request) -> httpx.Response:
        file.write_text(file.read_text() + "\n\n")
        return answer({})(request)

    node.on("POST", f"{IMPORTS}/{FILE}/rows", change)
    finished = import_it(tallystick, file)
    assert finished.status == 3
    assert "import_file_invalid" in finished.err
    assert bodies(node, f"{IMPORTS}/{FILE}/finish") == []


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (f"{uuid('cid')},1", f"{uuid('cid')},2"),
        ("1,2025-12-24\n", "1,2025-12-24\nx,9,2025-12-24\n"),
        (uuid("cid"), "cid"),
    ],
    ids=["other points", "one more", "unreadable"],
)
def test_no_row_is_sent_that_was_changed_since_the_file_was_checked(
    tallystick: Command, node: NodeStandIn, file: Path, *, before: str, after: str
) -> None:
    ready(node, None)

    def change(request: httpx.Request) -> httpx.Response:
        head, found, tail = file.read_text().rpartition(before)
        file.write_text(head + found.replace(before, after) + tail)
        return answer({**WRITTEN, "fields": {"file": FILE}})(request)

    node.on("POST", IMPORTS, change)
    finished = import_it(tallystick, file)
    assert (finished.status, "the file was changed meanwhile" in finished.err) == (3, True)
    sent = [row for body in bodies(node, f"{IMPORTS}/{FILE}/rows") for row in cast("list[object]", body["rows"])]
    assert len(sent) == 2
    assert bodies(node, f"{IMPORTS}/{FILE}/finish") == []


def test_a_file_that_is_changed_while_it_is_checked_is_not_begun(
    tallystick: Command, node: NodeStandIn, file: Path
) -> None:
    ready(node, None)

    def change(request: httpx.Request) -> httpx.Response:
        file.write_text(file.read_text().replace(",10,", ",11,"))
        return answer({"terms": {}, "entered_seq": 4, "today": "2026-02-02"})(request)

    node.on("GET", "/v1/program", change)
    finished = tallystick("import-balances", str(file), "--count", "3", "--points", "13")
    assert (finished.status, "the file was changed meanwhile" in finished.err) == (3, True)
    assert bodies(node, IMPORTS) == []


def test_what_cannot_be_read_twice_is_no_file(tallystick: Command, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero"), tmp_path):
        finished = import_it(tallystick, path)
        assert (finished.status, "is no regular file" in finished.err) == (3, True)


def test_another_import_under_way_is_a_refusal_before_anything_is_looked_at(
    tallystick: Command, node: NodeStandIn, file: Path
) -> None:
    ready(node, None, STATE)
    finished = import_it(tallystick, file)
    assert finished.status == 1
    assert "import_open" in finished.err
    assert "2 of 3 rows are in" in finished.err
    assert "--resume" in finished.err
    assert bodies(node, f"{IMPORTS}/checks") == []


def test_the_next_file_may_be_checked_while_another_comes_in(
    tallystick: Command, node: NodeStandIn, file: Path
) -> None:
    ready(node, None, STATE)
    assert import_it(tallystick, file, "--dry-run").status == 0
    assert [body["sha256"] for body in bodies(node, f"{IMPORTS}/checks")] == [digest_of(file)] * 2


def test_an_import_that_begins_meanwhile_is_a_refusal(tallystick: Command, node: NodeStandIn, file: Path) -> None:
    ready(node, None)
    node.on("POST", IMPORTS, refuse(409, "import_open", "another import"))
    finished = import_it(tallystick, file)
    assert finished.status == 1
    assert "import_open" in finished.err


def test_another_file_of_the_same_rows_takes_the_place_of_one_that_was_lost(
    tallystick: Command, node: NodeStandIn, file: Path
) -> None:
    ready(node, None, STATE)
    finished = import_it(tallystick, file, "--resume", "--json")
    assert finished.status == 0, finished.err
    assert json.loads(finished.out)["finished_seq"] == 9
    checks = bodies(node, f"{IMPORTS}/checks")
    assert [(body["file"], body["first_row"]) for body in checks] == [(FILE, 1), (FILE, 3)]
    assert bodies(node, IMPORTS) == []
    assert [body["first_row"] for body in bodies(node, f"{IMPORTS}/{FILE}/rows")] == [3]


def test_a_file_of_other_rows_takes_no_ones_place(tallystick: Command, node: NodeStandIn, file: Path) -> None:
    ready(node, None, {**STATE, "rows": 4})
    finished = import_it(tallystick, file, "--resume")
    assert (finished.status, "totals_differ: 3 rows of 12 points, not 4 of 12" in finished.out) == (1, True)
    ready(node, None, STATE)
    fault = {"row": 2, "column": "", "code": "id_reused", "detail": "the row that came in was another one"}
    node.on("POST", f"{IMPORTS}/checks", answer({"faults": [fault]}))
    finished = import_it(tallystick, file, "--resume")
    assert (finished.status, "row 2: id_reused: the row that came in was another one" in finished.out) == (1, True)
    assert bodies(node, f"{IMPORTS}/{FILE}/rows") == []


def test_where_no_import_is_under_way_there_is_nothing_to_go_on_with(
    tallystick: Command, node: NodeStandIn, file: Path
) -> None:
    ready(node, None, FINISHED)
    finished = import_it(tallystick, file, "--resume")
    assert (finished.status, "no import is under way" in finished.err) == (2, True)
    assert bodies(node, f"{IMPORTS}/checks") == []


def test_a_file_whose_own_import_is_under_way_goes_on_with_that(
    tallystick: Command, node: NodeStandIn, file: Path
) -> None:
    ready(node, STATE)
    assert import_it(tallystick, file, "--resume").status == 0
    assert [body.get("sha256") for body in bodies(node, f"{IMPORTS}/checks")] == [digest_of(file)] * 2
