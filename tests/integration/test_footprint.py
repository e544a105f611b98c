"""`scripts.benchmark.footprint` as it is called: what a transfer leaves behind, one line a batch."""

import subprocess
import sys

import msgspec
import pytest

from scripts.benchmark.footprint import Footprint, main
from tests.architecture.sources import ROOT


@pytest.mark.integration
def test_each_line_tells_what_one_costs() -> None:
    words = ["--transfers", "2", "--conversions", "0", "--store", "sqlite", "--json"]
    words += ["--at-once", "1", "--at-once", "50"]
    command = [sys.executable, "-m", "scripts.benchmark.footprint", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    found = [msgspec.json.decode(line, type=Footprint, strict=True) for line in done.stdout.splitlines()]
    assert [(each.what, each.at_once) for each in found] == [("transfer", 1), ("transfer", 50)]
    assert all(each.cpu_us > 0 and each.of_an_entry > 400 for each in found)
    assert all(each.total == pytest.approx(sum(each.classes.values()), abs=1) for each in found)
    many = found[-1]
    assert many.classes["log"] > many.of_an_entry
    assert many.classes["evidence"] == 0


def test_an_unknown_store_is_a_wrong_usage() -> None:
    with pytest.raises(SystemExit) as refused:
        main(["--store", "paper"])
    assert refused.value.code == 2
