"""What starts several processes: it gives up those that cannot start, and ends one that says nothing any more."""

import errno
import os
import signal
import socket
import sys
import threading
from pathlib import Path

import pytest
import structlog

from node.app import several
from node.app.directory import create_node_directory
from node.app.several import Several, serve_several
from node.app.sockets import AddressUnavailable, listen
from node.config import ConfigInvalid

HOST = "127.0.0.1"
SPEAKS_ONCE = "import os, sys, time; os.write(int(sys.argv[-1]), b'.'); time.sleep(60)"
NEVER_SPEAKS = "import time; time.sleep(0.5)"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return create_node_directory(
        tmp_path / "aurora", ledger="aurora.example/main.1", points="AUR", points_name="Aurora Miles", url=""
    ).directory


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(several, "AGAIN_SECONDS", 0.05)
    monkeypatch.setattr(several, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(several, "SILENT_SECONDS_MAX", 0.3)
    monkeypatch.setattr(several, "ADDRESS_SECONDS_MAX", 0.3)


def test_processes_that_end_at_once_are_given_up() -> None:
    assert Several(python("import sys; sys.exit(3)"), count=2).run() == 3


def test_one_that_says_nothing_any_more_is_ended() -> None:
    with structlog.testing.capture_logs() as logs:
        assert Several(python(SPEAKS_ONCE), count=1).run() == 128 + signal.SIGKILL
    said = [each["event"] for each in logs]
    assert said == [*["ending_silent", "process_ended"] * (several.FAILURES_MAX + 1), "giving_up"]


@pytest.mark.parametrize(
    ("code", "event"), [(SPEAKS_ONCE, "ending_silent"), ("import time; time.sleep(60)", "ending_overdue")]
)
def test_a_stop_waits_for_none_that_was_stopped_itself(code: str, event: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(several, "SILENT_SECONDS_MAX", 2.0)
    monkeypatch.setattr(several, "STOP_SECONDS_MAX", 3.0)
    pids: list[int] = []

    class Watched(Several):
        """Is told to stop once its process was stopped."""

        def _start(self) -> several._Child:
            child = super()._start()
            pids.append(child.process.pid)
            threading.Timer(0.5, os.kill, (child.process.pid, signal.SIGSTOP)).start()
            threading.Timer(0.6, os.kill, (os.getpid(), signal.SIGTERM)).start()
            return child

    with structlog.testing.capture_logs() as logs:
        assert Watched(python(code), count=1).run() == 0
    assert [(each["event"], each["pid"]) for each in logs] == [(event, pids[0])]


def test_one_that_has_not_begun_to_speak_is_waited_for() -> None:
    with structlog.testing.capture_logs() as logs:
        Several(python(NEVER_SPEAKS), count=1).run()
    assert {each["event"] for each in logs} == {"process_ended", "giving_up"}


def test_one_that_has_settled_goes_on_though_another_cannot_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(several, "SETTLED_SECONDS", 0.5)
    monkeypatch.setattr(several, "PATIENT_SECONDS", 0.2)
    code = "import os, sys, time; time.sleep(0.6 if sys.argv[1] == '0' else 60)"

    class Odd(Several):
        """Starts one that lives and one that ends as soon as the first has settled, and from then on at once."""

        started = 0

        def _start(self) -> several._Child:
            self.started += 1
            if self.started > 2 and self.started % 2:
                raise OSError(errno.EMFILE, "too many open files")
            self._command = python(code if self.started <= 2 else "import sys; sys.exit(3)")
            self._command.append("1" if self.started == 1 else "0")
            if self.started == 2 * several.FAILURES_MAX + 8:
                os.kill(os.getpid(), signal.SIGTERM)
            return super()._start()

    with structlog.testing.capture_logs() as logs:
        assert Odd([], count=2).run() == 0
    said = [each["event"] for each in logs]
    assert "giving_up" not in said
    assert said.count("cannot_start") > several.FAILURES_MAX


def test_processes_that_cannot_be_started_at_all_are_given_up(tmp_path: Path) -> None:
    with structlog.testing.capture_logs() as logs:
        assert Several([str(tmp_path / "none")], count=1).run() == 1
    said = [each["event"] for each in logs]
    assert said == [*["cannot_start"] * (several.FAILURES_MAX + 1), "giving_up"]


def test_several_do_not_share_the_address_of_one(directory: Path) -> None:
    with pytest.raises(ConfigInvalid, match="cluster_url"):
        serve_several(directory, count=2, settings={"cluster_url": f"http://{HOST}:8420"}, module="none")


def test_several_need_a_port(directory: Path) -> None:
    with pytest.raises(ConfigInvalid, match="port"):
        serve_several(directory, count=2, settings={"port": 0}, module="none")


def test_an_address_is_not_shared_with_others(directory: Path) -> None:
    with listen(HOST, 0, shared=True) as other, pytest.raises(AddressUnavailable, match=HOST):
        serve_several(directory, count=2, settings={"port": port_of(other)}, module="none")


def test_an_address_that_others_leave_is_waited_for(directory: Path) -> None:
    other = listen(HOST, 0, shared=True)
    timer = threading.Timer(0.15, other.close)
    timer.start()
    # The processes themselves cannot start: there is no such module.
    assert serve_several(directory, count=1, settings={"port": port_of(other)}, module="none.such") == 1
    timer.join()


def port_of(listening: socket.socket) -> int:
    port: int = listening.getsockname()[1]
    return port
