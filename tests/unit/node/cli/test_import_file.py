"""A file of balances as spreadsheets and legacy systems write it: what is read, and what is refused and why."""

import hashlib
from pathlib import Path

import pytest

from node.cli import import_file
from node.cli.import_file import Balance, ImportFileInvalid, Reading, Totals, digest_of, read_file, rows_of
from tests.support.documents import uuid

DAY = "2026-02-01"
ANN, BOB = uuid("ann"), uuid("bob")
HEADER = "account,points,earned_on,expires_on,origin\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "balances.csv"


def read(file: Path, text: str | bytes) -> Reading:
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_file(file, day=DAY)


def balances(file: Path) -> list[Balance]:
    return [row for _, row in rows_of(file, day=DAY) if isinstance(row, Balance)]


def faults(file: Path, line: str, header: str = HEADER) -> list[tuple[int, str, str]]:
    return [(fault.row, fault.column, fault.code) for fault in read(file, f"{header}{line}\n").faults]


def test_rows_are_read_with_what_is_left_out_as_it_is_meant(file: Path) -> None:
    text = HEADER + f"{ANN},700,2025-12-24,2026-12-31,\nemployee/{BOB}, 0012 ,2026-02-01,,bluebird.example/main\n"
    reading = read(file, text + "trailer,2,712,,\n")
    assert (reading.totals, reading.trailer, reading.faults) == (Totals(2, 712), Totals(2, 712), [])
    assert reading.sha256 == digest_of(file) == hashlib.sha256(file.read_bytes()).hexdigest()
    first, second = balances(file)
    assert (first.account, first.origin, first.expires_on) == (f"member/{ANN}", "own", "2026-12-31")
    assert (second.account, second.kind, second.points, second.expires_on) == (f"employee/{BOB}", "employee", 12, None)
    assert second.origin == "bluebird.example/main"


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_a_byte_order_mark_and_either_line_end_are_passed_over(file: Path, mark: bytes, ends: str) -> None:
    text = f'Account,POINTS,earned_on{ends}"{ANN}","7",2025-12-24{ends}{ends}'
    assert read(file, mark + text.encode()).totals == Totals(1, 7)


@pytest.mark.parametrize(
    ("points", "code"),
    [
        ("-5", "points_negative"),
        ("1.2E+05", "points_scientific"),
        ("12e3", "points_scientific"),
        ('"12,500"', "points_grouped"),
        ("12.500", "points_grouped"),
        ("12 500", "points_grouped"),
        ("12'500", "points_grouped"),
        ("1.5", "amount_invalid"),
        ("12.00", "amount_invalid"),
        ("", "amount_invalid"),
        ("=1+1", "amount_invalid"),
        ("9007199254740992", "amount_invalid"),
        ("٣", "amount_invalid"),
    ],
)
def test_points_are_digits_alone(file: Path, points: str, code: str) -> None:
    assert faults(file, f"{ANN},{points},2025-12-24,,") == [(1, "points", code)]


@pytest.mark.parametrize("day", ["24/12/2025", "2025-02-30", "12-24-25", "45650", "", "2026-02-02"])
def test_points_are_earned_on_a_day_that_has_been(file: Path, day: str) -> None:
    assert faults(file, f"{ANN},1,{day},,") == [(1, "earned_on", "date_invalid")]


@pytest.mark.parametrize("day", ["never", "2026-01-31"])
def test_points_that_have_expired_are_no_balance(file: Path, day: str) -> None:
    assert faults(file, f"{ANN},1,2025-12-24,{day},") == [(1, "expires_on", "date_invalid")]


@pytest.mark.parametrize(
    ("line", "column", "code"),
    [
        ("4711,1,2025-12-24,,", "account", "identifier_invalid"),
        (",1,2025-12-24,,", "account", "holder_missing"),
        (f"{ANN},1,2025-12-24,,Bluebird", "origin", "identifier_invalid"),
        (f"{ANN},1,2025-12-24", "", "columns_invalid"),
        (f"{ANN},1,2025-12-24,,,,", "", "columns_invalid"),
    ],
)
def test_a_row_that_names_nobody_or_nothing_is_told(file: Path, line: str, column: str, code: str) -> None:
    assert faults(file, line)[0] == (1, column, code)


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (f"robot,{ANN},R1,1,2025-12-24", [(1, "kind", "kind_invalid")]),
        (f"employee,member/{ANN},R1,1,2025-12-24", [(1, "kind", "kind_invalid")]),
        ("member,,R\x011,1,2025-12-24", [(1, "external_ref", "external_ref_invalid")]),
        ("member,,,1,2025-12-24", [(1, "account", "holder_missing")]),
    ],
)
def test_kinds_and_references_are_held_to_their_form(file: Path, line: str, found: list[tuple[int, str, str]]) -> None:
    assert faults(file, line, "kind,account,external_ref,points,earned_on\n") == found


def test_a_row_that_stands_twice_is_told_and_two_lots_of_one_holder_are_not(file: Path) -> None:
    lines = [f"{ANN},5,2025-12-24,,", f"{ANN},5,2025-12-25,,", f"{BOB},1,2025-12-24,,", f"{ANN},9,2025-12-24,,"]
    reading = read(file, HEADER + "\n".join(lines))
    assert [(each.row, each.code) for each in reading.faults] == [(4, "row_repeated")]


def test_a_name_that_stands_beside_two_others_is_told(file: Path) -> None:
    header = "account,external_ref,points,earned_on\n"
    lines = [f"{ANN},R1,5,2025-12-24", f"{ANN},R2,5,2025-12-25", f"{BOB},R1,1,2025-12-24"]
    reading = read(file, header + "\n".join(lines))
    told = [(each.row, each.column, each.code) for each in reading.faults]
    assert told == [(2, "account", "holder_contradicted"), (3, "external_ref", "holder_contradicted")]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "first line names the columns"),
        (HEADER, "has no rows"),
        ("account;points;earned_on\n", "separated by commas"),
        ("account,points,earned_on,colour\n", "unknown: colour"),
        ("account,points\n", "missing: earned_on"),
        ("points,earned_on\n", "account or external_ref is needed"),
        ("account,points,points,earned_on\n", "none twice"),
        (f"{HEADER}{ANN},1,2025-12-24,,\ntrailer,1\n", "trailer is"),
        (f"{HEADER}{ANN},1,2025-12-24,,\ntrailer,1,1\n{BOB},1,2025-12-24,,\n", "after the trailer"),
        (f'{HEADER}"{ANN},1,2025-12-24,,\n', "no CSV"),
        (f"{HEADER}{'x' * 5_000}\n", "more than 4096 characters"),
        (f"{HEADER}{ANN}\x00,1,2025-12-24,,\n", "null characters"),
        (f"{HEADER}Ren\xe9,1,2025-12-24,,\n".encode("latin-1"), "not UTF-8"),
        ("account,points,earned_on\n".encode("utf-16"), "UTF-16"),
    ],
)
def test_what_is_no_file_of_balances_is_said(file: Path, text: str | bytes, why: str) -> None:
    with pytest.raises(ImportFileInvalid, match=why):
        read(file, text)


def test_a_file_that_is_not_there_is_said(file: Path) -> None:
    with pytest.raises(ImportFileInvalid, match="cannot be read"):
        digest_of(file)
    with pytest.raises(ImportFileInvalid, match="cannot be read"):
        list(rows_of(file, day=DAY))


def test_rows_and_faults_are_bounded_and_what_is_left_out_is_counted(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_file, "FAULTS_MAX", 2)
    lines = "".join(f"{ANN},{number}.5,2025-12-24,,\n" for number in range(5))
    reading = read(file, HEADER + lines)
    assert (len(reading.faults), reading.more_faults, reading.totals.rows) == (2, 3, 5)
    monkeypatch.setattr(import_file, "ROWS_MAX", 4)
    with pytest.raises(ImportFileInvalid, match="at most 4 rows"):
        read(file, HEADER + lines)


def test_progress_is_told_from_time_to_time(file: Path) -> None:
    lines = "".join(
        f"{ANN},{number},{2000 + number % 25}-{number // 25 % 12 + 1:02}-{number // 300 + 1:02},,\n"
        for number in range(2_000)
    )
    file.write_text(HEADER + lines)
    told: list[int] = []
    assert read_file(file, day=DAY, progress=told.append).faults == []
    assert told == [1_000, 2_000]
