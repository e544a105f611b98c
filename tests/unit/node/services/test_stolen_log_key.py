"""A log key that was stolen, and rotated since: what it signs alone stops its owner no longer than a bare claim."""

from pathlib import Path
from typing import Final

import msgspec
import pytest

from node.ports import WitnessAnswer
from node.services.logs.cosigning import RETRY_SECONDS_MAX, Cosigning, Witnessing
from node.services.logs.publication import Publication
from node.services.partners.suspending import SuspensionRequest, SuspensionService
from protocol.checkpoint import Checkpoint, sign_checkpoint
from protocol.conversion import SourceState
from protocol.errors import Code, Refusal
from protocol.identifiers import Ledger
from protocol.keys import Role, SigningKey
from protocol.merkle import Hash
from protocol.note import Note, format_note, parse_note
from protocol.witness import format_size
from tests.support.documents import AURORA, BLUEBIRD, digest, log_key, uuid
from tests.support.nodes import Alliance, LocalNode, convert
from tests.support.puppet import PUPPET_EPOCH, Puppet
from tests.support.rotating import rotate
from tests.support.settling import context_of
from tests.support.succeeding import copy_of, give, opens, replace, service_of, succeed
from tests.support.witnesses import PlayedWitness, PlayedWitnesses
from tests.unit.node.services.test_cosigning import at_once

OLD: Final = BLUEBIRD.signing_keys[Role.LOG]
NEW: Final = log_key(BLUEBIRD, 1)


def forged(size: int, *later: SigningKey, log: str = BLUEBIRD.ledger) -> str:
    """Return a checkpoint of another history than the node's."""
    checkpoint = Checkpoint(origin=Ledger(log), size=size, root=Hash(bytes.fromhex(digest("another history"))))
    return sign_checkpoint(checkpoint, key=OLD, later=later).decode()


def show(liar: Puppet, note: str) -> None:
    """Show a checkpoint of the node's log as one that the partner holds."""
    liar.hear(liar.node.answer(liar.parcel()))
    stated = liar.acknowledgement()
    assert stated is not None
    liar.node.answer(liar.parcel(acknowledgement=msgspec.structs.replace(stated, checkpoint=note)))


def suspend(node: LocalNode) -> None:
    request = SuspensionRequest(id=uuid("suspend"), partner=AURORA.ledger, reason="claims_untrue")
    SuspensionService(context_of(node), node.exchange).suspend(request).result(20)


def ask_witness(node: LocalNode, name: str, note: str) -> Cosigning:
    """Have the node ask a witness of that name, which says that it has cosigned `note`; return who asks."""
    witness = PlayedWitness(name, (), act=lambda _: WitnessAnswer(status=409, body=format_size(900)))
    witness.shown[node.ledger] = parse_note(note.encode())
    context = context_of(node)
    witnessing = Witnessing(others=(witness.cosigner,), partners=False)
    cosigning = Cosigning(context, Publication(context), PlayedWitnesses(witness), witnessing)
    cosigning.step(at_once)
    return cosigning


@pytest.mark.parametrize("log", [BLUEBIRD.ledger, "bluebird.example/main.7"])
def test_what_the_old_key_signs_alone_stops_its_owner_until_the_partner_is_suspended(three: Alliance, log: str) -> None:
    owner, node, third = three.nodes
    rotate(node)
    owner.stop()
    show(Puppet(AURORA, node), forged(900, log=log))
    assert f"{AURORA.ledger} has seen" in (node.writer.gate.behind or "")
    with pytest.raises(Refusal) as refused:
        give(node, 1, name="refused")
    assert refused.value.code == Code.STORE_BEHIND
    suspend(node)
    assert opens(node, seconds=5)
    conversion = convert(third, node, amount=400)
    three.talk()
    assert third.outgoing(conversion).state is SourceState.CAPTURED
    node.restart()
    show(Puppet(AURORA, node, epoch=PUPPET_EPOCH + 1), forged(900, log=log))
    three.talk()
    give(node, 1, name="after")
    (line,) = (each for each in service_of(node).standing().partners if each.partner == AURORA.ledger)
    assert line.stuck == Code.STORE_BEHIND


def test_what_every_key_of_the_log_has_signed_cannot_be_kept_out(three: Alliance) -> None:
    owner, node, _ = three.nodes
    rotate(node)
    owner.stop()
    show(Puppet(AURORA, node), forged(900, NEW))
    with pytest.raises(Refusal) as refused:
        suspend(node)
    assert refused.value.code == Code.STORE_BEHIND


def test_another_history_from_before_the_rotation_cannot_be_kept_out(three: Alliance) -> None:
    owner, node, _ = three.nodes
    rotate(node)
    owner.stop()
    show(Puppet(AURORA, node), forged(3))
    with pytest.raises(Refusal):
        suspend(node)


def test_an_old_copy_goes_on_after_what_a_partner_holds_that_does_not_know_of_the_rotation(
    three: Alliance, tmp_path: Path
) -> None:
    owner, node, _ = three.nodes
    owner.stop()
    rotate(node)
    copy = copy_of(tmp_path, node)
    give(node, 1, name="lost")
    newest = node.reader.latest_checkpoint()
    assert newest is not None
    note = parse_note(newest.note)
    replace(tmp_path, node, copy)
    node.start()
    three.talk()
    # A witness that does not know the second key has not kept its line.
    show(Puppet(AURORA, node), format_note(Note(note.text, note.signatures[:1])).decode())
    assert node.writer.gate.behind is not None
    assert succeed(node).kind == "genesis"
    assert service_of(node).standing().first_seq == newest.size


def test_a_partner_that_shows_it_as_a_witness_is_kept_out_as_well(node: LocalNode) -> None:
    rotate(node)
    asking = ask_witness(node, AURORA.ledger, forged(900))
    assert node.writer.gate.behind is not None
    suspend(node)
    assert opens(node, seconds=5)
    node.clock.advance(RETRY_SECONDS_MAX)
    asking.step(at_once)
    assert node.writer.gate.is_open
    (view,) = asking.all().witnesses
    assert "is suspended" in (view.last_failure or "")


@pytest.mark.parametrize(("name", "later"), [(AURORA.ledger, (NEW,)), ("w1.example/main.1", ())])
def test_any_other_witness_is_believed(node: LocalNode, name: str, later: tuple[SigningKey, ...]) -> None:
    rotate(node)
    ask_witness(node, name, forged(900, *later))
    with pytest.raises(Refusal) as refused:
        suspend(node)
    assert refused.value.code == Code.STORE_BEHIND


def test_what_one_that_is_kept_out_shows_is_not_named_by_a_successor(three: Alliance, tmp_path: Path) -> None:
    owner, node, third = three.nodes
    rotate(node)
    owner.stop()
    show(Puppet(AURORA, node), forged(900))
    suspend(node)
    copy = copy_of(tmp_path, node)
    convert(third, node, amount=400)
    three.talk()
    end = node.reader.latest_checkpoint()
    assert end is not None
    replace(tmp_path, node, copy)
    node.start()
    three.talk()
    show(Puppet(AURORA, node, epoch=PUPPET_EPOCH + 1), forged(900))
    assert succeed(node, without=[owner]).kind == "genesis"
    assert service_of(node).standing().first_seq == end.size
