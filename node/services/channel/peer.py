"""What the node remembers about one partner while it runs: our stream to it, and when to send again."""

import threading
from dataclasses import dataclass, field
from typing import Final

from node.services.channel.giving_back import GivingBack
from node.services.refusals import NodeCode, NodeRefusal
from protocol.channel import Outgoing
from protocol.checkpoint import Checkpoint
from protocol.encoding import ZERO_DIGEST
from protocol.identifiers import Digest, Ledger
from protocol.ledger.state import PartnerRecord

RESEND_SECONDS: Final = 1.0
REOFFER_SECONDS: Final = 10.0
ACKNOWLEDGE_SECONDS: Final = 0.05
ANSWERING_SECONDS: Final = 1.0
"""How long a partner that has dialled may wait for its answer before we dial it ourselves."""
BACKOFF_SECONDS_MAX: Final = 15.0
TAKINGS_MAX: Final = 2
"""Answers of a partner that wait to be written while it is sent more: enough to keep both sides at work."""
POSTS_MAX: Final = 4
"""Parcels that a partner has posted and that wait to be written; an honest one has one under way at a time."""
_BACKOFF_SECONDS: Final = 0.1
_DOUBLINGS_MAX: Final = 16
_NEVER: Final = float("-inf")


@dataclass(frozen=True, slots=True, kw_only=True)
class Promised:
    """The furthest entry of its own log that a partner has named in an epoch, and the frame in which it did."""

    epoch: int
    epoch_nonce: str
    frame_seq: int
    entry_seq: int


@dataclass(slots=True)
class Peer:
    """One partner's channel, guarded by `lock`. Nobody waits for the writer while holding it: the writer takes it too.

    The partner's own stream to us is in the store alone, so that only what is durable is ever acknowledged.

    Our stream: while `held`, nothing but the HELLO is framed until it is answered; while `closing`, another epoch is
    being opened; `giving` is what goes before all that waits in the outbox. With `wants_epoch` another HELLO is due.
    `drained` is after which commit, and behind which number, nothing waited in the outbox. `moved_at` is when the first
    of the frames that are not acknowledged became it, or was offered; `goes_on` tells that the parcel that is being
    answered shows that the partner has had our last answer.
    Our store: `began` is where its log ended, as generation and size, before anything was said to the partner; `shown`
    is the largest checkpoint of ours that the partner holds, `lacks` what the store lacks of it. `doubted` is the
    largest that the store lacks and that not every key of our log has signed: a claim, as words without a checkpoint.
    `told` once it is known that the partner has heard of the log that we write, or had not to. `excused` is false once
    it has applied words that the store should know; `expected` once its answer to a HELLO has shown that none of those
    which the store lacks is such a word, until they are back. `late` is true for a partner that was gone when we went
    on as a successor and is to be asked now, and `beyond` if it holds more of the log before than our genesis says
    there was: with that one alone nothing goes on. `waits_since` is the first word that cannot stand again yet, by the
    seq of its lost entry, and `stuck` why one cannot.
    """

    ledger: Ledger
    record: PartnerRecord
    outgoing: Outgoing
    lock: threading.RLock = field(default_factory=threading.RLock)
    opening: threading.Lock = field(default_factory=threading.Lock)
    addressed: bool = False
    poll_seconds: float | None = None
    previous: Digest = ZERO_DIGEST
    framed_number: int = -1
    drained: tuple[int, int] | None = None
    offered_seq: int = -1
    offered_at: float = _NEVER
    offered_first: int = -1
    offered_cut: bool = False
    moved_at: float = _NEVER
    goes_on: bool = False
    resends: int = 0
    answer_seconds: float = 0.0
    reoffered_at: float = _NEVER
    acknowledge_at: float | None = None
    answering_until: float = _NEVER
    failures: int = 0
    not_before: float = _NEVER
    sending: bool = False
    takings: int = 0
    posts: int = 0
    promised: Promised | None = None
    held: bool = False
    closing: bool = False
    giving: GivingBack | None = None
    wants_epoch: bool = False
    began: tuple[int, int] = (1, 0)
    shown: Checkpoint | None = None
    shown_note: str | None = None
    lacks: str | None = None
    doubted: Checkpoint | None = None
    told: bool = False
    excused: bool = True
    expected: bool = False
    late: bool = False
    beyond: bool = False
    waits_since: int | None = None
    stuck: str | None = None
    last_contact: str | None = None
    last_failure: str | None = None

    def open(self, outgoing: Outgoing, *, held: bool = False) -> None:
        """Speak in another epoch, in which every body that still stands is framed anew."""
        self.outgoing = outgoing
        self.held = held
        self.giving = None
        self.wants_epoch = False
        self.previous = ZERO_DIGEST
        self.framed_number = -1
        self.offered_seq = -1
        self.offered_first = -1
        self.goes_on = False
        self.resends = 0

    def offered(self, first_seq: int, count: int, *, now: float) -> None:
        """Note that an envelope with these frames, and with it every acknowledgement, is on its way."""
        stalled = bool(count) and first_seq == self.offered_first
        if first_seq == self.outgoing.first_seq:
            self.moved_at = now
        self.resends = min(self.resends + 1, _DOUBLINGS_MAX) if stalled else 0
        self.offered_first = first_seq
        self.offered_seq = first_seq + count - 1
        self.offered_cut = first_seq + count < self.outgoing.end_seq
        self.offered_at = now
        self.acknowledge_at = None
        self.answering_until = _NEVER

    def admit(self) -> None:
        """Count a parcel that the partner has posted, or raise `busy`: one partner's flood must not fill the queue."""
        with self.lock:
            if self.posts >= POSTS_MAX:
                raise NodeRefusal(NodeCode.BUSY, f"{POSTS_MAX} parcels of {self.ledger} wait already")
            self.posts += 1

    def admitted(self) -> None:
        """Count a parcel that the partner has posted no longer: it is written, or was refused."""
        with self.lock:
            self.posts -= 1

    def heard(self, now: float, *, some: bool) -> None:
        """Note that the partner has acknowledged `some` frames, or none, of those that were on their way.

        How long that took is how long the next are waited for: a partner that is busy with what it was sent is not
        sent the same again, which would keep it busier.
        """
        if some:
            self.moved_at = now
            taken = now - self.offered_at
            self.answer_seconds = taken if taken > self.answer_seconds else (self.answer_seconds + taken) / 2

    def on_their_way(self, now: float) -> int:
        """Return how many of our first frames the partner has had and need not be told again at this moment.

        It may have put them into its writer's queue and not acknowledge them yet. What it lets fall is said again once
        nothing has moved for a while.
        """
        if not self.goes_on or not self.outgoing.answered or now >= self.moved_at + self._patience:
            return 0
        return max(self.offered_seq + 1 - self.outgoing.first_seq, 0)

    @property
    def _patience(self) -> float:
        """Return how long the partner may take: after a day of silence it is not waited for for two."""
        return min(max(RESEND_SECONDS, 2 * self.answer_seconds), BACKOFF_SECONDS_MAX)

    @property
    def _is_busy(self) -> bool:
        return self.sending or self.takings >= TAKINGS_MAX

    def taken_in(self) -> None:
        """Count an answer of the partner no longer: it is written, or could not be."""
        with self.lock:
            self.takings -= 1

    def is_due(self, now: float) -> bool:
        """Return whether an envelope should be sent at the monotonic time `now`."""
        if self._is_busy or not self.addressed or now < max(self.not_before, self.answering_until):
            return False
        return self._has_new() or now >= self._at()

    def due_in(self, now: float) -> float:
        """Return after how many seconds `is_due` may become true without anything happening."""
        if self._is_busy or not self.addressed:
            return REOFFER_SECONDS
        at = now if self._has_new() else self._at()
        return min(max(at, self.not_before, self.answering_until, now) - now, REOFFER_SECONDS)

    def _has_new(self) -> bool:
        """Return whether an envelope made now would carry frames that none has carried."""
        # One that was full, and of which nothing has been acknowledged, would be the same again.
        moved = self.outgoing.first_seq != self.offered_first
        return self.outgoing.end_seq - 1 > self.offered_seq and (moved or not self.offered_cut)

    def _at(self) -> float:
        """Return when frames are sent again, an acknowledgement is due, or a silent partner is asked: the earliest."""
        # A partner that answers and takes nothing in is asked more and more rarely.
        pause = min(self._patience * 2 ** max(self.resends - 1, 0), BACKOFF_SECONDS_MAX)
        again = self.offered_at + pause if self.outgoing.frames else float("inf")
        poll = float("inf") if self.poll_seconds is None else self.offered_at + self.poll_seconds
        return min(again, poll, float("inf") if self.acknowledge_at is None else self.acknowledge_at)

    def failed(self, now: float, reason: str) -> None:
        """Wait before the next attempt, longer each time; whatever was to be said is due again then."""
        self.failures += 1
        self.last_failure = reason
        self.resends = 0
        self.acknowledge_at = now
        pause = _BACKOFF_SECONDS * 2 ** min(self.failures, _DOUBLINGS_MAX)
        self.not_before = now + min(pause, BACKOFF_SECONDS_MAX)

    def succeeded(self) -> None:
        """Forget earlier failures."""
        self.failures = 0
        self.last_failure = None
        self.not_before = _NEVER
