"""Old copies of stores put back under load, on real nodes: they refuse to fork, and lose no conversion by going on."""

import re
from pathlib import Path
from typing import Final

import pytest

from scripts.alliance.brands import AURORA, BLUEBIRD, BRANDS, Brand
from tests.support.postgres import PostgresServer
from tests.support.restoring import World, poll, tallystick, world_of

pytestmark = [pytest.mark.integration, pytest.mark.slow]

SOME: Final = 25
MANY: Final = 200
"""Requests that a node answers between two events; of many, most have gone to partners and back."""


@pytest.fixture
def server(request: pytest.FixtureRequest, store: str) -> PostgresServer | None:
    """Return a cluster for the nodes' databases, or None where each makes a file of its own."""
    if store == "sqlite":
        return None
    found = request.getfixturevalue("postgres_server")
    assert isinstance(found, PostgresServer)
    return found


def check_closed(world: World, brand: Brand) -> None:
    """Hold that a node has found its store to be an old copy, and signs nothing for anybody."""
    standing = world.await_condition(brand, "behind")
    before = world.checkpoint(brand)
    for _ in range(3):
        assert "store_behind" in world.refused(brand)
    assert world.checkpoint(brand) == before
    assert world.standing(brand) == standing


def go_on(world: World, *brands: Brand) -> None:
    """Open the next logs of nodes whose stores are behind, and wait until their words are back."""
    sizes = {brand: world.standing(brand).size for brand in brands}
    for brand in brands:
        done = world.cli(brand, "succeed")
        assert done.returncode == 0, done.stderr
    for brand, size in sizes.items():
        standing = world.await_condition(brand, "open")
        assert standing.log == f"{brand.program}/main.2"
        assert standing.first_seq > size


def check_all(world: World, *succeeded: Brand) -> None:
    """Hold that no conversion diverges, that nothing was made or lost, and that an audit tells what happened."""
    world.await_quiet()
    found = world.check_conversions()
    assert all(count for count, _ in found.values()), found
    story = world.check_audit()
    for brand in succeeded:
        told = re.search(
            rf"{brand.program}/main.2 succeeds {brand.program}/main.1 .*: ([\d,]+) entries were restored, "
            r"([\d,]+) after them were lost\n +([\d,]+) of those stand again",
            story,
        )
        assert told is not None, story
        assert all(int(number.replace(",", "")) > 0 for number in told.groups()), story
    world.check_stores()


STORES: Final = pytest.mark.parametrize("store", ["sqlite", "postgresql"])


@STORES
@pytest.mark.usefixtures("store")
def test_case_13_an_old_copy_of_a_source_gets_its_words_back_from_all_partners(
    tmp_path: Path, server: PostgresServer | None
) -> None:
    with world_of(tmp_path, BRANDS, server=server, seed=13) as world:
        with world.load.running():
            world.load.wait_for_more(AURORA, SOME)
            copy = world.copy(AURORA)
            world.load.wait_for_more(AURORA, MANY)
            world.put_back({AURORA: copy}, keep_state=False)
            check_closed(world, AURORA)
            go_on(world, AURORA)
            world.load.wait_for_more(AURORA, SOME)
        check_all(world, AURORA)


@STORES
@pytest.mark.usefixtures("store")
def test_case_14_an_old_copy_of_a_destination_credits_again_what_it_had_credited(
    tmp_path: Path, server: PostgresServer | None
) -> None:
    with world_of(tmp_path, (AURORA, BLUEBIRD), server=server, seed=14) as world:
        with world.load.running():
            world.load.wait_for_more(BLUEBIRD, SOME)
            copy = world.copy(BLUEBIRD)
            world.load.wait_for_more(BLUEBIRD, MANY)
            world.put_back({BLUEBIRD: copy})
            check_closed(world, BLUEBIRD)
            go_on(world, BLUEBIRD)
            world.load.wait_for_more(BLUEBIRD, SOME)
        check_all(world, BLUEBIRD)


@STORES
@pytest.mark.usefixtures("store")
def test_case_15_two_old_copies_at_once_agree_on_what_either_of_them_or_a_third_knows(
    tmp_path: Path, server: PostgresServer | None
) -> None:
    both = (AURORA, BLUEBIRD)
    with world_of(tmp_path, BRANDS, server=server, seed=15) as world:
        with world.load.running():
            world.load.wait_for_more(AURORA, SOME)
            copies = {AURORA: world.copy(AURORA)}
            world.load.wait_for_more(BLUEBIRD, SOME)
            copies[BLUEBIRD] = world.copy(BLUEBIRD)
            for brand in both:
                world.load.wait_for_more(brand, MANY)
            world.put_back(copies)
            for brand in both:
                check_closed(world, brand)
            go_on(world, *both)
            for brand in both:
                world.load.wait_for_more(brand, SOME)
        check_all(world, *both)


def test_a_copy_that_has_lost_only_what_it_had_received_is_found_out(tmp_path: Path) -> None:
    with world_of(tmp_path, (AURORA, BLUEBIRD), server=None, seed=16) as world:
        world.order(AURORA, BLUEBIRD)
        world.await_quiet()
        # Bluebird stops before it can answer: Aurora's copy has the order, and nothing of what came of it.
        world.alliance.nodes[BLUEBIRD].kill()
        world.order(AURORA, BLUEBIRD)
        copy = world.copy(AURORA)
        world.alliance.restart(BLUEBIRD)
        world.await_quiet()
        world.put_back({AURORA: copy}, keep_state=False)
        check_closed(world, AURORA)
        go_on(world, AURORA)
        world.await_quiet()
        found = world.check_conversions()
        assert found[AURORA.name, BLUEBIRD.name][0] == 2
        assert "nothing: all it had" in world.check_audit()
        world.check_stores()


@STORES
@pytest.mark.usefixtures("store")
def test_the_end_of_a_log_comes_back_out_of_a_package(tmp_path: Path, server: PostgresServer | None) -> None:
    package = tmp_path / "aurora.zip"
    with world_of(tmp_path, (AURORA, BLUEBIRD), server=server, seed=17) as world:
        with world.load.running():
            world.load.wait_for_more(AURORA, SOME)
            copy = world.copy(AURORA)
            world.load.wait_for_more(AURORA, MANY)
        world.await_quiet()
        node = world.alliance.nodes[AURORA]
        done = tallystick("export", str(node.directory), str(package))
        assert done.returncode == 0, done.stderr
        size = world.standing(AURORA).size
        node.kill()
        world.stores[AURORA].put_back(copy)
        for again in ("entries", "nothing is missing"):
            done = tallystick("recover", str(node.directory), "--from", str(package))
            assert done.returncode == 0, done.stderr
            assert again in done.stdout
        world.alliance.restart(AURORA)
        assert world.await_condition(AURORA, "open").size >= size
        with world.load.running():
            world.load.wait_for_more(AURORA, SOME)
        world.await_quiet()
        assert all(count for count, _ in world.check_conversions().values())
        assert "succeeds" not in world.check_audit()
        world.check_stores()


def test_a_package_that_is_too_short_is_refused(tmp_path: Path) -> None:
    package = tmp_path / "aurora.zip"
    with world_of(tmp_path, (AURORA, BLUEBIRD), server=None, seed=18) as world:
        node = world.alliance.nodes[AURORA]
        done = tallystick("export", str(node.directory), str(package))
        assert done.returncode == 0, done.stderr
        copy = world.copy(AURORA)
        world.order(AURORA, BLUEBIRD)
        world.await_quiet()
        poll(lambda: world.has_kept_state(AURORA), "the state file to be written")
        node.kill()
        world.stores[AURORA].put_back(copy)
        done = tallystick("recover", str(node.directory), "--from", str(package))
        assert done.returncode == 3
        assert "and the package ends at" in done.stderr
