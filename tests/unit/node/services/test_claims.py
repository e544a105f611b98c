"""A partner claims words that we never said, and shows nothing: its suspension keeps it out, and nobody else waits."""

from pathlib import Path

import msgspec
import pytest

from node.services.partners.suspending import SuspensionRequest, SuspensionService
from protocol.conversion import SourceState
from protocol.errors import Code, Refusal
from protocol.ledger.commands import OverrideStart
from tests.support.documents import AURORA, uuid
from tests.support.nodes import Alliance, LocalNode, convert
from tests.support.puppet import Puppet
from tests.support.settling import context_of
from tests.support.succeeding import copy_of, give, opens, replace, service_of, succeed
from tests.unit.node.services.words import asked, gained

CLAIM = f"{AURORA.ledger} has applied words that the store does not have"


def claim(liar: Puppet) -> None:
    """Say with the channel key that one word more was applied than the node has ever said."""
    liar.hear(liar.node.answer(liar.parcel()))
    stated = liar.acknowledgement()
    assert stated is not None
    fence = msgspec.structs.replace(stated.fence, bodies=stated.fence.bodies + 1)
    liar.node.answer(liar.parcel(acknowledgement=msgspec.structs.replace(stated, bodies=fence.bodies, fence=fence)))


def request_of(name: str) -> SuspensionRequest:
    return SuspensionRequest(id=uuid(name), partner=AURORA.ledger, reason="claims_untrue")


def suspend(node: LocalNode, name: str = "suspend") -> None:
    SuspensionService(context_of(node), node.exchange).suspend(request_of(name)).result(20)


def resume(node: LocalNode) -> None:
    SuspensionService(context_of(node), node.exchange).resume(request_of("resume")).result(20)


def kept_out(node: LocalNode) -> Puppet:
    """Return a partner that has claimed such words, and was suspended."""
    liar = Puppet(AURORA, node)
    claim(liar)
    suspend(node)
    assert opens(node, seconds=5)
    return liar


def code_of_writing(node: LocalNode, name: str) -> str | None:
    """Return the code by which an entry is refused now, or None where it is made."""
    try:
        give(node, 1, name=name)
    except Refusal as refusal:
        return refusal.code
    return None


def stuck(node: LocalNode) -> str | None:
    """Return what an operator is told about AURORA."""
    (line,) = (each for each in service_of(node).standing().partners if each.partner == AURORA.ledger)
    return line.stuck


def test_a_claim_of_words_that_were_never_said_stops_the_node_until_its_maker_is_suspended(three: Alliance) -> None:
    owner, node, third = three.nodes
    owner.stop()
    claim(Puppet(AURORA, node))
    # A store that has forgotten what it said could not tell this from a lie.
    assert (node.writer.gate.behind, stuck(node)) == (CLAIM, None)
    assert code_of_writing(node, "refused") == Code.STORE_BEHIND
    suspend(node)
    assert opens(node, seconds=5)
    assert (code_of_writing(node, "after"), stuck(node)) == (None, Code.STORE_BEHIND)
    conversion = convert(third, node, amount=400)
    three.talk()
    assert third.outgoing(conversion).state is SourceState.CAPTURED


def test_nothing_of_the_stream_of_one_that_is_kept_out_is_applied(node: LocalNode) -> None:
    liar = kept_out(node)
    assert liar.say(asked(node)) == []
    node.restart()
    # It claims the same again, and its suspension is on record.
    again = Puppet(AURORA, node, epoch=liar.outgoing.epoch + 1)
    claim(again)
    assert again.say(asked(node)) == []
    assert (gained(node), code_of_writing(node, "after")) == (0, None)
    assert stuck(node) == Code.STORE_BEHIND


def test_one_that_is_taken_back_and_claims_it_still_stops_the_node_again(node: LocalNode) -> None:
    liar = kept_out(node)
    resume(node)
    claim(liar)
    assert node.writer.gate.behind == CLAIM
    # The request of before, come again, suspends nobody.
    suspend(node)
    assert not opens(node, seconds=0.2)
    suspend(node, "anew")
    assert opens(node, seconds=5)


def test_the_suspension_of_another_partner_opens_nothing(node: LocalNode) -> None:
    claim(Puppet(AURORA, node))
    node.writer.gate.claimed_behind(node.ledger, "somebody else claims it too")
    suspend(node)
    assert not opens(node, seconds=0.2)
    assert node.writer.gate.behind == "somebody else claims it too"
    with pytest.raises(Refusal) as refused:
        suspend(node, "again")
    assert refused.value.code == Code.STORE_BEHIND


def test_who_shows_a_checkpoint_of_ours_beyond_the_store_is_no_liar_and_cannot_be_kept_out(
    two: Alliance, tmp_path: Path
) -> None:
    source, destination = two.pair
    two.talk()
    copy = copy_of(tmp_path, destination)
    two.talk()
    convert(source, destination, amount=400)
    two.talk()
    replace(tmp_path, destination, copy)
    destination.start()
    two.talk()
    with pytest.raises(Refusal) as refused:
        suspend(destination)
    assert refused.value.code == Code.STORE_BEHIND
    assert succeed(destination).kind == "genesis"


def test_an_operator_may_go_on_without_one_that_is_silent_beside_a_claim(three: Alliance) -> None:
    owner, node, third = three.nodes
    three.talk()
    for gone in (owner, third):
        gone.stop()
    node.restart()
    claim(Puppet(AURORA, node))
    node.writer.gate.close([third.ledger])
    with pytest.raises(Refusal) as refused:
        suspend(node)
    assert refused.value.code == Code.START_UNANSWERED
    gate = node.writer.gate
    gate.check(OverrideStart(id=uuid("start"), partners=(third.ledger,), reason="partner_gone"))
    gate.answered(third.ledger)
    suspend(node, "now")
    assert opens(node, seconds=5)
