from itertools import product

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

SOURCE_ENDED = (
    SourceState.CAPTURED,
    SourceState.RELEASED,
    SourceState.FORCED_OWED,
    SourceState.FORCED_CLEARED,
)
DESTINATION_ENDED = (DestinationState.CREDITED, DestinationState.REFUSED)


def test_every_pair_is_decided() -> None:
    assert set(SOURCE_TRANSITIONS) == set(product(SourceState, SourceEvent))
    assert set(DESTINATION_TRANSITIONS) == set(product(DestinationState, DestinationEvent))


@pytest.mark.parametrize(("state", "event"), list(product(SOURCE_ENDED, SourceEvent)))
def test_an_ended_source_stays_ended(state: SourceState, event: SourceEvent) -> None:
    assert isinstance(SOURCE_TRANSITIONS[state, event], Code)


@pytest.mark.parametrize(("state", "event"), list(product(DESTINATION_ENDED, DestinationEvent)))
def test_a_decision_is_final(state: DestinationState, event: DestinationEvent) -> None:
    assert DESTINATION_TRANSITIONS[state, event] is Code.CONVERSION_DECIDED


def test_only_the_destinations_word_ends_a_conversion() -> None:
    endings = {(state, event) for (state, event), after in SOURCE_TRANSITIONS.items() if after in SOURCE_ENDED}
    words = (SourceEvent.FULFIL, SourceEvent.REJECT)
    assert endings == set(product((SourceState.HELD, SourceState.FORCED), words))
    assert SOURCE_TRANSITIONS[SourceState.HELD, SourceEvent.CANCEL] is SourceState.HELD


def test_force_ends_a_hold_and_leaves_the_destination_its_word() -> None:
    forced = {state for state in SourceState if SOURCE_TRANSITIONS[state, SourceEvent.FORCE] is SourceState.FORCED}
    assert forced == {SourceState.HELD}
    assert SOURCE_TRANSITIONS[SourceState.FORCED, SourceEvent.FULFIL] is SourceState.FORCED_OWED
    assert SOURCE_TRANSITIONS[SourceState.FORCED, SourceEvent.REJECT] is SourceState.FORCED_CLEARED


def test_a_cancel_of_the_unknown_leaves_a_tombstone() -> None:
    assert DESTINATION_TRANSITIONS[DestinationState.NONE, DestinationEvent.CANCEL] is DestinationState.REFUSED


def test_every_state_is_reached() -> None:
    assert {after for after in SOURCE_TRANSITIONS.values() if isinstance(after, SourceState)} == {
        SourceState.HELD,
        SourceState.FORCED,
        *SOURCE_ENDED,
    }
    assert set(DESTINATION_TRANSITIONS.values()) == {Code.CONVERSION_DECIDED, *DESTINATION_ENDED}
