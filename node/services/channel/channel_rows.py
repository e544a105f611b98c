"""The rows of the streams with partners: what of them is durable, and the work that opens an epoch."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Protocol

from node.engine.work import Desk, Foremost
from node.store.rows import ChannelState
from protocol.channel import Incoming, Outgoing
from protocol.envelope import Fence, Header
from protocol.identifiers import Ledger
from protocol.ledger.view import Need, Overlay
from protocol.messages import Body, Hello


class ChannelRows(Protocol):
    """What the store tells about the streams with partners."""

    def channel(self, partner: Ledger) -> ChannelState | None:
        """Return where the streams with `partner` stand, or None before the first epoch."""


def with_incoming(row: ChannelState, incoming: Incoming) -> ChannelState:
    """Return the row with the partner's stream as `incoming` says; our own stream's columns stay."""
    fence = incoming.fence
    return replace(
        row,
        in_epoch=incoming.epoch,
        in_nonce=incoming.epoch_nonce,
        in_next_seq=incoming.next_seq,
        in_bodies=incoming.bodies,
        in_last_body=incoming.last_body,
        fence_epoch=fence.epoch,
        fence_next_seq=fence.next_seq,
        fence_bodies=fence.bodies,
        fence_last_body=fence.last_body,
    )


def incoming_of(state: ChannelState | None) -> Incoming:
    """Return the partner's stream as the row keeps it."""
    if state is None or not state.in_epoch:
        return Incoming()
    return Incoming(
        epoch=state.in_epoch,
        epoch_nonce=state.in_nonce,
        next_seq=state.in_next_seq,
        bodies=state.in_bodies,
        last_body=state.in_last_body,
        fence=Fence(
            epoch=state.fence_epoch,
            next_seq=state.fence_next_seq,
            bodies=state.fence_bodies,
            last_body=state.fence_last_body,
        ),
    )


def present_channel(desk: Desk, store: ChannelRows, partner: Ledger) -> ChannelState:
    """Return the row of both streams as the works before this one, in this commit and in earlier ones, leave it."""
    for write in reversed(desk.staged()):
        if isinstance(write, ChannelState) and write.partner == partner:
            return write
    return store.channel(partner) or ChannelState(partner=partner)


def is_void(header: Header, row: ChannelState) -> bool:
    """Return whether an envelope is of another epoch than the partner's present one, and of none after it."""
    other = header.epoch == row.in_epoch and header.epoch_nonce != row.in_nonce
    return header.epoch < row.in_epoch or other


def words_lost(row: ChannelState, header: Header, bodies: Sequence[Body]) -> int | None:
    """Return the place of the first word of its own that the partner has lost, as its latest HELLO tells, or None."""
    hello = bodies[0] if bodies else None
    if header.epoch > row.in_epoch and isinstance(hello, Hello):
        return hello.bodies_sent if hello.bodies_sent < row.in_bodies else None
    return row.in_bodies_sent if row.in_bodies_sent < row.fence_bodies else None


class OpenEpoch(Foremost):
    """Makes a new epoch of our stream to a partner durable, before anything is said in it."""

    def __init__(self, partner: Ledger, outgoing: Outgoing, store: ChannelRows) -> None:
        """Open `outgoing`."""
        self._partner = partner
        self._outgoing = outgoing
        self._store = store

    def needs(self, _view: Overlay) -> Iterator[Need]:
        """Need nothing."""
        return iter(())

    def run(self, desk: Desk) -> None:
        """Write the epoch beside the partner's stream as it stands."""
        row = present_channel(desk, self._store, self._partner)
        desk.stage(replace(row, out_epoch=self._outgoing.epoch, out_nonce=self._outgoing.epoch_nonce))
