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
    FORCED = "forced"
    """The operator gave the points back at the program's own risk; the destination may still have credited."""
    FORCED_OWED = "forced_owed"
    FORCED_CLEARED = "forced_cleared"


class SourceEvent(StrEnum):
    """What can happen to a conversion at the source ledger."""

    ORDER = "order"
    CANCEL = "cancel"
    FULFIL = "fulfil"
    REJECT = "reject"
    FORCE = "force"


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
    (SourceState.NONE, SourceEvent.FORCE): Code.CONVERSION_UNKNOWN,
    (SourceState.HELD, SourceEvent.ORDER): Code.CONVERSION_EXISTS,
    (SourceState.HELD, SourceEvent.CANCEL): SourceState.HELD,
    (SourceState.HELD, SourceEvent.FULFIL): SourceState.CAPTURED,
    (SourceState.HELD, SourceEvent.REJECT): SourceState.RELEASED,
    (SourceState.HELD, SourceEvent.FORCE): SourceState.FORCED,
    (SourceState.CAPTURED, SourceEvent.ORDER): Code.CONVERSION_EXISTS,
    (SourceState.CAPTURED, SourceEvent.CANCEL): Code.CONVERSION_DECIDED,
    (SourceState.CAPTURED, SourceEvent.FULFIL): Code.CONVERSION_DECIDED,
    (SourceState.CAPTURED, SourceEvent.REJECT): Code.CONVERSION_DECIDED,
    (SourceState.CAPTURED, SourceEvent.FORCE): Code.CONVERSION_DECIDED,
    (SourceState.RELEASED, SourceEvent.ORDER): Code.CONVERSION_EXISTS,
    (SourceState.RELEASED, SourceEvent.CANCEL): Code.CONVERSION_DECIDED,
    (SourceState.RELEASED, SourceEvent.FULFIL): Code.CONVERSION_DECIDED,
    (SourceState.RELEASED, SourceEvent.REJECT): Code.CONVERSION_DECIDED,
    (SourceState.RELEASED, SourceEvent.FORCE): Code.CONVERSION_DECIDED,
    (SourceState.FORCED, SourceEvent.ORDER): Code.CONVERSION_EXISTS,
    (SourceState.FORCED, SourceEvent.CANCEL): SourceState.FORCED,
    (SourceState.FORCED, SourceEvent.FULFIL): SourceState.FORCED_OWED,
    (SourceState.FORCED, SourceEvent.REJECT): SourceState.FORCED_CLEARED,
    (SourceState.FORCED, SourceEvent.FORCE): Code.CONVERSION_DECIDED,
    (SourceState.FORCED_OWED, SourceEvent.ORDER): Code.CONVERSION_EXISTS,
    (SourceState.FORCED_OWED, SourceEvent.CANCEL): Code.CONVERSION_DECIDED,
    (SourceState.FORCED_OWED, SourceEvent.FULFIL): Code.CONVERSION_DECIDED,
    (SourceState.FORCED_OWED, SourceEvent.REJECT): Code.CONVERSION_DECIDED,
    (SourceState.FORCED_OWED, SourceEvent.FORCE): Code.CONVERSION_DECIDED,
    (SourceState.FORCED_CLEARED, SourceEvent.ORDER): Code.CONVERSION_EXISTS,
    (SourceState.FORCED_CLEARED, SourceEvent.CANCEL): Code.CONVERSION_DECIDED,
    (SourceState.FORCED_CLEARED, SourceEvent.FULFIL): Code.CONVERSION_DECIDED,
    (SourceState.FORCED_CLEARED, SourceEvent.REJECT): Code.CONVERSION_DECIDED,
    (SourceState.FORCED_CLEARED, SourceEvent.FORCE): Code.CONVERSION_DECIDED,
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
