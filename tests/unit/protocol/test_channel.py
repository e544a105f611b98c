"""The channel's rules, one at a time; `tests/property/test_channel_property.py` lets them meet."""

from collections.abc import Sequence
from dataclasses import replace

import msgspec
import pytest

from protocol.channel import (
    BEGINNING,
    EPOCH_FAR,
    EPOCHS_PASSED_MAX,
    Incoming,
    Outgoing,
    applied_of,
    check_hello,
    goes_on,
    plan,
)
from protocol.envelope import Acknowledgement, Fence, Header
from protocol.errors import EnvelopeInvalid
from protocol.identifiers import Digest
from protocol.limits import ENVELOPE_FRAMES_MAX, INTEGER_MAX
from protocol.messages import Body, encode_body
from tests.support import parcels
from tests.support.documents import COPPER, EPOCH_NONCE, digest, hello, hex_16, prepare, query, uuid

OTHER_NONCE = hex_16("another epoch")
OPEN = Incoming(epoch=1, epoch_nonce=EPOCH_NONCE, next_seq=3, bodies=2, last_body=digest("b2"))


def body(number: int) -> Body:
    return query(prepare(conversion=uuid(f"body {number}")))


def header(bodies: Sequence[Body], *, epoch: int = 1, nonce: str = EPOCH_NONCE, first_seq: int = 0) -> Header:
    stated = parcels.header([encode_body(each) for each in bodies], epoch=epoch, first_seq=first_seq)
    return msgspec.structs.replace(stated, epoch_nonce=nonce)


def acknowledgement(
    *, epoch: int = 1, nonce: str = EPOCH_NONCE, next_seq: int = 1, bodies: int = 0, fence: Fence = BEGINNING
) -> Acknowledgement:
    return Acknowledgement(epoch=epoch, epoch_nonce=nonce, next_seq=next_seq, bodies=bodies, fence=fence)


def outgoing(count: int = 3, *, bodies_sent: int = 0) -> Outgoing:
    stream = Outgoing(epoch=1, epoch_nonce=EPOCH_NONCE, bodies_sent=bodies_sent)
    for number in range(count):
        stream.offer(digest(f"b{number}"), b"body %d" % number)
    return stream


def knows_all(_: Digest) -> bool:
    return True


class TestIncoming:
    def test_nothing_is_acknowledged_before_the_first_hello(self) -> None:
        assert Incoming().acknowledgement() is None

    def test_a_new_body_is_counted_and_a_known_one_only_passed(self) -> None:
        new = OPEN.applied(digest("b3"))
        assert (new.next_seq, new.bodies, new.last_body) == (4, 3, digest("b3"))
        known = OPEN.applied(None)
        assert (known.next_seq, known.bodies, known.last_body) == (4, 2, digest("b2"))

    def test_the_acknowledgement_names_the_epoch_and_how_far_it_is_applied(self) -> None:
        assert OPEN.acknowledgement() == acknowledgement(next_seq=3, bodies=2)


class TestPlan:
    def test_the_first_hello_opens_the_stream(self) -> None:
        bodies = [hello(), body(1)]
        due = plan(Incoming(), header(bodies), bodies)
        assert due.offset == 0
        assert due.incoming == Incoming(epoch=1, epoch_nonce=EPOCH_NONCE)

    def test_a_new_epoch_fences_what_was_not_applied_of_the_older_ones(self) -> None:
        bodies = [hello(epoch=4)]
        due = plan(OPEN, header(bodies, epoch=4), bodies)
        assert due.offset == 0
        assert due.incoming.next_seq == 0
        assert due.incoming.bodies == 2
        assert due.incoming.fence == Fence(epoch=1, next_seq=3, bodies=2, last_body=digest("b2"))

    @pytest.mark.parametrize(
        ("first_seq", "count", "offset"),
        [
            pytest.param(3, 2, 0, id="exactly the next"),
            pytest.param(1, 4, 2, id="overlapping"),
            pytest.param(1, 2, None, id="all applied before"),
            pytest.param(4, 2, None, id="after a gap"),
            pytest.param(3, 0, None, id="empty"),
        ],
    )
    def test_frames_are_due_from_the_next_one_on(self, first_seq: int, count: int, offset: int | None) -> None:
        bodies = [body(number) for number in range(count)]
        due = plan(OPEN, header(bodies, first_seq=first_seq), bodies)
        assert due.incoming == OPEN
        assert due.offset == (count if offset is None else offset)

    def test_a_repeated_hello_changes_nothing(self) -> None:
        bodies = [hello()]
        assert plan(OPEN, header(bodies), bodies).incoming == OPEN

    @pytest.mark.parametrize(
        ("epoch", "nonce"), [pytest.param(2, EPOCH_NONCE, id="stale"), pytest.param(5, OTHER_NONCE, id="reused")]
    )
    def test_nothing_is_due_of_a_stale_or_reused_epoch(self, epoch: int, nonce: str) -> None:
        incoming = replace(OPEN, epoch=5)
        bodies = [msgspec.structs.replace(hello(epoch=epoch), epoch_nonce=nonce), body(1), body(2), body(3)]
        due = plan(incoming, header(bodies, epoch=epoch, nonce=nonce), bodies)
        assert (due.incoming, due.offset) == (incoming, 4)

    @pytest.mark.parametrize(("first_seq", "count"), [(1, 1), (0, 0)])
    def test_an_epoch_opens_with_its_frame_0_alone(self, first_seq: int, count: int) -> None:
        bodies = [body(number) for number in range(count)]
        assert plan(OPEN, header(bodies, epoch=2, first_seq=first_seq), bodies).incoming == OPEN

    @pytest.mark.parametrize(
        ("first_seq", "bodies"),
        [
            pytest.param(0, [body(1)], id="no hello"),
            pytest.param(0, [body(1), hello(epoch=2)], id="hello second"),
            pytest.param(0, [hello(epoch=2), hello(epoch=2)], id="hello twice"),
            pytest.param(7, [hello(epoch=2)], id="hello later"),
            pytest.param(0, [hello(epoch=3)], id="hello of another epoch"),
            pytest.param(0, [hello(receiver=COPPER, epoch=2)], id="hello to somebody else"),
            pytest.param(
                0, [msgspec.structs.replace(hello(epoch=2), epoch_nonce=OTHER_NONCE)], id="hello with another nonce"
            ),
        ],
    )
    def test_a_hello_out_of_place_is_refused(self, first_seq: int, bodies: list[Body]) -> None:
        with pytest.raises(EnvelopeInvalid):
            check_hello(header(bodies, epoch=2, first_seq=first_seq), bodies)

    @pytest.mark.parametrize(
        ("first_seq", "bodies"),
        [(0, []), (0, [hello(epoch=2)]), (0, [hello(epoch=2), body(1)]), (1, [body(1)]), (9, [])],
    )
    def test_a_hello_at_the_head_of_its_epoch_and_nowhere_else_is_right(
        self, first_seq: int, bodies: list[Body]
    ) -> None:
        check_hello(header(bodies, epoch=2, first_seq=first_seq), bodies)


class TestOffering:
    def test_a_body_stands_in_the_stream_once(self) -> None:
        stream = outgoing(2)
        stream.offer(digest("b0"), b"body 0")
        assert stream.window(bytes_max=1_000) == (0, [b"body 0", b"body 1"])
        assert stream.end_seq == 2

    def test_an_acknowledged_body_can_be_offered_again(self) -> None:
        stream = outgoing(2)
        stream.acknowledge(acknowledgement(next_seq=2), knows=knows_all)
        stream.offer(digest("b0"), b"body 0")
        assert stream.window(bytes_max=1_000) == (2, [b"body 0"])

    def test_a_window_has_no_more_frames_than_an_envelope(self) -> None:
        assert len(outgoing(ENVELOPE_FRAMES_MAX + 1).window(bytes_max=10**9)[1]) == ENVELOPE_FRAMES_MAX

    @pytest.mark.parametrize(("bytes_max", "count"), [(0, 1), (6, 1), (12, 2), (17, 2), (18, 3)])
    def test_a_window_keeps_within_its_bytes_and_has_one_body_at_least(self, bytes_max: int, count: int) -> None:
        assert len(outgoing().window(bytes_max=bytes_max)[1]) == count

    def test_an_empty_stream_has_an_empty_window(self) -> None:
        assert outgoing(0).window(bytes_max=1) == (0, [])


class TestAcknowledging:
    def test_frames_below_the_acknowledged_one_are_done(self) -> None:
        stream = outgoing()
        assert stream.acknowledge(acknowledgement(next_seq=2), knows=knows_all) == [digest("b0"), digest("b1")]
        assert (stream.first_seq, stream.end_seq, stream.answered) == (2, 3, True)

    def test_an_older_acknowledgement_takes_nothing_back(self) -> None:
        stream = outgoing()
        stream.acknowledge(acknowledgement(next_seq=2), knows=knows_all)
        assert stream.acknowledge(acknowledgement(next_seq=1), knows=knows_all) == []
        assert stream.first_seq == 2

    def test_no_more_is_done_than_was_offered(self) -> None:
        stream = outgoing(1)
        assert stream.acknowledge(acknowledgement(next_seq=99), knows=knows_all) == [digest("b0")]
        assert stream.first_seq == 1

    @pytest.mark.parametrize(("epoch", "nonce"), [(1, OTHER_NONCE), (2, EPOCH_NONCE), (9, OTHER_NONCE)])
    def test_another_epoch_answers_no_hello_and_acknowledges_nothing(self, epoch: int, nonce: str) -> None:
        stream = outgoing()
        assert stream.acknowledge(acknowledgement(epoch=epoch, nonce=nonce, next_seq=3), knows=knows_all) == []
        assert (stream.answered, stream.behind, len(stream.frames)) == (False, False, 3)


class TestBehind:
    @pytest.mark.parametrize(("applied", "behind"), [(4, False), (5, False), (6, True)])
    def test_a_fence_beyond_what_the_hello_says_shows_lost_words(self, applied: int, behind: bool) -> None:
        stream = outgoing(bodies_sent=5)
        fence = Fence(epoch=1, next_seq=9, bodies=applied, last_body=digest("last"))
        stream.acknowledge(acknowledgement(bodies=applied, fence=fence), knows=knows_all)
        assert (stream.answered, stream.behind) == (True, behind)

    def test_bodies_of_this_epoch_are_no_lost_words(self) -> None:
        stream = outgoing(9, bodies_sent=5)
        fence = Fence(epoch=1, next_seq=9, bodies=5, last_body=digest("last"))
        stream.acknowledge(acknowledgement(next_seq=9, bodies=13, fence=fence), knows=knows_all)
        assert not stream.behind

    def test_a_last_body_that_nobody_here_knows_shows_lost_words(self) -> None:
        stream = outgoing(bodies_sent=5)
        fence = Fence(epoch=1, next_seq=9, bodies=5, last_body=digest("lost"))
        stream.acknowledge(acknowledgement(bodies=5, fence=fence), knows=lambda one: one != digest("lost"))
        assert stream.behind

    @pytest.mark.parametrize(("applied", "behind"), [(5, False), (6, True)])
    def test_an_older_epoch_shows_lost_words_before_the_hello_is_answered(self, applied: int, behind: bool) -> None:
        stream = Outgoing(epoch=8, epoch_nonce=EPOCH_NONCE, bodies_sent=5)
        stream.acknowledge(acknowledgement(epoch=7, bodies=applied), knows=knows_all)
        assert (stream.answered, stream.behind) == (False, behind)

    def test_a_side_once_behind_stays_so(self) -> None:
        stream = Outgoing(epoch=8, epoch_nonce=EPOCH_NONCE, bodies_sent=5)
        stream.acknowledge(acknowledgement(epoch=7, bodies=6), knows=knows_all)
        stream.acknowledge(acknowledgement(epoch=7, bodies=0), knows=knows_all)
        stream.acknowledge(acknowledgement(epoch=8), knows=knows_all)
        assert (stream.answered, stream.behind) == (True, True)


class TestReopening:
    @pytest.mark.parametrize(
        ("epoch", "nonce", "expected"),
        [
            pytest.param(1, EPOCH_NONCE, None, id="ours"),
            pytest.param(1, OTHER_NONCE, 2, id="our number with another nonce"),
            pytest.param(7, OTHER_NONCE, 8, id="a later one"),
        ],
    )
    def test_an_epoch_that_the_other_side_has_passed_is_left(self, epoch: int, nonce: str, expected: int) -> None:
        assert outgoing().must_open(acknowledgement(epoch=epoch, nonce=nonce), restarted=False) == expected

    def test_an_older_epoch_is_what_an_unanswered_hello_finds(self) -> None:
        stream = Outgoing(epoch=8, epoch_nonce=EPOCH_NONCE, bodies_sent=0)
        assert stream.must_open(acknowledgement(epoch=7), restarted=False) is None

    @pytest.mark.parametrize(
        ("stated", "expected"),
        [
            pytest.param(acknowledgement(next_seq=2), None, id="all remembered"),
            pytest.param(acknowledgement(next_seq=3), None, id="more than we had heard"),
            pytest.param(acknowledgement(next_seq=1), 6, id="a frame forgotten"),
            pytest.param(acknowledgement(epoch=3), 6, id="the epoch forgotten"),
            pytest.param(None, 6, id="all forgotten"),
        ],
    )
    def test_a_restarted_side_that_has_forgotten_frames_gets_a_new_epoch(
        self, stated: Acknowledgement | None, expected: int | None
    ) -> None:
        stream = replace(outgoing(), epoch=5)
        if stated is not None and stated.epoch == 1:
            stated = msgspec.structs.replace(stated, epoch=5)
        stream.acknowledge(acknowledgement(epoch=5, next_seq=2), knows=knows_all)
        assert stream.must_open(stated, restarted=True) == expected
        assert stream.must_open(stated, restarted=False) is None

    def test_a_restarted_side_that_has_forgotten_what_it_had_fenced_gets_a_new_epoch(self) -> None:
        stream, answer = outgoing(), acknowledgement(next_seq=1)
        stream.acknowledge(answer, knows=knows_all)
        other = msgspec.structs.replace(
            answer, fence=msgspec.structs.replace(answer.fence, bodies=answer.fence.bodies + 1)
        )
        assert stream.must_open(answer, restarted=True) is None
        assert stream.must_open(other, restarted=True) == stream.epoch + 1
        assert stream.must_open(other, restarted=False) is None

    @pytest.mark.parametrize("stated", [None, acknowledgement(epoch=3)])
    def test_a_restarted_side_that_was_never_heard_gets_the_hello_that_waits(
        self, stated: Acknowledgement | None
    ) -> None:
        assert replace(outgoing(), epoch=5).must_open(stated, restarted=True) is None

    def test_the_last_epoch_cannot_be_passed(self) -> None:
        with pytest.raises(EnvelopeInvalid):
            outgoing().must_open(acknowledgement(epoch=INTEGER_MAX), restarted=False)

    def test_no_word_of_the_other_side_uses_up_our_epochs(self) -> None:
        stream = outgoing()
        assert stream.must_open(acknowledgement(epoch=EPOCH_FAR), restarted=False) == EPOCH_FAR + 1
        for epoch in (EPOCH_FAR + 1, INTEGER_MAX - 1):
            with pytest.raises(EnvelopeInvalid):
                stream.must_open(acknowledgement(epoch=epoch), restarted=False)

    def test_one_that_is_far_already_still_passes_what_it_has_forgotten(self) -> None:
        stream = replace(outgoing(), epoch=EPOCH_FAR + 1)
        last = stream.epoch + EPOCHS_PASSED_MAX
        assert stream.must_open(acknowledgement(epoch=last), restarted=False) == last + 1
        with pytest.raises(EnvelopeInvalid):
            stream.must_open(acknowledgement(epoch=last + 1), restarted=False)


@pytest.mark.parametrize(("next_seq", "applied"), [(0, 0), (4, 0), (5, 0), (6, 1), (8, 3), (9, 3)])
def test_what_is_applied_of_an_envelope_is_never_due_again(next_seq: int, applied: int) -> None:
    bodies = [body(number) for number in range(5, 8)]
    incoming = Incoming(epoch=1, epoch_nonce=EPOCH_NONCE, next_seq=next_seq)
    made = header(bodies, first_seq=5)
    assert applied_of(incoming, made) == applied
    assert plan(incoming, made, bodies).offset >= applied


def test_of_another_epoch_nothing_is_known_to_be_applied() -> None:
    incoming = Incoming(epoch=2, epoch_nonce=EPOCH_NONCE, next_seq=9)
    assert applied_of(incoming, header([body(1)], first_seq=1)) == 0
    assert applied_of(replace(incoming, epoch=1, epoch_nonce=hex_16("other")), header([body(1)], first_seq=1)) == 0


def test_a_sender_goes_on_with_the_next_frame_of_the_present_epoch() -> None:
    incoming = Incoming(epoch=1, epoch_nonce=EPOCH_NONCE, next_seq=3)
    assert goes_on(incoming, header([body(1)], first_seq=3))
    for other in (
        header([], first_seq=3),
        header([body(1)], first_seq=2),
        header([body(1)], first_seq=4),
        header([body(1)], epoch=2, first_seq=3),
        header([body(1)], nonce="ab" * 16, first_seq=3),
    ):
        assert not goes_on(incoming, other)
