"""What a command shows of how far it is: one line on a terminal, nothing in a file."""

import io
import sys

import pytest

from node.cli.output import show_progress


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
