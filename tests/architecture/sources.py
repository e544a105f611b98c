"""The project's own files, for the tests that look at them as text or as syntax trees."""

import ast
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
ROOMS: Final = ("protocol", "node", "tests", "scripts")


def python_files(*rooms: str) -> list[Path]:
    """Return the Python files of some rooms, or of all."""
    return sorted(path for room in rooms or ROOMS for path in (ROOT / room).rglob("*.py"))


@cache
def tree_of(path: Path) -> ast.Module:
    """Return the syntax tree of a file."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def place(path: Path, line: int) -> str:
    """Return how a finding names its place."""
    return f"{path.relative_to(ROOT)}:{line}"


def tracked_texts() -> Iterator[tuple[Path, str]]:
    """Yield each text file that git tracks or would track; raise `OSError` where this is no git checkout."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, capture_output=True, check=False)
    if listed.returncode != 0:
        raise OSError(listed.stderr.decode())
    for name in listed.stdout.decode().split("\0"):
        path = ROOT / name
        if name and path.is_file():
            content = path.read_bytes()
            if b"\0" not in content:
                yield path, content.decode("utf-8")
