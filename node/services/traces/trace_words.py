"""The steps of a conversion, and what it waits for, in plain words."""

from collections.abc import Iterator, Mapping
from typing import Final, Literal, TypeAlias

from node.services.traces.trace_views import TraceSettlement, TraceStep
from protocol.audit.explain import money
from protocol.conversion import DestinationState, SourceState
from protocol.entries import (
    AnyEntry,
    ConversionCancelRequested,
    ConversionCaptured,
    ConversionCredited,
    ConversionForced,
    ConversionHeld,
    ConversionRefused,
    ConversionReleased,
    Sealed,
)
from protocol.identifiers import Digest, Ledger, program_of
from protocol.messages import Body, Fulfil, Prepare, Reject
from protocol.settlement.states import WindowState

StateName: TypeAlias = Literal["pending", "completed", "returned"]

_STATES: Final[Mapping[SourceState | DestinationState, StateName]] = {
    SourceState.HELD: "pending",
    SourceState.CAPTURED: "completed",
    DestinationState.CREDITED: "completed",
}
_SETTLING: Final[Mapping[str, str]] = {
    WindowState.OPEN: "the window is still open: it is billed once both sides have closed it",
    WindowState.CLOSING: "one side has closed the window: the other side's close is waited for",
    WindowState.RECONCILED: "both closes match: the statement is to be signed",
    WindowState.MISMATCH: "the two sides' lines of the window differ: look at tallystick exceptions",
    WindowState.AGREED: "both have signed the statement: its payment is waited for",
    WindowState.PAID: "the money is on its way: the payee is to confirm it",
    WindowState.CONFIRMED: "it is billed and paid",
}


def state_of(state: SourceState | DestinationState) -> StateName:
    """Return where a conversion stands, as people say it."""
    return _STATES.get(state, "returned")


def entry_step(sealed: Sealed, *, ledger: Ledger) -> TraceStep:
    """Return the step that an entry of this ledger took."""
    entry = sealed.entry
    return TraceStep(
        at=entry.time,
        side="us",
        what=_entry_words(entry, program_of(ledger)),
        kind=str(entry.__struct_config__.tag),
        entry=entry.seq,
        message=None,
    )


def _entry_words(entry: AnyEntry, own: str) -> str:
    match entry:
        case ConversionHeld():
            held = f"{entry.source_points + entry.fee_points:,} points of {entry.account} are on hold at {own}"
            return f"ordered: {held}; {program_of(entry.destination)} is asked to credit {entry.destination_points:,}"
        case ConversionCancelRequested():
            return f"{program_of(entry.destination)} is asked to refuse, unless it has credited"
        case ConversionCaptured():
            return f"completed: the held points have left {own}, since the partner's word that it credited is here"
        case ConversionReleased():
            return f"returned ({entry.reason}): the partner's signed refusal is here, and the points are free again"
        case ConversionForced():
            return f"given back by force ({entry.reason}), at {own}'s own risk: the partner may still credit"
        case ConversionCredited():
            given = f"{entry.destination_points:,} points were credited at {own}"
            return f"completed: {given}; {program_of(entry.source)} owes {money(entry.value)} {entry.currency}"
        case ConversionRefused():
            return f"returned ({entry.reason}): {own} will never credit it, and {program_of(entry.source)} is told so"
        case _:
            return f"recorded as {entry.__struct_config__.tag}: it stands again after a restore"


def message_step(body: Body, digest: Digest) -> TraceStep | None:
    """Return the step that a partner took, by its own signed word and its own clock; None for one that did nothing."""
    match body:
        case Prepare():
            at, entry = body.created_at, body.entry.seq
            what = f"{program_of(body.source)} put {body.source_points:,} points of its member on hold and asked for it"
        case Fulfil():
            at, entry = body.decided_at, body.entry.seq
            what = f"{program_of(body.destination)} credited {body.destination_points:,} points, and signed that it did"
        case Reject():
            at, entry = body.decided_at, body.entry.seq
            what = f"{program_of(body.destination)} refused for ever ({body.reason}), and signed that it did"
        case _:
            return None
    return TraceStep(at=at, side="partner", what=what, kind=type(body).__name__.lower(), entry=entry, message=digest)


def settlement_step(settlement: TraceSettlement) -> Iterator[TraceStep]:
    """Yield that the conversion is paid for, once it is."""
    if settlement.confirmed_at is not None:
        what = f"billed with window {settlement.window} and paid"
        yield TraceStep(
            at=settlement.confirmed_at, side="us", what=what, kind="payment_confirmed", entry=None, message=None
        )


def waiting_of(
    state: SourceState | DestinationState, settlement: TraceSettlement | None, partner: Ledger, *, waits: bool
) -> tuple[str | None, str | None]:
    """Return what a conversion waits for, and what somebody is to do about it; None where nothing is open."""
    name = program_of(partner)
    if state is SourceState.HELD:
        return (
            f"{name} is to credit or to refuse; the points are safe on hold",
            "wait; if it takes long, see whether the partner's node runs, or cancel: tallystick conversion cancel",
        )
    if state is SourceState.FORCED:
        return f"{name}'s late answer", "settle with the partner outside: its value is booked as contingent"
    if waits:
        return f"{name} has not said that it took our last word", "nothing: it is sent again until it is taken"
    if settlement is None or settlement.state == WindowState.CONFIRMED:
        return None, None
    if settlement.dispute is not None:
        return f"both are to decide about the dispute ({settlement.dispute})", "compare the signed messages"
    return _SETTLING[settlement.state], "nothing for the member: only the two programmes settle"
