"""A partner played by hand: it signs with a brand's keys, and says whatever a test wants said."""

from collections.abc import Sequence
from typing import Final, Protocol

import msgspec

from protocol.channel import Incoming, Outgoing, check_hello, plan
from protocol.envelope import (
    FIRST_PREVIOUS,
    Acknowledgement,
    Header,
    Parcel,
    decode_parcel,
    encode_parcel,
    frames_root,
    seal_envelope,
    verify_envelope,
)
from protocol.identifiers import Digest, Ledger
from protocol.keys import Role, SigningKey
from protocol.messages import Body, Hello, body_digest, decode_body, encode_body
from tests.support.documents import NETWORK, Side, hex_16


class Speaking(Protocol):
    """A node that answers parcels: one of this process, or one behind a socket."""

    @property
    def ledger(self) -> Ledger:
        """Return the node's ledger."""

    @property
    def side(self) -> Side:
        """Return the brand that the node is run by."""

    def answer(self, parcel: bytes) -> bytes:
        """Return the parcel that answers `parcel`."""


PUPPET_EPOCH: Final = 4_000_000_000_000
"""Nodes count their epochs from the time, in milliseconds: this one is of a century ahead."""


class Puppet:
    """Speaks as `side` with one node, in an epoch far above any that the brand's own node has opened."""

    def __init__(self, side: Side, node: Speaking, *, epoch: int = PUPPET_EPOCH) -> None:
        self.side = side
        self.node = node
        self.incoming = Incoming()
        self.heard: list[Body] = []
        self.checkpoint: str | None = None
        self.said: set[Digest] = set()
        self.open(epoch)

    def open(self, epoch: int) -> None:
        """Open an epoch of this side's stream; its HELLO goes out with the next parcel."""
        nonce = hex_16(f"{self.side.ledger} puppet {epoch}")
        self.outgoing = Outgoing(epoch=epoch, epoch_nonce=nonce, bodies_sent=len(self.said))
        self.offer(
            Hello(
                network=NETWORK,
                sender=self.side.ledger,
                receiver=self.node.ledger,
                epoch=epoch,
                epoch_nonce=nonce,
                bodies_sent=len(self.said),
            )
        )

    def offer(self, *bodies: Body) -> None:
        """Put bodies into the stream, to go out with the next parcel."""
        for body in bodies:
            data = encode_body(body)
            self.outgoing.offer(body_digest(data), data)
            self.said |= set() if isinstance(body, Hello) else {body_digest(data)}

    def greet(self) -> None:
        """Exchange HELLOs, so that both sides have answered the other's."""
        self.say()
        self.say()

    def say(self, *bodies: Body) -> list[Body]:
        """Send bodies in order, and return what the node answers, HELLOs apart."""
        self.offer(*bodies)
        return self.hear(self.node.answer(self.parcel()))

    def hear(self, data: bytes) -> list[Body]:
        """Take in a parcel of the node and return the bodies in it that were due, HELLOs apart."""
        parcel = self.read(data)
        if parcel.header.acknowledgement is not None:
            self.outgoing.acknowledge(parcel.header.acknowledgement, knows=lambda _: True)
        bodies = [decode_body(body) for body in parcel.bodies]
        check_hello(parcel.header, bodies)
        due = plan(self.incoming, parcel.header, bodies)
        self.incoming = due.incoming
        heard = []
        for frame, body in list(zip(parcel.frames, bodies, strict=True))[due.offset :]:
            is_hello = isinstance(body, Hello)
            self.incoming = self.incoming.applied(None if is_hello else frame.body)
            heard += [] if is_hello else [body]
        self.heard += heard
        return heard

    def overhear(self, data: bytes) -> list[Body]:
        """Return the bodies in a parcel of the node, HELLOs apart, and take nothing of it in."""
        bodies = (decode_body(body) for body in self.read(data).bodies)
        return [body for body in bodies if not isinstance(body, Hello)]

    def read(self, data: bytes) -> Parcel:
        """Return a parcel of the node, its signature verified."""
        parcel = decode_parcel(data)
        verify_envelope(parcel.envelope, key=self.node.side.signing_keys[Role.CHANNEL].public)
        return parcel

    def parcel(self, *, key: SigningKey | None = None, **changed: object) -> bytes:
        """Return what this side has to say as it travels, with parts of its header changed before it is signed."""
        first_seq, bodies = self.outgoing.window(bytes_max=10**6)
        return self.parcel_of(first_seq, bodies, key=key, **changed)

    def parcel_of(
        self, first_seq: int, bodies: Sequence[bytes], *, key: SigningKey | None = None, **changed: object
    ) -> bytes:
        """Return any frames of this side's epoch as they travel."""
        header = Header(
            network=NETWORK,
            sender=self.side.ledger,
            receiver=self.node.ledger,
            epoch=self.outgoing.epoch,
            epoch_nonce=self.outgoing.epoch_nonce,
            first_seq=first_seq,
            count=len(bodies),
            previous=FIRST_PREVIOUS,
            acknowledgement=self.acknowledgement(),
            checkpoint=self.checkpoint,
            root=frames_root(first_seq, bodies),
        )
        stated = msgspec.structs.replace(header, **changed)
        return encode_parcel(seal_envelope(stated, key=key or self.side.signing_keys[Role.CHANNEL]), bodies)

    def acknowledgement(self) -> Acknowledgement | None:
        """Return how far the node's stream has been taken in."""
        return self.incoming.acknowledgement()
