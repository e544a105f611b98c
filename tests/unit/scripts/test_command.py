"""How scripts end: the status of what they did, and in a line why they could not."""

import argparse
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from node.cli.unread import UNREAD
from protocol.errors import Code, Refusal
from scripts.alliance.process import AllianceFailed
from scripts.command import INTERRUPTED, exit_status, positive

ROOT: Final = Path(__file__).resolve().parents[3]
PRINTING: Final = "import sys; from scripts.command import exit_status; sys.exit(exit_status('scripts/any', {act}))"


def raised(error: BaseException) -> int:
    raise error


def test_what_was_done_tells_the_status(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_status("scripts/any", lambda: 0) == 0
    assert exit_status("scripts/any", lambda: 3) == 3
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (AllianceFailed("port 1 is taken"), "scripts/any: port 1 is taken\n"),
        (Refusal(Code.ID_REUSED, "it is another's"), "scripts/any: id_reused: it is another's\n"),
    ],
)
def test_what_fails_is_said_in_a_line(error: Exception, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_status("scripts/any", lambda: raised(error)) == 1
    assert capsys.readouterr().err == said


def test_an_interruption_is_no_failure_to_speak_of(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_status("scripts/any", lambda: raised(KeyboardInterrupt())) == INTERRUPTED
    assert capsys.readouterr().err == ""


def test_a_bug_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        exit_status("scripts/any", lambda: raised(ZeroDivisionError()))


def ended_unread(act: str, *, errors_too: bool = False, **environment: str) -> tuple[int, bytes]:
    """Return the exit status and the complaints of a script whose outputs nobody has ever read."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        ended = subprocess.run(
            [sys.executable, "-c", PRINTING.format(act=act)],
            cwd=ROOT,
            env={**os.environ, **environment},
            stdout=writing,
            stderr=writing if errors_too else subprocess.PIPE,
            check=False,
            timeout=120,
        )
    finally:
        os.close(writing)
    return ended.returncode, ended.stderr or b""


@pytest.mark.parametrize("act", ["lambda: print(1) or 0", "lambda: print('a long line' * 100_000) or 0"])
def test_whose_reader_has_gone_ends_without_a_word(act: str) -> None:
    assert ended_unread(act) == (UNREAD, b"")
    assert ended_unread(act, PYTHONUNBUFFERED="1") == (UNREAD, b"")


def test_reasons_that_nobody_reads_are_not_complained_of() -> None:
    assert ended_unread("lambda: print(1, file=sys.stderr) or 0", errors_too=True) == (UNREAD, b"")


def test_another_pipe_that_breaks_is_a_bug() -> None:
    with pytest.raises(BrokenPipeError):
        exit_status("scripts/any", lambda: raised(BrokenPipeError()))


def test_numbers_begin_at_one() -> None:
    assert positive("1") == 1
    for text in ("0", "-3"):
        with pytest.raises(argparse.ArgumentTypeError):
            positive(text)
