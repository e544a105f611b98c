"""How scripts end: the status of what they did, and in a line why they could not."""

import argparse

import pytest

from protocol.errors import Code, Refusal
from scripts.alliance.process import AllianceFailed
from scripts.command import INTERRUPTED, exit_status, positive


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


def test_numbers_begin_at_one() -> None:
    assert positive("1") == 1
    for text in ("0", "-3"):
        with pytest.raises(argparse.ArgumentTypeError):
            positive(text)
