"""Two partners of a brand put together everything that they hold: nothing in it is of one and the same member."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from node.store.columns import METADATA
from node.store.database import Database
from scripts.alliance.brands import AURORA, BLUEBIRD, CEDAR, Brand
from tests.support.linked import Linked, linked

TOKEN = re.compile(r"[0-9A-Za-z+=_-]{12,}")
WORD = re.compile(r"[a-z_]+|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}")
"""A name of a field, a kind or an account of ours, and the hour of a time: no id, digest or key looks like them."""

DIGEST_BYTES = 32


@pytest.fixture
def brands(tmp_path: Path) -> Iterator[Linked]:
    with linked(tmp_path) as found:
        yield found


def held(brands: Linked, brand: Brand) -> set[str]:
    """Return every token in all rows of a brand's store, bodies, envelopes and entries too, and in its files."""
    directory = brands.node(brand).created.directory
    path = directory / "ledger.sqlite"
    found: set[str] = set()
    with Database.open(f"sqlite:///{path}") as database, database.snapshot() as dump:
        for name in METADATA.tables:
            for row in dump.rows(name):
                for value in row:
                    found |= tokens(value)
    for file in directory.rglob("*"):
        if file.is_file() and not file.name.startswith("ledger.sqlite"):
            found |= tokens(file.read_bytes())
    return found


def tokens(value: object) -> set[str]:
    if isinstance(value, bytes):
        # Raw hashes are compared as the hex that documents write.
        return {value.hex()} if len(value) == DIGEST_BYTES else tokens(value.decode("latin-1"))
    return {each for each in TOKEN.findall(str(value)) if not WORD.fullmatch(each)}


def public(brands: Linked, brand: Brand) -> set[str]:
    """Return the tokens of what a brand publishes: its checkpoints, which say nothing of any member."""
    path = brands.node(brand).created.directory / "ledger.sqlite"
    found: set[str] = set()
    with Database.open(f"sqlite:///{path}") as database, database.snapshot() as dump:
        for name in ("checkpoints", "published"):
            for row in dump.rows(name):
                for value in row:
                    found |= tokens(value)
    return found


def live(brands: Linked) -> dict[Brand, str]:
    """Let one member of Bluebird be linked with both partners, convert both ways, end one link; return its accounts."""
    there = brands.open(BLUEBIRD)
    who = {"external_ref": "CRM-4711", "display_name": "Ann Lee", "email": "ann.lee@example.com"}
    assert brands.call(BLUEBIRD, "PUT", f"/v1/accounts/{there}/personal", who).is_success
    found = {BLUEBIRD: there}
    for brand in (AURORA, CEDAR):
        here = found[brand] = brands.open(brand)
        brands.link(BLUEBIRD, there, brand, here, conversions_max=50)
        alias = brands.link(brand, here, BLUEBIRD, there)
        assert brands.convert(brand, here, BLUEBIRD)["state"] == "completed"
        assert brands.convert(BLUEBIRD, there, brand)["state"] == "completed"
        body = {"account": there, "partner": brand.ledger, "alias": alias, "direction": "accepted"}
        brands.done(BLUEBIRD, "/v1/links/revocations", body)
        brands.street.talk()
    return {brand: account.partition("/")[2] for brand, account in found.items()}


def test_two_partners_share_nothing_of_a_member(brands: Linked) -> None:
    before = held(brands, AURORA) & held(brands, CEDAR)
    uuids = live(brands)
    first, second = held(brands, AURORA), held(brands, CEDAR)
    known = before | public(brands, BLUEBIRD) | public(brands, AURORA) | public(brands, CEDAR)
    assert (first & second) - known == set()
    # The join would find something that is there: each of them holds what Bluebird holds of its own link.
    own = held(brands, BLUEBIRD)
    assert (first & own) - known
    assert (second & own) - known
    # Nobody holds the account that a member has elsewhere.
    for brand, account in uuids.items():
        assert {at for at in uuids if account in held(brands, at)} == {brand}
    assert not {"CRM-4711"} & (first | second)
