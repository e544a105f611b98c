"""The README's commands are run as they stand, against a running alliance: only ports and its folder are replaced."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.alliance.alliance import Alliance, running_alliance
from scripts.alliance.brands import AURORA, BLUEBIRD, BRANDS, CEDAR
from scripts.alliance.process import find_free_ports
from tests.architecture.sources import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
FIRST_MINUTES = README.partition("## First five minutes")[2].partition("\n## ")[0]
PREPARATION, *SECTIONS = re.split(r"^### ", FIRST_MINUTES, flags=re.MULTILINE)
TITLES = [section.partition("\n")[0] for section in SECTIONS]
PORTS = {AURORA: 7101, BLUEBIRD: 7102, CEDAR: 7103}
DAHLIA_PORT = 7111


def commands(text: str) -> str:
    return "".join(re.findall(r"^```sh\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL))


@pytest.fixture(scope="module")
def alliance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Alliance]:
    with running_alliance(tmp_path_factory.mktemp("alliance"), port_base=None, ephemeral=True) as running:
        yield running


def in_this_alliance(script: str, alliance: Alliance) -> str:
    for brand in BRANDS:
        script = script.replace(f":{PORTS[brand]}", f":{alliance.nodes[brand].port}")
    script = script.replace(str(DAHLIA_PORT), str(find_free_ports(1)[0]))
    script = script.replace('export PATH="$PWD/.venv/bin:$PATH"\n', "")
    return script.replace(".alliance/", f"{alliance.directory}/")


@pytest.mark.integration
@pytest.mark.parametrize("section", SECTIONS, ids=TITLES)
def test_the_first_five_minutes_work(alliance: Alliance, section: str, tmp_path: Path) -> None:
    script = in_this_alliance(commands(PREPARATION) + commands(section), alliance)
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "TMPDIR": str(tmp_path),
        "COLUMNS": "200",
    }
    # A node that a block leaves running does not outlive it.
    script = f"trap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n{script}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr


def test_each_of_three_readers_has_a_section() -> None:
    assert len(SECTIONS) == 3
    assert all(commands(section) for section in SECTIONS)


def test_the_two_commands_and_folders_are_there() -> None:
    for name in re.findall(r"^(scripts/\w+)$", README, flags=re.MULTILINE):
        assert os.access(ROOT / name, os.X_OK), name
    for name in re.findall(r"^\| `(\w+)/` \|", README, flags=re.MULTILINE):
        assert (ROOT / name).is_dir(), name


def test_every_page_that_is_named_exists() -> None:
    for name in re.findall(r"`(specs/[\w.-]+\.md)`", README):
        assert (ROOT / name).is_file(), name
