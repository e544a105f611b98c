"""What a store is measured by: its tables' bytes by class, and the flushes that strace tells."""

import os
from pathlib import Path

import pytest

from node.store.columns import METADATA
from node.store.database import Database
from scripts.benchmark.stores import CLASSES, SqliteStore, flushes_told, growth

SUMMARY = """
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ------------------
 98.11    0.004210         210        20           fdatasync
  1.89    0.000081          27         3         1 fsync
------ ----------- ----------- --------- --------- ------------------
100.00    0.004291         186        23         1 total
"""


@pytest.mark.parametrize(("summary", "count"), [(SUMMARY, 23), ("", 0)])
def test_flushes_are_counted_as_strace_tells_them(summary: str, count: int) -> None:
    assert flushes_told(summary) == count


def test_every_table_is_of_a_class_and_its_growth_counts_there(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    with Database.open(f"sqlite:///{path}") as database:
        database.migrate()
        sizes = SqliteStore(path, os.getpid()).sizes()
    assert sizes.keys() >= METADATA.tables.keys()
    assert min(sizes.values()) > 0
    grown = growth({}, sizes)
    assert list(grown) == list(CLASSES)
    assert sum(grown.values()) == sum(sizes[name] for name in METADATA.tables)
    assert growth(sizes, {**sizes, "entries": sizes["entries"] + 4_096}) == {
        "log": 4_096, "derived": 0, "evidence": 0, "operational": 0,
    }  # fmt: skip
