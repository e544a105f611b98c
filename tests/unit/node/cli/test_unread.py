"""Commands whose output nobody reads to its end: they end without a word, with the status that shells tell of it."""

import os
import subprocess
import sys
from typing import Final

import pytest

from node.cli import main
from node.cli.failures import COULD_NOT
from node.cli.unread import UNREAD

COMMAND: Final = (sys.executable, "-m", "node.cli.main")
SECONDS_MAX: Final = 120
PIPE_BYTES: Final = 4_096


def gone() -> int:
    """Return the writing end of a pipe that nobody reads."""
    reading, writing = os.pipe()
    os.close(reading)
    return writing


@pytest.mark.parametrize("words", [["explain"], ["explain", "--json"]])
def test_a_reader_that_has_enough_is_left_without_a_word(words: list[str]) -> None:
    # Without a buffer Python takes a write that was cut off for a whole one.
    environment = {**os.environ, "PYTHONUNBUFFERED": ""}
    with subprocess.Popen(
        [*COMMAND, *words], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, pipesize=PIPE_BYTES
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read(1)
        process.stdout.close()
        assert (process.wait(SECONDS_MAX), process.stderr.read()) == (UNREAD, b"")


@pytest.mark.parametrize("words", [["explain", "busy"], ["explain", "no_such_code"], ["--help"]])
def test_a_few_lines_that_nobody_reads_are_not_complained_of(words: list[str]) -> None:
    with os.fdopen(gone(), "wb") as unread:
        done = subprocess.run(
            [*COMMAND, *words], stdout=unread, stderr=subprocess.PIPE, check=False, timeout=SECONDS_MAX
        )
    assert (done.returncode, done.stderr) == (UNREAD, b"")


def test_a_failure_that_nobody_reads_is_not_complained_of() -> None:
    environment = {**os.environ, "TALLYSTICK_NODE": "http://127.0.0.1:1", "TALLYSTICK_TOKEN": "ts_backend_00000000_x"}
    words = ["partner", "list"]
    told = subprocess.run([*COMMAND, *words], env=environment, capture_output=True, check=False, timeout=SECONDS_MAX)
    assert told.stderr
    with os.fdopen(gone(), "wb") as unread:
        done = subprocess.run(
            [*COMMAND, *words], env=environment, stdout=unread, stderr=unread, check=False, timeout=SECONDS_MAX
        )
    assert done.returncode == UNREAD


def test_another_pipe_that_breaks_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def explain() -> None:
        raise BrokenPipeError("a helper has gone")

    monkeypatch.setattr(main, "find", lambda _name: explain)
    assert main.run(["explain"]) == COULD_NOT
    assert "system_error: BrokenPipeError: a helper has gone" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["explain", "busy"], ["fsck", "nowhere"]])
@pytest.mark.parametrize("output", ["closed", "full"])
def test_a_status_does_not_depend_on_who_can_be_told(words: list[str], output: str) -> None:
    told = subprocess.run([*COMMAND, *words], capture_output=True, check=False, timeout=SECONDS_MAX)
    redirect = {"closed": "2>&- >&-", "full": "2>/dev/full >/dev/null"}[output]
    line = f'exec "$@" {redirect}'
    done = subprocess.run(["/bin/sh", "-c", line, "sh", *COMMAND, *words], check=False, timeout=SECONDS_MAX)
    assert done.returncode == told.returncode
