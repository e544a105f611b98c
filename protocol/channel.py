"""The channel between two ledgers, without I/O: epochs, in-order frames, acknowledgements, fence (specs/channel.md).

Each side has one stream of frames. Every start of a node opens a new epoch of its own stream with a HELLO; the other
side accepts it by an acknowledgement that names epoch and nonce and fences what it had not applied of older epochs.
Frames apply strictly in order; bodies that still stand are framed anew in the new epoch. A side that has lost words of
its own gets them back from the other, among that one's own words, in the order in which they had their effect there.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Final, TypeVar

from protocol.envelope import Acknowledgement, Fence, Header
from protocol.errors import EnvelopeInvalid
from protocol.identifiers import Digest
from protocol.limits import ENVELOPE_FRAMES_MAX, INTEGER_MAX
from protocol.messages import Body, Hello

BEGINNING: Final = Fence(epoch=0, next_seq=0, bodies=0, last_body=None)
EPOCH_FAR: Final = INTEGER_MAX // 2
"""No clock of this or of the next hundred thousand years leads so far: whoever names an epoch beyond it is wrong."""

EPOCHS_PASSED_MAX: Final = 1_000_000
"""Beyond that, how many epochs at a time are passed: as many as an old copy may have forgotten, and more."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """The other side's stream as applied here: every frame below `next_seq` of `epoch`.

    `bodies` counts the different bodies applied in all epochs, HELLOs apart; `last_body` is the latest of them.
    """

    epoch: int = 0
    epoch_nonce: str = "0" * 32
    next_seq: int = 0
    bodies: int = 0
    last_body: Digest | None = None
    fence: Fence = BEGINNING

    def applied(self, body: Digest | None) -> "Incoming":
        """Return the stream with one more frame applied; `body` is its digest if it is a body not seen before."""
        if body is None:
            return replace(self, next_seq=self.next_seq + 1)
        return replace(self, next_seq=self.next_seq + 1, bodies=self.bodies + 1, last_body=body)

    def acknowledgement(self, checkpoint: str | None = None) -> Acknowledgement | None:
        """Return what envelopes to the other side acknowledge, or None before its first HELLO.

        `checkpoint` is the largest of its own that this side holds.
        """
        if not self.epoch:
            return None
        return Acknowledgement(
            epoch=self.epoch,
            epoch_nonce=self.epoch_nonce,
            next_seq=self.next_seq,
            bodies=self.bodies,
            fence=self.fence,
            checkpoint=checkpoint,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Which frames of an envelope are due: those from `offset` on, starting from the stream `incoming`."""

    incoming: Incoming
    offset: int


def check_hello(header: Header, bodies: Sequence[Body]) -> None:
    """Raise `EnvelopeInvalid` unless the frame 0 of an epoch, and no other, is the HELLO that opens it."""
    opening = (header.network, header.sender, header.receiver, header.epoch, header.epoch_nonce)
    for seq, body in enumerate(bodies, header.first_seq):
        if isinstance(body, Hello) != (seq == 0):
            raise EnvelopeInvalid("an epoch must open with a HELLO, and only there has one its place")
        if isinstance(body, Hello) and opening != (
            body.network, body.sender, body.receiver, body.epoch, body.epoch_nonce,
        ):  # fmt: skip
            raise EnvelopeInvalid("the HELLO is not of the epoch that its envelope opens")


def applied_of(incoming: Incoming, header: Header) -> int:
    """Return how many of an envelope's first frames are applied already: they never are due again."""
    if (header.epoch, header.epoch_nonce) != (incoming.epoch, incoming.epoch_nonce):
        return 0
    return min(max(incoming.next_seq - header.first_seq, 0), header.count)


def goes_on(incoming: Incoming, header: Header) -> bool:
    """Return whether an envelope carries frames of which the first is just the next one.

    A sender goes on only once it has had the acknowledgement of all before: the answer to its last envelope reached it.
    """
    current = (header.epoch, header.epoch_nonce) == (incoming.epoch, incoming.epoch_nonce)
    return current and header.count > 0 and header.first_seq == incoming.next_seq


def plan(incoming: Incoming, header: Header, bodies: Sequence[Body]) -> Plan:
    """Return which frames of a verified envelope are due now; none when it is stale, repeated or ahead of a gap.

    The bodies have passed `check_hello`.
    """
    nothing = Plan(incoming=incoming, offset=len(bodies))
    if header.epoch < incoming.epoch:
        return nothing
    if header.epoch == incoming.epoch:
        if header.epoch_nonce != incoming.epoch_nonce:
            # The sender has forgotten that it used this epoch; the acknowledgement tells it which one to pass.
            return nothing
        offset = incoming.next_seq - header.first_seq
        return Plan(incoming=incoming, offset=offset) if 0 <= offset < len(bodies) else nothing
    if header.first_seq or not bodies:
        return nothing
    fence = Fence(
        epoch=incoming.epoch, next_seq=incoming.next_seq, bodies=incoming.bodies, last_body=incoming.last_body
    )
    opened = replace(incoming, epoch=header.epoch, epoch_nonce=header.epoch_nonce, next_seq=0, fence=fence)
    return Plan(incoming=opened, offset=0)


@dataclass(slots=True, kw_only=True)
class Outgoing:
    """Our stream of one epoch: the frames not yet acknowledged, in order, from `first_seq` on.

    Frames live in memory only: a restart opens a new epoch and frames anew what still stands. `bodies_sent` is what
    this epoch's HELLO says. `answered` tells that the other side has answered the HELLO, with the fence `fence`, and
    `behind` that it has applied bodies of ours which our store no longer knows.
    """

    epoch: int
    epoch_nonce: str
    bodies_sent: int
    answered: bool = False
    behind: bool = False
    fence: Fence = BEGINNING
    first_seq: int = 0
    frames: dict[Digest, bytes] = field(default_factory=dict)

    @property
    def end_seq(self) -> int:
        """Return the seq that the next frame will have."""
        return self.first_seq + len(self.frames)

    def offer(self, digest: Digest, body: bytes) -> None:
        """Add a body at the end of the stream, unless it stands in it unacknowledged already."""
        self.frames.setdefault(digest, body)

    def window(self, *, bytes_max: int, skip: int = 0) -> tuple[int, list[bytes]]:
        """Return the seq of the first unacknowledged frame, and as many bodies from there as an envelope takes.

        That is one at least, if there is one, whatever `bytes_max` says. `skip` frames are passed over: they are in
        envelopes before this one, which travel with it.
        """
        chosen: list[bytes] = []
        size = 0
        for body in islice(self.frames.values(), skip, skip + ENVELOPE_FRAMES_MAX):
            size += len(body)
            if chosen and size > bytes_max:
                break
            chosen.append(body)
        return self.first_seq + skip, chosen

    def acknowledge(self, acknowledgement: Acknowledgement, *, knows: Callable[[Digest], bool]) -> list[Digest]:
        """Take in the other side's view of this stream and return the digests that it has newly applied.

        `knows` tells whether our store has a body that we are said to have sent.
        """
        if not self.is_named_by(acknowledgement):
            # What was applied before this epoch can be no more than what we knew to have sent when we opened it.
            self.behind = self.behind or acknowledgement.bodies > self.bodies_sent
            return []
        if not self.answered:
            self._compare(acknowledgement.fence, knows)
            self.fence = acknowledgement.fence
            self.answered = True
        applied = list(islice(self.frames, max(acknowledgement.next_seq - self.first_seq, 0)))
        for digest in applied:
            del self.frames[digest]
        self.first_seq += len(applied)
        return applied

    def must_open(self, acknowledgement: Acknowledgement | None, *, restarted: bool) -> int | None:
        """Return the epoch that must be opened because the other side cannot take in this one, or None.

        It cannot when it has seen a later epoch of ours or another one of the same number. Nor can it when it has
        forgotten frames that it had acknowledged, or bodies that it had fenced when it answered: with `restarted`, the
        acknowledgement is the first one of a new epoch of its own. Raises `EnvelopeInvalid` when no epoch is left, or
        one is named so far ahead that few would be left: no word of the other side may use ours up.
        """
        passed = self._passed_by(acknowledgement, restarted=restarted)
        if passed is None:
            return None
        if passed >= INTEGER_MAX or passed > max(EPOCH_FAR, self.epoch + EPOCHS_PASSED_MAX):
            raise EnvelopeInvalid(f"too few epochs, or none, come after {passed}")
        return passed + 1

    def is_named_by(self, acknowledgement: Acknowledgement | None) -> bool:
        """Return whether an envelope that carries `acknowledgement` was made after this epoch had been opened."""
        if acknowledgement is None:
            return False
        return (acknowledgement.epoch, acknowledgement.epoch_nonce) == (self.epoch, self.epoch_nonce)

    def _passed_by(self, acknowledgement: Acknowledgement | None, *, restarted: bool) -> int | None:
        named = self.is_named_by(acknowledgement)
        if acknowledgement is not None and not named and acknowledgement.epoch >= self.epoch:
            return acknowledgement.epoch
        has_all = named and acknowledgement is not None and self._is_remembered(acknowledgement)
        return self.epoch if restarted and self.first_seq and not has_all else None

    def _is_remembered(self, acknowledgement: Acknowledgement) -> bool:
        # A store put back from a copy may have met our HELLO again, of an epoch that it had answered before.
        same = not self.answered or acknowledgement.fence == self.fence
        return same and acknowledgement.next_seq >= self.first_seq

    def _compare(self, fence: Fence, knows: Callable[[Digest], bool]) -> None:
        # A count that fits is not enough: a restored store may have said other things since.
        unknown = fence.last_body is not None and not knows(fence.last_body)
        self.behind = self.behind or unknown or fence.bodies > self.bodies_sent


# --- What one side gives back, and says again.


def first_missing(fence: Fence, *, number_of: Callable[[Digest], int | None]) -> int:
    """Return the number, from 0, of the first of our bodies that the other side lacks, as its fence tells.

    `number_of` tells how many bodies we have made for it before a given one, or None for one that we do not know.
    """
    number = None if fence.last_body is None else number_of(fence.last_body)
    if number is None or number == fence.bodies - 1:
        return fence.bodies
    # The two sides do not count in one order, as after a loss of ours: all is offered again, and nothing counts twice.
    return 0


def in_causal_order(received: Iterable[tuple[int, _T]], sent: Iterable[tuple[int | None, _T]]) -> Iterator[_T]:
    """Yield what was received and sent, each in its own order, merged as one side has lived through both.

    What was received comes with the seq that the next entry had then: it comes before whatever that entry, or a later
    one, has made. What was sent comes with the seq of its entry; what no entry made keeps its place among the sent.
    """
    heard, said = iter(received), iter(sent)
    word, after = next(heard, None), next(said, None)
    while after is not None:
        seq, mine = after
        while word is not None and seq is not None and word[0] <= seq:
            yield word[1]
            word = next(heard, None)
        yield mine
        after = next(said, None)
    if word is not None:
        yield word[1]
        yield from (each for _, each in heard)
