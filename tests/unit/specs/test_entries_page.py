"""The kinds, fields, ids and postings in `specs/entries.md` are those of the code."""

import re
from typing import get_args

import msgspec
import pytest

from protocol.entries import AnyEntry, Entry, Posting, Predecessor
from protocol.ledger import names
from protocol.messages import EntryBody
from protocol.point_entries import ExpiredLot
from protocol.program_entries import ConversionOrder, TransferOrder
from protocol.recovery_entries import SeenCheckpoint
from tests.support.departing import departed
from tests.support.history import examples, history, succession, tag_of
from tests.support.ledger import MemoryLedger
from tests.support.pages import Table, code, table, tables
from tests.support.schemas import schema, written

KINDS: dict[str, type[msgspec.Struct]] = {str(kind.__struct_config__.tag): kind for kind in get_args(AnyEntry)}
HEAD = schema(Entry)
PARTS: dict[str, type[msgspec.Struct]] = {
    "Predecessor": Predecessor,
    "SeenCheckpoint": SeenCheckpoint,
    "Posting": Posting,
    "ExpiredLot": ExpiredLot,
}
MEANT = {
    "protocol.identifiers.Id": "entry id",
    "protocol.identifiers.Id or null": "entry id or null",
    "protocol.identifiers.Account": "account",
    "<class 'bool'>": "true or false",
    "LinkLimits or <class 'msgspec.UnsetType'>": "LinkLimits or absent",
    "<enum 'UnlinkReason'>": "UnlinkReason",
    written(EntryBody): "EntryBody",
}
"""How this page writes the types that no other page has."""


def fields(heading: str) -> dict[str, str]:
    return {code(row["field"]): row["type"] for row in tables("entries")[heading][0]}


def in_code(struct: type[msgspec.Struct]) -> dict[str, str]:
    return {name: MEANT.get(written, written) for name, written in schema(struct).items()}


def posted(kind: str) -> Table | None:
    """Return the rows of a kind's postings as the page lists them, if it has any."""
    found = tables("entries")[kind]
    return found[1] if len(found) > 1 else None


def test_every_kind_is_listed_in_the_order_of_the_code() -> None:
    assert [code(row["kind"]) for row in table("entries", "5. Kinds")] == list(KINDS)


def test_the_head_is_that_of_the_code() -> None:
    found = fields("2. Head")
    assert found.pop("kind") == "the kind"
    assert list(found.items()) == list(in_code(Entry).items())


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_has_the_fields_of_its_table(kind: str) -> None:
    expected = {name: written for name, written in in_code(KINDS[kind]).items() if name not in HEAD}
    assert list(fields(kind).items()) == list(expected.items())


@pytest.mark.parametrize(("heading", "struct"), PARTS.items())
def test_a_part_has_the_fields_of_its_table(heading: str, struct: type[msgspec.Struct]) -> None:
    assert list(fields(heading).items()) == list(in_code(struct).items())


@pytest.mark.parametrize("order", [TransferOrder, ConversionOrder])
def test_an_order_under_review_has_the_fields_of_its_table(order: type[msgspec.Struct]) -> None:
    rows = table("entries", order.__name__)
    assert code(rows[0]["rule"]) == order.__struct_config__.tag
    found = fields(order.__name__)
    assert found.pop(str(order.__struct_config__.tag_field)) == "the kind"
    assert list(found.items()) == list(in_code(order).items())


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_that_post_say_what(kind: str) -> None:
    says = {code(row["kind"]): row["posts"] for row in table("entries", "5. Kinds")}
    has_postings = "postings" in schema(KINDS[kind])
    assert (says[kind], posted(kind) is not None) == (("yes", True) if has_postings else ("no", False))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if posted(kind)])
def test_postings_are_on_the_accounts_and_sides_of_the_table(kind: str) -> None:
    rows = posted(kind)
    assert rows is not None
    example = max(
        (sealed.entry for ledger in every() for sealed in ledger.sealed if tag_of(sealed.entry) == kind),
        key=lambda entry: len(getattr(entry, "postings", ())),
    )
    postings = getattr(example, "postings", ())
    assert len(postings) == len(rows)
    for posting, row in zip(postings, rows, strict=True):
        assert (posting.amount < 0) == row["amount"].startswith("−")
        structural = re.fullmatch(r"`([a-z_]+)(/<p>)?`", row["account"])
        if structural:
            assert posting.account.partition("/")[0] == structural[1]
            assert ("/" in posting.account) == bool(structural[2])
        else:
            assert posting.account.startswith("member/")
        assert (posting.asset == "USD") == (row["asset"] == "currency")


def every() -> tuple[MemoryLedger, ...]:
    return history().source, history().destination, departed().source, *succession()


def test_ids_are_those_of_the_table() -> None:
    prefixes: dict[str, str] = {}
    for row in table("entries", "3. Ids"):
        for kind in re.findall(r"`([a-z_]+)`", row["kind"]):
            prefixes[kind] = code(row["id"]).partition("/<")[0]
    prefixes.pop("expired")
    for ledger in every():
        for sealed in ledger.sealed:
            kind = tag_of(sealed.entry)
            expected = names.id_of(sealed.entry, ledger=ledger.name)
            if kind == "conversion_held":
                assert prefixes[kind] == "the conversion's id"
            elif kind == "recovered":
                assert prefixes[kind].startswith("that of the entry that was lost, or ")
            elif expected is not None:
                assert sealed.entry.id.startswith(f"{prefixes[kind]}/")
            else:
                assert prefixes.get(kind, "expired") in {"expired", "lapsed"}


def test_every_table_of_fields_is_compared() -> None:
    listed = {heading for heading, found in tables("entries").items() if found and found[0] and "field" in found[0][0]}
    assert listed == {*KINDS, "2. Head", *PARTS, TransferOrder.__name__, ConversionOrder.__name__}


def test_every_kind_has_an_example() -> None:
    assert sorted(KINDS) == list(examples())
