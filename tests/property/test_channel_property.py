"""Two ends of a channel over a network that loses, repeats, reorders and delays; either end restarts at any moment."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Final

from hypothesis import event, given
from hypothesis import strategies as st

from protocol.channel import Incoming, Outgoing, check_hello, plan
from protocol.encoding import ZERO_DIGEST
from protocol.envelope import Header
from protocol.identifiers import Digest, Ledger
from protocol.messages import Body, Hello, Query, body_digest, decode_body, encode_body
from tests.support.documents import AURORA, BLUEBIRD, NETWORK, digest, hex_16, prepare, query, uuid

HEALING_ROUNDS_MAX: Final = 12
WINDOW_BYTES: Final = 1_500
"""Room for about three bodies, so that streams are longer than an envelope."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """What of an end survives a restart."""

    epoch: int = 0
    said: tuple[bytes, ...] = ()
    outstanding: tuple[bytes, ...] = ()
    incoming: Incoming = field(default_factory=Incoming)
    heard: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Envelope:
    """A header and its bodies, on their way; signatures are of no interest here."""

    header: Header
    bodies: tuple[bytes, ...]


class End:
    """One node: a store, and a stream in memory."""

    def __init__(self, name: Ledger, partner: Ledger, nonces: "count[int]") -> None:
        self.name = name
        self.partner = partner
        self.store = Store()
        self._nonces = nonces
        self.open(1)

    def restart(self) -> None:
        self.open(self.store.epoch + 1)

    def restore(self, store: Store) -> None:
        """Start from an older copy of the store: its epoch is used for the second time."""
        self.store = store
        self.restart()

    def open(self, epoch: int) -> None:
        self.store = replace(self.store, epoch=epoch)
        nonce = hex_16(f"nonce {next(self._nonces)}")
        self.outgoing = Outgoing(epoch=epoch, epoch_nonce=nonce, bodies_sent=len(self.store.said))
        self.heard_epoch = 0
        hello = Hello(
            network=NETWORK,
            sender=self.name,
            receiver=self.partner,
            epoch=epoch,
            epoch_nonce=nonce,
            bodies_sent=len(self.store.said),
        )
        for data in (encode_body(hello), *self.store.outstanding):
            self.outgoing.offer(body_digest(data), data)

    def say(self) -> None:
        data = encode_body(words(self.name, next(self._nonces)))
        self.store = replace(self.store, said=(*self.store.said, data), outstanding=(*self.store.outstanding, data))
        self.outgoing.offer(body_digest(data), data)

    def send(self) -> Envelope:
        first_seq, bodies = self.outgoing.window(bytes_max=WINDOW_BYTES)
        header = Header(
            network=NETWORK,
            sender=self.name,
            receiver=self.partner,
            epoch=self.outgoing.epoch,
            epoch_nonce=self.outgoing.epoch_nonce,
            first_seq=first_seq,
            count=len(bodies),
            previous=ZERO_DIGEST,
            acknowledgement=self.store.incoming.acknowledgement(),
            checkpoint=None,
            root=digest("root"),
        )
        return Envelope(header, tuple(bodies))

    def receive(self, envelope: Envelope) -> None:
        self._acknowledge(envelope.header)
        bodies = [decode_body(data) for data in envelope.bodies]
        check_hello(envelope.header, bodies)
        due = plan(self.store.incoming, envelope.header, bodies)
        incoming, heard = due.incoming, self.store.heard
        for data, body in list(zip(envelope.bodies, bodies, strict=True))[due.offset :]:
            if not isinstance(body, Hello) and not (self.outgoing.answered and not self.outgoing.behind):
                break
            fresh = not isinstance(body, Hello) and data not in heard
            heard = (*heard, data) if fresh else heard
            incoming = incoming.applied(body_digest(data) if fresh else None)
        before = self.store.incoming
        assert (incoming.epoch, incoming.next_seq) >= (before.epoch, before.next_seq)
        self.store = replace(self.store, incoming=incoming, heard=heard)

    def _acknowledge(self, header: Header) -> None:
        restarted = header.epoch > self.heard_epoch
        self.heard_epoch = max(header.epoch, self.heard_epoch)
        epoch = self.outgoing.must_open(header.acknowledgement, restarted=restarted)
        if header.acknowledgement is not None:
            done = set(self.outgoing.acknowledge(header.acknowledgement, knows=self._knows))
            left = tuple(data for data in self.store.outstanding if body_digest(data) not in done)
            self.store = replace(self.store, outstanding=left)
        if epoch is not None:
            behind, heard_epoch = self.outgoing.behind, self.heard_epoch
            self.open(epoch)
            self.outgoing.behind, self.heard_epoch = behind, heard_epoch

    def _knows(self, said: Digest) -> bool:
        return said in map(body_digest, self.store.said)


def words(sender: Ledger, number: int) -> Query:
    source, destination = (AURORA, BLUEBIRD) if sender == AURORA.ledger else (BLUEBIRD, AURORA)
    return query(prepare(conversion=uuid(f"{sender} {number}"), source=source, destination=destination))


class World:
    """Two ends and what is on its way between them."""

    def __init__(self) -> None:
        nonces = count()
        first, second = AURORA.ledger, BLUEBIRD.ledger
        self.ends = (End(first, second, nonces), End(second, first, nonces))
        self.network: list[Envelope] = []

    def say(self, side: int) -> None:
        self.ends[side].say()

    def send(self, side: int) -> None:
        self.network.append(self.ends[side].send())

    def deliver(self, place: int) -> None:
        """Let any envelope arrive, in any order; it stays on its way, to arrive again."""
        if self.network:
            envelope = self.network[place % len(self.network)]
            self.ends[envelope.header.receiver == BLUEBIRD.ledger].receive(envelope)

    def lose(self, place: int) -> None:
        if self.network:
            del self.network[place % len(self.network)]

    def talk(self, side: int) -> None:
        """Let one end dial the other undisturbed; copies of what is said stay on their way."""
        caller, answerer = self.ends[side], self.ends[1 - side]
        for end, listener in ((caller, answerer), (answerer, caller)):
            envelope = end.send()
            self.network.append(envelope)
            listener.receive(envelope)

    def restart(self, side: int) -> None:
        self.ends[side].restart()

    def heal(self) -> None:
        """Let both ends talk undisturbed until nothing is outstanding, or raise."""
        for _ in range(HEALING_ROUNDS_MAX):
            if not any(end.store.outstanding for end in self.ends):
                return
            for side in (0, 1):
                self.ends[1 - side].receive(self.ends[side].send())
        raise AssertionError(f"{[len(end.store.outstanding) for end in self.ends]} bodies are outstanding for ever")

    def check_order(self) -> None:
        """Hold that each end has heard, each once and in order, the first of what the other has said."""
        for end, other in ((self.ends[0], self.ends[1]), (self.ends[1], self.ends[0])):
            heard = end.store.heard
            assert heard == other.store.said[: len(heard)]
            assert end.store.incoming.bodies == len(heard)
            assert end.store.incoming.last_body == (body_digest(heard[-1]) if heard else None)
            assert not end.outgoing.behind


SIDES: Final = st.integers(0, 1)
PLACES: Final = st.integers(0, 1_000)
STEPS: Final = st.one_of(
    st.tuples(st.just(World.say), SIDES),
    st.tuples(st.just(World.send), SIDES),
    st.tuples(st.just(World.deliver), PLACES),
    st.tuples(st.just(World.talk), SIDES),
    st.tuples(st.just(World.talk), SIDES),
    st.tuples(st.just(World.lose), PLACES),
    st.tuples(st.just(World.restart), SIDES),
)
Step = tuple[Callable[[World, int], None], int]


def run(world: World, steps: Sequence[Step]) -> None:
    for act, argument in steps:
        act(world, argument)


@given(steps=st.lists(STEPS, min_size=10, max_size=50))
def test_every_body_is_heard_once_and_in_order_whatever_the_network_does(steps: Sequence[Step]) -> None:
    world = World()
    for step in steps:
        run(world, [step])
        world.check_order()
    world.heal()
    world.check_order()
    for end, other in (world.ends, world.ends[::-1]):
        assert end.store.heard == other.store.said


@given(
    before=st.lists(STEPS, max_size=20),
    between=st.lists(STEPS, min_size=5, max_size=20),
    after=st.lists(STEPS, max_size=20),
)
def test_a_side_is_behind_exactly_when_the_other_knows_words_that_it_has_lost(
    before: Sequence[Step], between: Sequence[Step], after: Sequence[Step]
) -> None:
    world = World()
    run(world, before)
    restored, other = world.ends
    copy = restored.store
    run(world, between)
    restored.restore(copy)
    run(world, after)
    # Whatever either side still has to say, it is heard: a stream never waits for frames that nobody has.
    try:
        world.heal()
    except AssertionError:
        assert restored.outgoing.behind
    for _ in range(2):
        other.receive(restored.send())
        restored.receive(other.send())
    lost = [data for data in other.store.heard if data not in restored.store.said]
    event("behind" if lost else "nothing lost")
    assert restored.outgoing.behind == bool(lost)
    assert restored.outgoing.answered
    assert not other.outgoing.behind


def test_a_restored_side_that_is_behind_applies_nothing() -> None:
    world = World()
    copy = world.ends[0].store
    run(world, [(World.say, 0), (World.say, 0)])
    world.heal()
    world.ends[0].restore(copy)
    world.say(1)
    for _ in range(4):
        world.ends[1].receive(world.ends[0].send())
        world.ends[0].receive(world.ends[1].send())
    assert world.ends[0].outgoing.behind
    assert world.ends[0].store.heard == ()
    assert len(world.ends[1].store.outstanding) == 1


def test_a_body_is_one_the_protocol_knows() -> None:
    said: Body = words(AURORA.ledger, 1)
    assert decode_body(encode_body(said)) == said
