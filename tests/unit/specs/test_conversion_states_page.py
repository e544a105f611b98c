"""The tables in `specs/conversion-states.md` are those of the code."""

from collections.abc import Iterable
from enum import StrEnum

import pytest

from protocol.conversion import (
    DESTINATION_TRANSITIONS,
    SOURCE_TRANSITIONS,
    DestinationEvent,
    DestinationState,
    SourceEvent,
    SourceState,
)
from protocol.errors import Code
from tests.support.pages import Table, code, table, tables


def transitions(listing: Table) -> dict[tuple[str, str], str]:
    return {(row["state"], event): after for row in listing for event, after in row.items() if event != "state"}


def written(in_code: Iterable[tuple[tuple[StrEnum, StrEnum], StrEnum]]) -> dict[tuple[str, str], str]:
    return {
        (state.value, event.value): f"`{after.value}`" if isinstance(after, Code) else after.value
        for (state, event), after in in_code
    }


def test_the_sources_table_is_that_of_the_code() -> None:
    _, listing = tables("conversion-states")["1. Source"]
    assert transitions(listing) == written(SOURCE_TRANSITIONS.items())


def test_the_destinations_table_is_that_of_the_code() -> None:
    _, listing = tables("conversion-states")["2. Destination"]
    assert transitions(listing) == written(DESTINATION_TRANSITIONS.items())


@pytest.mark.parametrize(("heading", "events"), [("1. Source", SourceEvent), ("2. Destination", DestinationEvent)])
def test_every_event_is_explained(heading: str, events: type[StrEnum]) -> None:
    listing, _ = tables("conversion-states")[heading]
    assert [code(row["event"]) for row in listing] == [event.value for event in events]


def test_pairs_of_states_are_states() -> None:
    pairs = [(row["source"], row["destination"]) for row in table("conversion-states", "3. Both together")]
    assert len(set(pairs)) == len(pairs)
    for source, destination in pairs:
        assert SourceState(source)
        assert DestinationState(destination)
    assert (SourceState.RELEASED, DestinationState.CREDITED) not in pairs
