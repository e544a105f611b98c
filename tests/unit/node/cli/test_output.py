"""What a command shows of how far it is: one line on a terminal, nothing in a file."""

import io
import re
import sys

import pytest

from node.cli.output import print_table, show_progress


class Terminal(io.StringIO):
    """A stream before which somebody sits."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("made", "shown"), [(Terminal, "\r\033[Kread 2 rows\r\033[K"), (io.StringIO, "")])
def test_progress_replaces_its_line_on_a_terminal_alone(
    monkeypatch: pytest.MonkeyPatch, made: type[io.StringIO], shown: str
) -> None:
    stream = made()
    monkeypatch.setattr(sys, "stderr", stream)
    show_progress("read 2 rows")
    show_progress("")
    assert stream.getvalue() == shown


ROWS: list[list[str | int | None]] = [
    ["48a0486d-f93f-44e7-99f0-8efe4d8a9a1f", 158_000, None],
    ["d5a957c8-b6a0-4759-9aab-893226b32229", 2, "x" * 40],
]
TABLE = (
    "id                                     points  why                                     \n"
    f"48a0486d-f93f-44e7-99f0-8efe4d8a9a1f  158,000  –                                       \n"
    f"d5a957c8-b6a0-4759-9aab-893226b32229        2  {'x' * 40}\n"
)
RECORDS = (
    "id:     48a0486d-f93f-44e7-99f0-8efe4d8a9a1f\npoints: 158,000\nwhy:    –\n"
    f"\nid:     d5a957c8-b6a0-4759-9aab-893226b32229\npoints: 2\nwhy:    {'x' * 40}\n"
)


@pytest.mark.parametrize(
    ("made", "columns", "shown"),
    [(io.StringIO, "80", TABLE), (Terminal, "87", TABLE), (Terminal, "86", RECORDS), (Terminal, "20", RECORDS)],
)
def test_no_terminal_is_so_narrow_that_an_id_is_cut(
    monkeypatch: pytest.MonkeyPatch, made: type[io.StringIO], columns: str, shown: str
) -> None:
    stream = made()
    monkeypatch.setattr(sys, "stdout", stream)
    for name, value in {"COLUMNS": columns, "TERM": "xterm"}.items():
        monkeypatch.setenv(name, value)
    print_table(["id", "points", "why"], ROWS)
    assert re.sub(r"\x1b\[[0-9;]*m", "", stream.getvalue()) == shown
