"""When a partner is dialled: the sender never sleeps past what is due, and is never woken for nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.services.channel.peer import (
    ACKNOWLEDGE_SECONDS,
    BACKOFF_SECONDS_MAX,
    REOFFER_SECONDS,
    RESEND_SECONDS,
    TAKINGS_MAX,
    Peer,
)
from protocol.channel import BEGINNING, Outgoing
from protocol.envelope import Acknowledgement
from protocol.ledger.state import PartnerRecord
from tests.support.documents import AURORA, EPOCH_NONCE, NETWORK, digest

NOW = 1_000.0
EPSILON = 1e-6
TIMES = st.floats(NOW - 60, NOW + 60, allow_nan=False)


def peer(*, frames: int = 0, addressed: bool = True) -> Peer:
    record = PartnerRecord(network=NETWORK, points=AURORA.points, keys=AURORA.keys, added_seq=1, log=AURORA.ledger)
    made = Peer(ledger=AURORA.ledger, record=record, outgoing=Outgoing(epoch=1, epoch_nonce=EPOCH_NONCE, bodies_sent=0))
    made.addressed = addressed
    frame(made, frames)
    return made


def frame(one: Peer, count: int) -> None:
    for number in range(one.outgoing.end_seq, one.outgoing.end_seq + count):
        one.outgoing.offer(digest(f"body {number}"), b"{}")


def acknowledgement(next_seq: int) -> Acknowledgement:
    return Acknowledgement(epoch=1, epoch_nonce=EPOCH_NONCE, next_seq=next_seq, bodies=next_seq, fence=BEGINNING)


@st.composite
def peers(draw: st.DrawFn) -> Peer:
    made = peer(frames=draw(st.integers(0, 3)))
    for _ in range(draw(st.integers(0, 8))):
        made.failed(draw(TIMES), "on purpose")
    for _ in range(draw(st.integers(0, 4))):
        made.offered(draw(st.integers(0, 2)), draw(st.integers(0, 3)), now=draw(TIMES))
    if draw(st.booleans()):
        made.acknowledge_at = draw(TIMES)
    made.answering_until = draw(st.none() | TIMES) or float("-inf")
    return made


@given(made=peers())
def test_sleeping_as_long_as_allowed_is_neither_too_long_nor_too_short(made: Peer) -> None:
    pause = made.due_in(NOW)
    assert 0 <= pause <= REOFFER_SECONDS
    assert made.is_due(NOW) == (pause == 0)
    if pause < REOFFER_SECONDS:
        assert made.is_due(NOW + pause + EPSILON)
    if pause > EPSILON:
        assert not made.is_due(NOW + pause - EPSILON)


@given(made=peers(), sending=st.booleans())
def test_a_partner_that_is_being_dialled_or_cannot_be_is_never_due(made: Peer, sending: bool) -> None:
    made.sending = made.addressed = sending
    assert not made.is_due(NOW)
    assert made.due_in(NOW) == REOFFER_SECONDS


def test_new_frames_are_due_at_once_and_sent_ones_after_a_while() -> None:
    made = peer(frames=1)
    assert made.is_due(NOW)
    made.offered(0, 1, now=NOW)
    assert made.due_in(NOW) == RESEND_SECONDS
    frame(made, 1)
    assert made.is_due(NOW)


def test_frames_that_do_not_fit_wait_for_an_acknowledgement() -> None:
    made = peer(frames=5)
    made.offered(0, 3, now=NOW)
    assert made.due_in(NOW) == RESEND_SECONDS
    made.outgoing.first_seq = 3
    assert made.is_due(NOW)


def test_a_partner_that_takes_nothing_in_is_asked_more_and_more_rarely() -> None:
    made = peer(frames=1)
    pauses = []
    for _ in range(8):
        made.offered(0, 1, now=NOW)
        pauses.append(made.due_in(NOW))
    assert pauses[:4] == [RESEND_SECONDS, RESEND_SECONDS, 2 * RESEND_SECONDS, 4 * RESEND_SECONDS]
    assert made.is_due(NOW + BACKOFF_SECONDS_MAX)
    made.outgoing.first_seq = 1
    made.offered(1, 1, now=NOW)
    assert made.due_in(NOW) == RESEND_SECONDS


def test_an_acknowledgement_is_due_alone_and_goes_with_whatever_is_sent() -> None:
    made = peer()
    assert made.due_in(NOW) == REOFFER_SECONDS
    made.acknowledge_at = NOW + ACKNOWLEDGE_SECONDS
    assert not made.is_due(NOW)
    assert made.is_due(NOW + ACKNOWLEDGE_SECONDS)
    made.offered(0, 0, now=NOW)
    assert made.acknowledge_at is None


def test_failures_make_it_wait_up_to_a_bound_and_a_success_forgets_them() -> None:
    made = peer(frames=1)
    for _ in range(40):
        made.failed(NOW, "on purpose")
    assert not made.is_due(NOW + BACKOFF_SECONDS_MAX - EPSILON)
    assert made.is_due(NOW + BACKOFF_SECONDS_MAX)
    made.succeeded()
    assert made.is_due(NOW)
    assert (made.failures, made.last_failure) == (0, None)


@pytest.mark.parametrize("frames", [0, 1])
def test_what_could_not_be_sent_is_due_again_after_a_pause(frames: int) -> None:
    made = peer(frames=frames)
    made.offered(0, frames, now=NOW)
    made.failed(NOW, "on purpose")
    assert 0 < made.due_in(NOW) < RESEND_SECONDS


def test_a_new_epoch_starts_anew() -> None:
    made = peer(frames=2)
    made.offered(0, 2, now=NOW)
    made.framed_number = 7
    made.open(Outgoing(epoch=2, epoch_nonce=EPOCH_NONCE, bodies_sent=2))
    frame(made, 1)
    assert made.framed_number == -1
    assert made.is_due(NOW)


def test_a_partner_that_takes_long_is_waited_for_as_long_before_it_is_sent_the_same_again() -> None:
    made = peer(frames=2)
    made.offered(0, 1, now=NOW)
    made.heard(NOW + 4, some=False)
    assert made.due_in(NOW + RESEND_SECONDS) == 0
    made.heard(NOW + 4, some=True)
    made.outgoing.acknowledge(acknowledgement(1), knows=lambda _: True)
    made.offered(1, 1, now=NOW + 4)
    assert not made.is_due(NOW + 4 + 7.9)
    assert made.is_due(NOW + 4 + 8)
    # It is soon believed to be quick again.
    for _ in range(8):
        made.heard(NOW + 4, some=True)
    assert made.is_due(NOW + 4 + RESEND_SECONDS)


def test_what_the_partner_has_had_is_not_said_again_until_nothing_has_moved_for_a_while() -> None:
    made = peer(frames=2)
    made.offered(0, 2, now=NOW)
    made.outgoing.answered = made.goes_on = True
    frame(made, 1)
    assert made.on_their_way(NOW + RESEND_SECONDS - EPSILON) == 2
    assert made.on_their_way(NOW + RESEND_SECONDS) == 0
    made.offered(2, 1, now=NOW + 0.9)
    # What is said after the frames that do not move does not make them wait for longer.
    assert made.on_their_way(NOW + RESEND_SECONDS) == 0
    made.outgoing.acknowledge(acknowledgement(1), knows=lambda _: True)
    made.heard(NOW + 0.9, some=True)
    assert made.on_their_way(NOW + RESEND_SECONDS) == 2
    made.goes_on = False
    assert made.on_their_way(NOW + RESEND_SECONDS) == 0


def test_after_a_day_of_silence_what_was_lost_is_said_again_soon() -> None:
    made = peer(frames=2)
    made.offered(0, 1, now=NOW)
    later = NOW + 86_400
    made.outgoing.acknowledge(acknowledgement(1), knows=lambda _: True)
    made.heard(later, some=True)
    made.outgoing.answered = made.goes_on = True
    made.offered(1, 1, now=later)
    assert made.on_their_way(later + BACKOFF_SECONDS_MAX - EPSILON) == 1
    assert made.on_their_way(later + BACKOFF_SECONDS_MAX) == 0


def test_an_epoch_that_is_not_answered_begins_with_its_hello_every_time() -> None:
    made = peer(frames=1)
    made.offered(0, 1, now=NOW)
    made.goes_on = True
    assert made.on_their_way(NOW) == 0


def test_a_partner_whose_answers_wait_to_be_written_is_not_sent_more() -> None:
    made = peer(frames=1)
    made.takings = TAKINGS_MAX
    assert not made.is_due(NOW)
    assert made.due_in(NOW) == REOFFER_SECONDS
    made.taken_in()
    assert made.is_due(NOW)
