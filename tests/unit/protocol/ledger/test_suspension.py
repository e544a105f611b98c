"""A suspended partner: nothing new begins, what has begun ends, and nobody's points are lost or given twice."""

import msgspec
import pytest

from protocol.agreement import agreement_digest
from protocol.entries import ConversionCaptured, ConversionCredited, ConversionRefused, ConversionReleased
from protocol.errors import Code
from protocol.identifiers import Alias, Network
from protocol.ledger import commands, names
from protocol.ledger.state import PARTNERS
from protocol.messages import Fulfil, Reject
from tests.support.documents import BLUEBIRD, COPPER, agreement, hex_16, signed_agreement, uuid
from tests.support.history import examples
from tests.support.keys import resume, suspend
from tests.support.ledger import (
    Pair,
    ask_cancel,
    give_notice,
    open_holder,
    order,
    pair_of,
    receive,
    refused,
    replay,
    rows_of,
)


@pytest.fixture
def pair() -> Pair:
    return pair_of()


def test_partner_suspended_when_an_order_comes_after(pair: Pair) -> None:
    source, destination = pair.source, pair.destination
    suspend(source, destination.name)
    with refused(Code.PARTNER_SUSPENDED, source):
        order(source, destination.name, pair.sender, 400, name="late")
    resume(source, destination.name)
    order(source, destination.name, pair.sender, 400, name="late")
    assert rows_of(replay(source)) == rows_of(source.state)


def test_a_prepare_that_comes_after_is_refused_for_ever(pair: Pair) -> None:
    source, destination = pair.source, pair.destination
    prepare = source.body(order(source, destination.name, pair.sender, 400))
    suspend(destination, source.name)
    decided = receive(destination, prepare)
    assert isinstance(decided.entry, ConversionRefused)
    assert decided.entry.reason == "partner_suspended"
    resume(destination, source.name)
    assert receive(destination, prepare) == decided
    concluded = receive(source, destination.body(decided))
    assert isinstance(concluded.entry, ConversionReleased)


def test_what_has_begun_ends_at_the_source_as_its_partner_decides(pair: Pair) -> None:
    source, destination = pair.source, pair.destination
    names_of = ("credited", "cancelled")
    orders = {name: order(source, destination.name, pair.sender, 400, name=name) for name in names_of}
    suspend(source, destination.name)
    credited = receive(destination, source.body(orders["credited"]))
    captured = receive(source, destination.body(credited))
    assert isinstance(captured.entry, ConversionCaptured)
    wish = ask_cancel(source, name="cancelled")
    released = receive(source, destination.body(receive(destination, source.body(wish))))
    assert isinstance(released.entry, ConversionReleased)


def test_what_was_decided_stays_decided_at_the_destination(pair: Pair) -> None:
    source, destination = pair.source, pair.destination
    prepare = source.body(order(source, destination.name, pair.sender, 400))
    decided = receive(destination, prepare)
    assert isinstance(decided.entry, ConversionCredited)
    suspend(destination, source.name)
    assert receive(destination, prepare) == decided
    assert isinstance(destination.body(decided), Fulfil)
    assert receive(destination, source.body(ask_cancel(source))) == decided


def test_a_cancel_of_what_never_came_is_answered(pair: Pair) -> None:
    source, destination = pair.source, pair.destination
    order(source, destination.name, pair.sender, 400)
    suspend(destination, source.name)
    tombstone = receive(destination, source.body(ask_cancel(source)))
    assert isinstance(destination.body(tombstone), Reject)


def test_partner_suspended_when_terms_and_links_are_to_begin(pair: Pair) -> None:
    source, partner = pair.source, pair.destination.name
    account = open_holder(source, "dot")
    suspend(source, partner)
    after = agreement(number=2, supersedes=agreement_digest(pair.signed.agreement))
    enter = commands.EnterAgreement(id=names.agreement_id(agreement_digest(after)), signed=signed_agreement(after))
    alias = Alias(hex_16("after"))
    for command in (
        enter,
        commands.IssueLink(id=uuid("issue"), account=account, partner=partner, alias=alias),
        commands.AcceptLink(id=uuid("accept"), account=account, partner=partner, alias=alias),
    ):
        with refused(Code.PARTNER_SUSPENDED, source):
            source.execute(command)
    give_notice(source, pair.signed)


def test_partner_suspended_when_it_is_already(pair: Pair) -> None:
    suspended = suspend(pair.source, BLUEBIRD.ledger)
    record = pair.source.state.get(PARTNERS, BLUEBIRD.ledger)
    assert record is not None
    assert record.suspended_seq == suspended.entry.seq
    with refused(Code.PARTNER_SUSPENDED, pair.source):
        suspend(pair.source, BLUEBIRD.ledger, name="again")


def test_partner_not_suspended_when_it_is_taken_back(pair: Pair) -> None:
    with refused(Code.PARTNER_NOT_SUSPENDED, pair.source):
        resume(pair.source, BLUEBIRD.ledger)


def test_partner_unknown_when_a_stranger_is_suspended(pair: Pair) -> None:
    for act in (suspend, resume):
        with refused(Code.PARTNER_UNKNOWN, pair.source):
            act(pair.source, COPPER.ledger)


def test_partner_mismatch_when_a_suspension_is_of_another_network(pair: Pair) -> None:
    ledger, elsewhere = pair.source, Network(hex_16("elsewhere"))
    for tag in ("partner_suspended", "partner_resumed"):
        draft = msgspec.structs.replace(examples()[tag].entry, partner=BLUEBIRD.ledger, network=elsewhere)
        with refused(Code.PARTNER_MISMATCH, ledger):
            ledger.judge(draft)
