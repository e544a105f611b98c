"""The tables of `specs/file-exchange.md` list what the code reads, raises and answers."""

from typing import get_args

import msgspec
import pytest

from node.cli.exchange import NEXT
from node.services.channel.exchange_files import Next, Outcome
from protocol.errors import ExchangeFileInvalid
from protocol.exchange_file import (
    FILE_BYTES_MAX,
    FILE_PARCELS_MAX,
    FileHeader,
    FileTrailer,
    FulfilTotals,
    PrepareTotals,
)
from tests.support.pages import code, page, table, tables
from tests.support.schemas import schema

STRUCTS: dict[str, type[msgspec.Struct]] = {
    "2. FileHeader": FileHeader,
    "3. FileTrailer": FileTrailer,
    "PrepareTotals": PrepareTotals,
    "FulfilTotals": FulfilTotals,
}
REFUSED, OUTCOMES, NEXTS = tables("file-exchange")["5. Import"]


@pytest.mark.parametrize("heading", STRUCTS)
def test_a_table_of_fields_is_that_of_the_code(heading: str) -> None:
    listed = {code(row["field"]): row["type"] for row in table("file-exchange", heading)}
    if "record" in listed:
        assert listed.pop("record") == "the kind"
    assert listed == schema(STRUCTS[heading])


def test_every_way_to_be_refused_is_listed() -> None:
    listed = {code(row["code"]) for row in REFUSED}
    assert {ExchangeFileInvalid.code, *(kind.code for kind in ExchangeFileInvalid.__subclasses__())} <= listed


def test_every_outcome_is_listed() -> None:
    assert {code(row["outcome"]) for row in OUTCOMES} == set(get_args(Outcome))


def test_everything_that_may_be_next_is_listed_and_told() -> None:
    assert {code(row["next"]) for row in NEXTS} == set(get_args(Next)) == set(NEXT)


def test_the_bounds_are_stated() -> None:
    assert f"{FILE_BYTES_MAX:,} bytes" in page("file-exchange")
    assert f"0 to {FILE_PARCELS_MAX} parcels" in page("file-exchange")
