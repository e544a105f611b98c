"""The README's section on the sandbox, run as it stands with real processes: only ports and folders are replaced."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.alliance.alliance import Alliance, running_alliance
from scripts.alliance.process import find_free_ports
from tests.architecture.sources import ROOT
from tests.integration.test_readme import PREPARATION, README, commands, in_this_alliance

SECTION = README.partition("## Try every failure: the sandbox")[2].partition("\n## ")[0]
SANDBOX_PORT = "8490"


@pytest.fixture(scope="module")
def alliance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Alliance]:
    with running_alliance(tmp_path_factory.mktemp("alliance"), port_base=None, ephemeral=True) as running:
        yield running


@pytest.mark.integration
def test_the_sandbox_section_works(alliance: Alliance, tmp_path: Path) -> None:
    script = in_this_alliance(commands(PREPARATION) + commands(SECTION), alliance)
    script = script.replace(SANDBOX_PORT, str(find_free_ports(1)[0]))
    script = f"trap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n{script}\nwait $!\n"
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "TMPDIR": str(tmp_path),
        "COLUMNS": "200",
    }
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
    assert "returned: 02 is link_unknown" in done.stdout
    assert "(expired), for ever" in done.stdout
    assert "Traceback" not in done.stderr
