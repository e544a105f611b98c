"""The daily file: written and read as the same bytes, whole or not at all, and compared line by line."""

from contextlib import suppress

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import ReconciliationInvalid
from protocol.identifiers import Ledger
from protocol.settlement import daily
from protocol.settlement.daily import (
    DailyFault,
    DailyFile,
    DailyLine,
    DailyState,
    compare_daily,
    decode_daily,
    encode_daily,
)
from tests.support.documents import AURORA, BLUEBIRD, COPPER, NETWORK, digest, uuid

DAY = "2026-03-01"


def line(name: str, **changes: object) -> DailyLine:
    known = DailyLine(
        source=AURORA.ledger,
        destination=BLUEBIRD.ledger,
        conversion=uuid(name),
        state=DailyState.COMPLETED,
        decided_at=f"{DAY}T12:00:00.000000Z",
        window=1,
        dec_seq=1,
        source_points=400,
        destination_points=250,
        fee_points=5,
        value=2_500_000,
        currency="USD",
        agreement=digest("terms"),
    )
    return msgspec.structs.replace(known, **changes)


def returned(name: str) -> DailyLine:
    return line(
        name, state=DailyState.RETURNED, reason="cap_reached", window=0, dec_seq=0, source_points=0,
        destination_points=0, fee_points=0, value=0, currency="", agreement="",
    )  # fmt: skip


def pending(name: str) -> DailyLine:
    return line(name, state=DailyState.PENDING, decided_at="", window=0, dec_seq=0)


def file(*lines: DailyLine, sender: Ledger = AURORA.ledger, partner: Ledger = BLUEBIRD.ledger) -> DailyFile:
    return DailyFile(network=NETWORK, sender=sender, partner=partner, day=DAY, lines=lines)


def theirs(*lines: DailyLine) -> DailyFile:
    return file(*lines, sender=BLUEBIRD.ledger, partner=AURORA.ledger)


def test_a_file_is_read_as_it_was_written() -> None:
    written = encode_daily(file(line("b"), returned("a"), pending("c")))
    found = decode_daily(written)
    assert encode_daily(found) == written
    assert set(found.lines) == {line("b"), returned("a"), pending("c")}
    rows = written.decode().splitlines()
    assert rows[0] == f"header,1,{NETWORK},{AURORA.ledger},{BLUEBIRD.ledger},{DAY}"
    assert rows[-3] == f"sum,{AURORA.ledger},1,1,1,400,250,5,2500000"
    assert rows[-2] == f"sum,{BLUEBIRD.ledger},0,0,0,0,0,0,0"
    assert rows[-1].startswith("trailer,3,")


def test_a_spreadsheets_line_ends_and_mark_are_passed_over() -> None:
    written = encode_daily(file(line("a")))
    assert decode_daily(b"\xef\xbb\xbf" + written.replace(b"\n", b"\r\n")) == decode_daily(written)


@pytest.mark.parametrize("name", ["a", "b"])
def test_a_file_that_lacks_a_line_or_has_another_is_not_read(name: str) -> None:
    written = encode_daily(file(line("a"), line("b"))).decode()
    rows = [row for row in written.splitlines(keepends=True) if uuid(name) not in row]
    with pytest.raises(ReconciliationInvalid, match="cut off or changed"):
        decode_daily("".join(rows).encode())
    with pytest.raises(ReconciliationInvalid, match="cut off or changed"):
        decode_daily(written.replace(",400,", ",401,").encode())
    with pytest.raises(ReconciliationInvalid):
        decode_daily(written[: written.rindex("trailer")].encode())


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"header\n",
        b"header,1,n,a,b,d\n",
        b"header,2,n,a,b,d\nline,source\n",
        b"header,1,n,a,b,d\nother,source\n",
    ],
)
def test_reconciliation_invalid_for_what_is_no_such_file(data: bytes) -> None:
    with pytest.raises(ReconciliationInvalid):
        decode_daily(data)


@pytest.mark.parametrize(("old", "new"), [(",400,", ",-1,"), (",400,", f",{'9' * 5_000},"), ("completed", "maybe")])
def test_reconciliation_invalid_for_a_line_of_other_values(old: str, new: str) -> None:
    with pytest.raises(ReconciliationInvalid):
        decode_daily(encode_daily(file(line("a"))).decode().replace(old, new).encode())


@pytest.mark.parametrize(
    "lines",
    [
        (line("a"), line("a")),
        (line("a"), line("a", value=1, dec_seq=2)),
        (line("a"), returned("a")),
        (line("a"), line("b", source=COPPER.ledger)),
        (line("a"), line("b", destination=COPPER.ledger)),
        (line("a"), line("b", source=BLUEBIRD.ledger)),
    ],
)
def test_reconciliation_invalid_for_lines_that_a_comparison_would_pass_over(lines: tuple[DailyLine, ...]) -> None:
    with pytest.raises(ReconciliationInvalid):
        decode_daily(encode_daily(file(*lines)))


@pytest.mark.parametrize("reason", ["\x1b[2Jboth sides have the same", "\x9b2J", "\u202ecap_reached"])
def test_reconciliation_invalid_for_what_a_terminal_would_obey(reason: str) -> None:
    with pytest.raises(ReconciliationInvalid):
        decode_daily(encode_daily(file(line("a", reason=reason))))


@given(st.binary(max_size=200))
def test_any_bytes_are_a_file_or_no_file(data: bytes) -> None:
    with suppress(ReconciliationInvalid):
        decode_daily(data)


@pytest.mark.parametrize("row", ["", ",", "line", "line,", "line" + "," * 50, "sum,own"])
def test_reconciliation_invalid_at_the_first_rows_that_no_file_has(row: str) -> None:
    head = "".join(encode_daily(file()).decode().splitlines(keepends=True)[:2])
    with pytest.raises(ReconciliationInvalid, match="not the lines of a daily file"):
        decode_daily((head + f"{row}\n" * 4 + "not read \x00").encode())


def test_reconciliation_invalid_beyond_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daily, "DAILY_BYTES_MAX", 10)
    with pytest.raises(ReconciliationInvalid, match="at most 10 bytes"):
        decode_daily(encode_daily(file()))


def test_the_same_day_of_both_sides_has_no_difference() -> None:
    assert compare_daily(file(line("a"), returned("b")), theirs(returned("b"), line("a"))) == []


def test_what_is_decided_by_nobody_is_no_difference() -> None:
    assert compare_daily(file(pending("a")), theirs()) == []


def test_differences_are_told_by_conversion() -> None:
    ours = file(line("here"), line("other"), pending("late"), line("same"))
    other = line("other", value=2_600_000, fee_points=0)
    found = compare_daily(ours, theirs(line("there"), other, line("late"), line("same")))
    assert {(each.conversion, each.fault) for each in found} == {
        (uuid("here"), DailyFault.MISSING_THERE),
        (uuid("there"), DailyFault.MISSING_HERE),
        (uuid("late"), DailyFault.UNDELIVERED),
        (uuid("other"), DailyFault.FIELDS),
    }
    (fields,) = [each.fields for each in found if each.fields]
    assert fields == (("fee_points", "5", "0"), ("value", "2500000", "2600000"))


@pytest.mark.parametrize(
    "wrong",
    [file(), file(sender=BLUEBIRD.ledger, partner=COPPER.ledger), file(sender=COPPER.ledger, partner=AURORA.ledger)],
)
def test_reconciliation_invalid_for_files_that_do_not_face_each_other(wrong: DailyFile) -> None:
    with pytest.raises(ReconciliationInvalid, match="not of the same day"):
        compare_daily(file(), wrong)
