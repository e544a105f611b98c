"""Nodes of one process, and a partner played by hand."""

import shutil
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.support.documents import AURORA, BLUEBIRD, COPPER
from tests.support.nodes import Alliance, LocalNode, alliance, make_alliance
from tests.support.puppet import Puppet

SIDES = (AURORA, BLUEBIRD, COPPER)


@pytest.fixture(scope="session")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """Return what makes a folder with the databases of brands that know each other, once for each number of them."""

    @cache
    def make(count: int) -> Path:
        directory = tmp_path_factory.mktemp("alliance")
        make_alliance(directory, SIDES[:count])
        return directory

    return make


@pytest.fixture
def two(begun: Callable[[int], Path], tmp_path: Path) -> Iterator[Alliance]:
    """Yield two nodes that have never spoken."""
    with alliance(_copied(begun(2), tmp_path), SIDES[:2]) as nodes:
        yield nodes


@pytest.fixture
def three(begun: Callable[[int], Path], tmp_path: Path) -> Iterator[Alliance]:
    """Yield three nodes that have never spoken."""
    with alliance(_copied(begun(3), tmp_path), SIDES) as nodes:
        yield nodes


def _copied(begun: Path, directory: Path) -> Path:
    for path in begun.glob("*.sqlite"):
        shutil.copy(path, directory)
    return directory


@pytest.fixture
def node(two: Alliance) -> LocalNode:
    """Return the second brand's node, whose partner is played by `puppet`."""
    source, destination = two.pair
    source.stop()
    return destination


@pytest.fixture
def puppet(node: LocalNode) -> Puppet:
    """Return the first brand, played by hand, after the HELLOs."""
    played = Puppet(AURORA, node)
    played.greet()
    return played
