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

SOURCE_ENDED = (SourceState.CAPTURED, SourceState.RELEASED)
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


def test_only_the_destinations_word_ends_a_hold() -> None:
    endings = {(state, event) for (state, event), after in SOURCE_TRANSITIONS.items() if after in SOURCE_ENDED}
    assert endings == {(SourceState.HELD, SourceEvent.FULFIL), (SourceState.HELD, SourceEvent.REJECT)}
    assert SOURCE_TRANSITIONS[SourceState.HELD, SourceEvent.CANCEL] is SourceState.HELD


def test_a_cancel_of_the_unknown_leaves_a_tombstone() -> None:
    assert DESTINATION_TRANSITIONS[DestinationState.NONE, DestinationEvent.CANCEL] is DestinationState.REFUSED


def test_every_state_is_reached() -> None:
    assert {after for after in SOURCE_TRANSITIONS.values() if isinstance(after, SourceState)} == {
        SourceState.HELD,
        *SOURCE_ENDED,
    }
    assert set(DESTINATION_TRANSITIONS.values()) == {Code.CONVERSION_DECIDED, *DESTINATION_ENDED}
