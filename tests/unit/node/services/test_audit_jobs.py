"""An audit by two processes: the outcome of one, and never held where one of them has died."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from node.peers.log_source import HttpSource, PackageSource
from node.services.audits import audit_crew
from node.services.audits.audit_crew import Crew
from node.services.audits.audit_helper import Errand
from node.services.audits.audit_state import NOTE_SUFFIX, AuditState
from node.services.audits.auditing import Auditing
from protocol.audit.findings import Verdict
from protocol.audit.report import Report
from tests.support.audits import Files
from tests.support.long_logs import ENTRIES, faulty_logs


def unpacked(files: Files, folder: Path) -> Path:
    for path, data in files.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
    return folder


def audited(package: Path, state: Path, *, jobs: int) -> tuple[Report, dict[str, bytes]]:
    auditing = Auditing(jobs=jobs, seen=AuditState(state), state_entries=256)
    with PackageSource(package) as source:
        audit = auditing.audit([source, source])
    return audit.report, {path.name: path.read_bytes() for path in state.glob("*")}


@pytest.mark.parametrize(
    "fault", ["nothing", "an entry is another", "an entry was changed afterwards", "a tile is cut"]
)
def test_the_outcome_is_that_of_one_process(fault: str, tmp_path: Path) -> None:
    package = unpacked(faulty_logs()[fault], tmp_path / "package")
    alone = audited(package, tmp_path / "one", jobs=1)
    helped = audited(package, tmp_path / "two", jobs=3)
    assert helped == alone
    assert (alone[0].verdict is Verdict.HELD) == (fault == "nothing")
    assert alone[0].logs[0].size == ENTRIES


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list["subprocess.Popen[bytes]"]:
    """Return the helpers that were started, as they start."""
    found: list[subprocess.Popen[bytes]] = []

    class Noted(subprocess.Popen[bytes]):
        def __init__(self, *arguments: object, **options: object) -> None:
            super().__init__(*arguments, **options)  # type: ignore[call-overload]
            found.append(self)

    monkeypatch.setattr(subprocess, "Popen", Noted)
    return found


def killed(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    process.wait()


@pytest.mark.parametrize("when", ["before it is told", "before it has answered"])
def test_a_helper_that_is_killed_leaves_the_log_unchecked(
    when: str, tmp_path: Path, begun: list["subprocess.Popen[bytes]"], monkeypatch: pytest.MonkeyPatch
) -> None:
    package = unpacked(faulty_logs()["nothing"], tmp_path / "package")
    send: Callable[..., None] = audit_crew._Helper.send

    def told(helper: audit_crew._Helper, errand: Errand) -> None:
        if when == "before it is told":
            killed(begun[-1])
        send(helper, errand)
        killed(begun[-1])

    monkeypatch.setattr(audit_crew._Helper, "send", told)
    monkeypatch.setattr(audit_crew, "COMMAND", IDLE)
    report, kept = audited(package, tmp_path / "state", jobs=2)
    assert report.verdict is Verdict.INCOMPLETE
    assert {finding.code for log in report.logs for finding in log.findings} == {"unreachable"}
    assert not [name for name in kept if name.endswith(NOTE_SUFFIX)]
    assert all(process.poll() is not None for process in begun)


IDLE = (sys.executable, "-c", "import sys; sys.stdout.write('ready'); sys.stdout.flush(); sys.stdin.read()")
HALF = (
    sys.executable,
    "-c",
    r"import sys; print('ready', end='', flush=True); sys.stdin.readline(); print('\0\0\1\0half', end='')",
)


def test_a_segment_that_comes_in_part_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = unpacked(faulty_logs()["nothing"], tmp_path / "package")
    monkeypatch.setattr(audit_crew, "COMMAND", HALF)
    report, _ = audited(package, tmp_path / "state", jobs=2)
    assert report.verdict is Verdict.INCOMPLETE


def test_small_logs_are_read_alone_unless_helpers_are_asked_for(
    tmp_path: Path, begun: list["subprocess.Popen[bytes]"]
) -> None:
    package = unpacked(faulty_logs()["nothing"], tmp_path / "package")
    with PackageSource(package) as source:
        assert Auditing(jobs=None).audit([source]).report.verdict is Verdict.HELD
    assert not begun


def test_nobody_else_opens_a_source_that_has_a_transport_of_its_own() -> None:
    with Crew(2) as crew, HttpSource("http://node", "token", transport=None) as source:
        assert source.opening is not None
        assert (source.opening.place, source.opening.token) == ("http://node", "token")
        assert crew.reader(None) is None
    with Crew(1) as crew:
        assert crew.reader(source.opening) is None
