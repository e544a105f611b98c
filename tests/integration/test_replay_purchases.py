"""A part of the real year through real nodes: every total equals the second count, and every ledger holds."""

import json
import subprocess
import sys

import pytest

from tests.architecture.sources import ROOT

BASKETS = 4_000


@pytest.mark.integration
def test_a_part_of_the_year_comes_to_the_same_totals() -> None:
    command = [sys.executable, "-m", "scripts.purchases", "--limit", str(BASKETS), "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout.splitlines()[-1])
    assert (summary["baskets"], summary["differences"]) == (BASKETS, [])
    assert len(summary["audit"]["held"]) == 3
    assert summary["conversions"] > 0
    assert summary["transactions_per_second"] > 0
