"""The tour holds what it tells: a member's year among three brands, over real node processes."""

import json
from pathlib import Path

import pytest

from scripts.touring.__main__ import main

pytestmark = pytest.mark.integration

ACTS = (
    "imported 200 balances", "linked by the code", "quoted: ", "converted in", "the receipt verifies offline",
    "500 points went to a friend", "the appeal was traced", "the member is erased", "have parted", "audited over HTTP",
)  # fmt: skip


def test_the_tour_is_played_to_its_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["--rows", "200", "--dir", str(tmp_path / "tour"), "--json"])
    said = capsys.readouterr()
    assert status == 0, said.err
    played = json.loads(said.out)
    assert played["good"]
    assert len(played["said"]) == len(ACTS)
    assert all(act in line for act, line in zip(ACTS, played["said"], strict=True))
