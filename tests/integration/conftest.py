"""What tests of real processes share: the process that their nodes are forked from, and a node without partners."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.crashing_node import Nursery, nursery
from tests.support.lone_node import LoneNode, make_lone_node


@pytest.fixture(scope="module")
def forked() -> Iterator[Nursery]:
    """Lend a nursery."""
    with nursery() as lent:
        yield lent


@pytest.fixture
def lone(tmp_path: Path) -> LoneNode:
    """Return the directory of a new node."""
    return make_lone_node(tmp_path / "aurora")
