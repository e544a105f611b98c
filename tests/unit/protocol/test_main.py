import json
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from protocol.__main__ import main
from protocol.agreement import encode_signed_agreement
from protocol.envelope import encode_sighting, sighting_of
from protocol.keys import Role
from protocol.note import Verifier, format_vkey
from tests.support.audits import signed_checkpoint, verifier_of
from tests.support.documents import AURORA, query, signed_agreement
from tests.support.parcels import parcel

ROOT = Path(__file__).resolve().parents[3]
VKEY = format_vkey(verifier_of(AURORA))


@pytest.fixture
def checkpoint(tmp_path: Path) -> str:
    path = tmp_path / "checkpoint"
    path.write_bytes(signed_checkpoint(AURORA, [b"entry"]))
    return str(path)


@pytest.fixture
def message(tmp_path: Path) -> str:
    path = tmp_path / "message.json"
    path.write_bytes(encode_sighting(sighting_of(parcel([query()]), 0)))
    return str(path)


@pytest.fixture
def agreement(tmp_path: Path) -> str:
    path = tmp_path / "agreement.json"
    path.write_bytes(encode_signed_agreement(signed_agreement()))
    return str(path)


def test_what_holds(checkpoint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", checkpoint, "--vkey", VKEY]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == "Held: checkpoint"
    assert second.startswith(f"  {AURORA.ledger} signed that it has 1 entries under the root ")


def test_what_is_disproved(checkpoint: str, capsys: pytest.CaptureFixture[str]) -> None:
    other = format_vkey(Verifier(AURORA.ledger, AURORA.signing_keys[Role.CHANNEL].public))
    assert main(["verify", checkpoint, "--vkey", other]) == 1
    assert capsys.readouterr().out.startswith("DISPROVED: checkpoint\n  no known key")


def test_a_file_without_an_end_is_not_read_for_ever(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "/dev/zero"]) == 3
    assert "/dev/zero is longer than 67108864 bytes, which no document is" in capsys.readouterr().out


def test_what_could_not_be_checked(checkpoint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", checkpoint]) == 3
    assert capsys.readouterr().out.startswith("Could not check: checkpoint\n  no key of the log")
    assert main(["verify", str(tmp_path / "absent")]) == 3
    assert "cannot be read: No such file" in capsys.readouterr().out
    assert main(["verify", str(tmp_path)]) == 3
    (tmp_path / "empty").touch()
    capsys.readouterr()
    assert main(["verify", str(tmp_path / "empty")]) == 3
    assert capsys.readouterr().out.startswith("Could not check: unknown file\n")


def test_an_agreement_holds_the_keys_of_both_parties(
    message: str, agreement: str, checkpoint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", message, "--agreement", agreement]) == 0
    assert main(["verify", checkpoint, "--agreement", agreement, "--agreement", agreement]) == 0
    capsys.readouterr()
    assert main(["verify", message, "--agreement", checkpoint]) == 3
    assert "is not an agreement to check by" in capsys.readouterr().out


def test_one_json_object(agreement: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", agreement, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["kind"], document["verdict"], document["code"]) == ("agreement", "held", None)


@pytest.mark.parametrize(
    "arguments", [[], ["verify"], ["judge", "file"], ["verify", "file", "--vkey", "nonsense"], ["verify", "a", "b"]]
)
def test_a_command_line_that_cannot_be_understood(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: python -m protocol" in capsys.readouterr().err


def test_the_module_runs(monkeypatch: pytest.MonkeyPatch, checkpoint: str) -> None:
    monkeypatch.setattr(sys, "argv", ["protocol", "verify", checkpoint])
    monkeypatch.delitem(sys.modules, "protocol.__main__")
    with pytest.raises(SystemExit) as caught:
        runpy.run_module("protocol", run_name="__main__")
    assert caught.value.code == 3


def test_it_needs_nothing_of_the_service(checkpoint: str) -> None:
    program = (
        "import sys, runpy\n"
        "try: runpy.run_module('protocol', run_name='__main__')\n"
        "except SystemExit as stop: status = stop.code\n"
        "rooms = {name.partition('.')[0] for name in sys.modules}\n"
        "assert not rooms & {'node', 'sqlalchemy', 'pydantic', 'httpx', 'fastapi', 'cryptography', 'typer'}, rooms\n"
        "sys.exit(status)\n"
    )
    command = [sys.executable, "-c", program, "verify", checkpoint, "--vkey", VKEY]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Held: checkpoint\n")
