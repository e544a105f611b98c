"""The two state tables of a conversion: the destination decides, the source has no timeout (specs/conversion.md)."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from protocol.errors import Code


class SourceState(StrEnum):
    """Where a conversion stands at the source ledger."""

    NONE = "none"
    HELD = "held"
    CAPTURED = "captured"
    RELEASED = "released"


class SourceEvent(StrEnum):
    """What can happen to a conversion at the source ledger."""

    ORDER = "order"
    CANCEL = "cancel"
    FULFIL = "fulfil"
    REJECT = "reject"


class DestinationState(StrEnum):
    """Where a conversion stands at the destination ledger."""

    NONE = "none"
    CREDITED = "credited"
    REFUSED = "refused"


class DestinationEvent(StrEnum):
    """What can happen to a conversion at the destination ledger."""

    ACCEPT = "accept"
    REFUSE = "refuse"
    CANCEL = "cancel"


SOURCE_TRANSITIONS: Final[Mapping[tuple[SourceState, SourceEvent], SourceState | Code]] = {
    (SourceState.NONE, SourceEvent.ORDER): SourceState.HELD,
    (SourceState.NONE, SourceEvent.CANCEL): Code.CONVERSION_UNKNOWN,
    (SourceState.NONE, SourceEvent.FULFIL): Code.CONVERSION_UNKNOWN,
    (SourceState.NONE, SourceEvent.REJECT): Code.CONVERSION_UNKNOWN,
    (SourceState.HELD, SourceEvent.ORDER): Code.CONVERSION_EXISTS,
    (SourceState.HELD, SourceEvent.CANCEL): SourceState.HELD,
    (SourceState.HELD, SourceEvent.FULFIL): SourceState.CAPTURED,
    (SourceState.HELD, SourceEvent.REJECT): SourceState.RELEASED,
    (SourceState.CAPTURED, SourceEvent.ORDER): Code.CONVERSION_EXISTS,
    (SourceState.CAPTURED, SourceEvent.CANCEL): Code.CONVERSION_DECIDED,
    (SourceState.CAPTURED, SourceEvent.FULFIL): Code.CONVERSION_DECIDED,
    (SourceState.CAPTURED, SourceEvent.REJECT): Code.CONVERSION_DECIDED,
    (SourceState.RELEASED, SourceEvent.ORDER): Code.CONVERSION_EXISTS,
    (SourceState.RELEASED, SourceEvent.CANCEL): Code.CONVERSION_DECIDED,
    (SourceState.RELEASED, SourceEvent.FULFIL): Code.CONVERSION_DECIDED,
    (SourceState.RELEASED, SourceEvent.REJECT): Code.CONVERSION_DECIDED,
}
"""The source's state after an event, or the code with which the event is refused and the state stays."""

DESTINATION_TRANSITIONS: Final[Mapping[tuple[DestinationState, DestinationEvent], DestinationState | Code]] = {
    (DestinationState.NONE, DestinationEvent.ACCEPT): DestinationState.CREDITED,
    (DestinationState.NONE, DestinationEvent.REFUSE): DestinationState.REFUSED,
    (DestinationState.NONE, DestinationEvent.CANCEL): DestinationState.REFUSED,
    (DestinationState.CREDITED, DestinationEvent.ACCEPT): Code.CONVERSION_DECIDED,
    (DestinationState.CREDITED, DestinationEvent.REFUSE): Code.CONVERSION_DECIDED,
    (DestinationState.CREDITED, DestinationEvent.CANCEL): Code.CONVERSION_DECIDED,
    (DestinationState.REFUSED, DestinationEvent.ACCEPT): Code.CONVERSION_DECIDED,
    (DestinationState.REFUSED, DestinationEvent.REFUSE): Code.CONVERSION_DECIDED,
    (DestinationState.REFUSED, DestinationEvent.CANCEL): Code.CONVERSION_DECIDED,
}
"""The destination's state after an event, or the code with which the event is refused: a decision is final."""
