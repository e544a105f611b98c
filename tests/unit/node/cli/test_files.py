"""Documents that commands write: whole, or as they were before; and arguments that are no UTF-8."""

import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from node.cli.files import FileUnreadable, read_bytes, write_bytes

COMMAND: Final = (sys.executable, "-m", "node.cli.main")
BYTES_MAX: Final = 8
MODE: Final = 0o640
NOT_UTF_8: Final = os.fsdecode(b"Jos\xe9")
SECONDS_MAX: Final = 120


def test_a_file_without_an_end_is_not_read_for_ever() -> None:
    with pytest.raises(FileUnreadable, match="/dev/zero is longer than 67108864 bytes"):
        read_bytes(Path("/dev/zero"))


def test_a_document_that_finds_no_room_leaves_the_one_before_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "receipt"
    write_bytes(path, b"before")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (BYTES_MAX, hard))
    try:
        with pytest.raises(FileUnreadable):
            write_bytes(path, b"after" * BYTES_MAX)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_document_keeps_the_permissions_and_the_place_of_the_one_before(tmp_path: Path) -> None:
    path, name = tmp_path / "kept" / "receipt", tmp_path / "name"
    path.parent.mkdir()
    write_bytes(path, b"before")
    path.chmod(MODE)
    name.symlink_to(path)
    write_bytes(name, b"after")
    assert name.is_symlink()
    assert path.read_bytes() == b"after"
    assert path.stat().st_mode & 0o777 == MODE


def test_what_is_no_file_is_written_where_it_is() -> None:
    reading, writing = os.pipe()
    write_bytes(Path(f"/dev/fd/{writing}"), b"document")
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        assert pipe.read() == b"document"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("credential", "issue", "viewer", NOT_UTF_8), b"tallystick: encoding_invalid: an argument is not UTF-8"),
        (("explain", NOT_UTF_8), b"there is no code jos\\udce9"),
    ],
)
def test_an_argument_that_is_not_utf_8_is_refused_with_a_code(
    words: tuple[str, ...], said: bytes, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text("token")
    environment = {
        **os.environ,
        "PYTHONIOENCODING": "utf-8:strict",
        "TALLYSTICK_NODE": "http://127.0.0.1:9",
        "TALLYSTICK_TOKEN_FILE": str(token),
    }
    ended = subprocess.run((*COMMAND, *words), env=environment, capture_output=True, timeout=SECONDS_MAX, check=False)
    assert ended.returncode == 1
    assert said in ended.stdout + ended.stderr
