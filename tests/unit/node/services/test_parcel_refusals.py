"""Parcels that are not what they should be: refused, and nothing has changed, in the store or in memory."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

import pytest

from node.engine.writer import Busy
from node.services.channel.exchange import PeerUnknown
from protocol.checkpoint import Checkpoint, sign_checkpoint
from protocol.encoding import ZERO_DIGEST
from protocol.envelope import Acknowledgement, Fence
from protocol.errors import (
    BodyInvalid,
    CheckpointInvalid,
    EnvelopeInvalid,
    NoteInvalid,
    SignatureInvalid,
    TallystickError,
)
from protocol.identifiers import Ledger
from protocol.keys import Role
from protocol.limits import INTEGER_MAX, PARCEL_BYTES_MAX
from protocol.merkle import EMPTY_ROOT, Hash
from protocol.messages import encode_body
from tests.support.documents import AURORA, BLUEBIRD, COPPER, Side, hello, hex_16, prepare
from tests.support.nodes import LocalNode
from tests.support.puppet import PUPPET_EPOCH, Puppet
from tests.unit.node.services.words import asked, taken_in

Parcels = Callable[[Puppet], bytes]


def checkpoint(size: int, *, side: Side = AURORA, role: Role = Role.LOG, root: bytes = bytes(32)) -> str:
    stated = Checkpoint(origin=side.ledger, size=size, root=Hash(root) if size else EMPTY_ROOT)
    return sign_checkpoint(stated, key=side.signing_keys[role]).decode()


PARCELS: Final[dict[str, tuple[type[TallystickError], Parcels]]] = {
    "no json": (EnvelopeInvalid, lambda _: b"parcel"),
    "not canonical": (EnvelopeInvalid, lambda puppet: puppet.parcel() + b" "),
    "cut": (EnvelopeInvalid, lambda puppet: puppet.parcel()[:-2]),
    "too long": (EnvelopeInvalid, lambda _: bytes(PARCEL_BYTES_MAX + 1)),
    "another receiver": (EnvelopeInvalid, lambda puppet: puppet.parcel(receiver=COPPER.ledger)),
    "another network": (EnvelopeInvalid, lambda puppet: puppet.parcel(network=hex_16("other"))),
    "another root": (EnvelopeInvalid, lambda puppet: puppet.parcel(root=ZERO_DIGEST)),
    "another count": (EnvelopeInvalid, lambda puppet: puppet.parcel(count=9)),
    "numbered past the end": (EnvelopeInvalid, lambda puppet: puppet.parcel_of(INTEGER_MAX, [encode_body(prepare())])),
    "an unknown sender": (PeerUnknown, lambda puppet: puppet.parcel(sender=Ledger("dew.example/main.1"))),
    "the receiver as sender": (PeerUnknown, lambda puppet: puppet.parcel(sender=BLUEBIRD.ledger)),
    "another brand as sender": (PeerUnknown, lambda puppet: puppet.parcel(sender=COPPER.ledger)),
    "another brand's key": (SignatureInvalid, lambda puppet: puppet.parcel(key=COPPER.signing_keys[Role.CHANNEL])),
    "a key of another role": (SignatureInvalid, lambda puppet: puppet.parcel(key=AURORA.signing_keys[Role.LOG])),
    "a body that is none": (
        BodyInvalid,
        lambda puppet: puppet.parcel_of(puppet.outgoing.end_seq, [b"{}", encode_body(prepare())]),
    ),
    "no hello": (
        EnvelopeInvalid,
        lambda puppet: puppet.parcel_of(0, [encode_body(prepare())], epoch=200),
    ),
    "a hello of another epoch": (
        EnvelopeInvalid,
        lambda puppet: puppet.parcel_of(0, [encode_body(hello(epoch=199))], epoch=200),
    ),
    "a hello in the middle": (
        EnvelopeInvalid,
        lambda puppet: puppet.parcel_of(puppet.outgoing.end_seq, [encode_body(hello(epoch=PUPPET_EPOCH))]),
    ),
    "a checkpoint that is no note": (NoteInvalid, lambda puppet: puppet.parcel(checkpoint="nothing")),
    "a checkpoint by another role": (
        SignatureInvalid,
        lambda puppet: puppet.parcel(checkpoint=checkpoint(5, role=Role.WITNESS)),
    ),
    "a checkpoint of another log": (
        CheckpointInvalid,
        lambda puppet: puppet.parcel(checkpoint=checkpoint(5, side=COPPER)),
    ),
    "the last epoch passed": (
        EnvelopeInvalid,
        lambda puppet: puppet.parcel(
            acknowledgement=Acknowledgement(
                epoch=INTEGER_MAX,
                epoch_nonce=hex_16("last"),
                next_seq=1,
                bodies=0,
                fence=Fence(epoch=0, next_seq=0, bodies=0, last_body=None),
            )
        ),
    ),
    "nearly the last epoch passed": (
        EnvelopeInvalid,
        lambda puppet: puppet.parcel(
            acknowledgement=Acknowledgement(
                epoch=INTEGER_MAX - 1,
                epoch_nonce=hex_16("last"),
                next_seq=1,
                bodies=0,
                fence=Fence(epoch=0, next_seq=0, bodies=0, last_body=None),
            )
        ),
    ),
}


@pytest.mark.parametrize("what", PARCELS)
def test_a_wrong_parcel_changes_nothing(node: LocalNode, puppet: Puppet, what: str) -> None:
    expected, made = PARCELS[what]
    puppet.say(asked(node))
    # There is something in it to be acknowledged, and something to be decided.
    puppet.offer(asked(node, name="another"))
    parcel = made(puppet)
    rows, memory = node.rows(), remembered(node)
    with pytest.raises(expected):
        taken_in(node, parcel)
    assert node.rows() == rows
    assert remembered(node) == memory
    puppet.say()
    assert len(puppet.heard) == 2


def remembered(node: LocalNode) -> object:
    peer = node.exchange.peer(AURORA.ledger)
    return replace(peer.outgoing, frames=dict(peer.outgoing.frames)), peer.framed_number, peer.acknowledge_at


class TestCheckpoints:
    """What a node keeps of the checkpoints that its partner's envelopes carry."""

    def test_each_size_is_kept_once_whenever_it_is_shown(self, node: LocalNode, puppet: Puppet) -> None:
        # A smaller one may be of another history than the larger one that came before it.
        for size in (5, 4, 5, 7, 6, 4):
            puppet.checkpoint = checkpoint(size)
            puppet.say()
        assert [kept.size for kept in node.reader.partner_checkpoints()] == [5, 4, 7, 6]

    def test_another_root_at_the_same_size_is_kept_as_evidence(self, node: LocalNode, puppet: Puppet) -> None:
        for root in (bytes(32), bytes(31) + b"1"):
            puppet.checkpoint = checkpoint(5, root=root)
            puppet.say()
        kept = [each.note.decode() for each in node.reader.partner_checkpoints()]
        assert kept == [checkpoint(5), checkpoint(5, root=bytes(31) + b"1")]


class TestBusy:
    def test_a_full_queue_changes_nothing(
        self, node: LocalNode, puppet: Puppet, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        puppet.offer(asked(node))
        with monkeypatch.context() as patched:
            patched.setattr(node.writer, "submit", refuse)
            with pytest.raises(Busy):
                node.answer(puppet.parcel())
        assert len(puppet.say()) == 1


def refuse(_work: object) -> None:
    raise Busy("on purpose")
