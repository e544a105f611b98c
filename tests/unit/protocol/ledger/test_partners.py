from collections.abc import Callable
from dataclasses import replace

import msgspec
import pytest

from protocol.agreement import Agreement, InFlightLimits, MemberLimits, SignedAgreement, agreement_digest
from protocol.entries import AgreementEntered
from protocol.errors import Code
from protocol.identifiers import Alias, Asset, Ledger, Network
from protocol.ledger import commands, names
from protocol.ledger.state import (
    ACCEPTED_LINKS,
    AGREEMENTS,
    ALIASES,
    CURRENT,
    ISSUED_LINKS,
    PARTNERS,
    AcceptedLink,
    AliasRecord,
    CurrentAgreement,
    IssuedLink,
    PartnerRecord,
)
from protocol.points import Step
from tests.support.documents import (
    ALIAS,
    AURORA,
    BACK,
    BLUEBIRD,
    COPPER,
    NETWORK,
    USD,
    Side,
    agreement,
    direction,
    hex_16,
    promotion,
    side,
    signed_agreement,
    uuid,
)
from tests.support.history import examples
from tests.support.ledger import MemoryLedger, add_partner, enter, genesis_of, holder, new_ledger, open_holder, refused

FUTURE = "2026-04-01T00:00:00.000000Z"


def with_partner() -> MemoryLedger:
    ledger = new_ledger()
    add_partner(ledger, BLUEBIRD)
    return ledger


def entered_at(ledger: MemoryLedger, document: Agreement) -> str | None:
    record = ledger.state.get(AGREEMENTS, agreement_digest(document))
    assert record is not None
    return record.superseded_at


def test_a_partner_is_known_by_its_keys() -> None:
    ledger = with_partner()
    expected = PartnerRecord(
        network=NETWORK, points=BLUEBIRD.points, keys=BLUEBIRD.keys, added_seq=1, log=BLUEBIRD.ledger
    )
    assert ledger.state.get(PARTNERS, BLUEBIRD.ledger) == expected


def test_partner_exists_already() -> None:
    ledger = with_partner()
    entry = msgspec.structs.replace(examples()["partner_added"].entry, ledger=BLUEBIRD.ledger, id=uuid("x"))
    with refused(Code.PARTNER_EXISTS, ledger):
        ledger.judge(entry)


def test_partner_mismatch_when_a_ledger_would_be_its_own() -> None:
    ledger = new_ledger()
    for name in (AURORA.ledger, Ledger("aurora.example/main.2")):
        with refused(Code.PARTNER_MISMATCH, ledger):
            add_partner(ledger, side(name, "OWN"))
    add_partner(ledger, side("aurora.example/west.1", "OWN"))


def test_keys_invalid_of_a_partner() -> None:
    ledger = new_ledger()
    command = commands.AddPartner(
        id=names.partner_id(BLUEBIRD.ledger), network=NETWORK, ledger=BLUEBIRD.ledger, points=BLUEBIRD.points, keys=()
    )
    with refused(Code.KEYS_INVALID, ledger):
        ledger.execute(command)


def test_partner_unknown_when_an_agreement_or_a_link_names_it() -> None:
    ledger = new_ledger()
    ann = open_holder(ledger, "ann")
    with refused(Code.PARTNER_UNKNOWN, ledger):
        enter(ledger, signed_agreement())
    with refused(Code.PARTNER_UNKNOWN, ledger):
        ledger.execute(commands.IssueLink(id=uuid("link"), account=ann, partner=BLUEBIRD.ledger, alias=ALIAS))
    with refused(Code.PARTNER_UNKNOWN, ledger):
        ledger.execute(commands.AcceptLink(id=uuid("link"), account=ann, partner=BLUEBIRD.ledger, alias=ALIAS))


def test_an_agreement_binds_once_both_have_signed() -> None:
    ledger = with_partner()
    document = agreement()
    sealed = enter(ledger, signed_agreement(document))
    record = ledger.state.get(AGREEMENTS, agreement_digest(document))
    assert record is not None
    assert (record.partner, record.entered_at, record.entered_seq) == (BLUEBIRD.ledger, sealed.entry.time, 2)
    current = ledger.state.get(CURRENT, BLUEBIRD.ledger)
    assert current == CurrentAgreement(digest=agreement_digest(document), number=1)
    assert entered_at(ledger, document) is None


def swapped(signed: SignedAgreement) -> SignedAgreement:
    return msgspec.structs.replace(signed, signatures=signed.signatures[::-1])


def forged(signed: SignedAgreement) -> SignedAgreement:
    ours, theirs = signed.signatures
    false = msgspec.structs.replace(theirs, signature=ours.signature)
    return msgspec.structs.replace(signed, signatures=(ours, false))


def inconsistent(signed: SignedAgreement) -> SignedAgreement:
    document = msgspec.structs.replace(signed.agreement, parties=signed.agreement.parties[::-1])
    return msgspec.structs.replace(signed, agreement=document)


def unreadable(signed: SignedAgreement) -> SignedAgreement:
    ours, theirs = signed.signatures
    return msgspec.structs.replace(signed, signatures=(ours, msgspec.structs.replace(theirs, signature="?" * 88)))


@pytest.mark.parametrize("change", [swapped, forged, inconsistent, unreadable])
def test_agreement_invalid_unless_both_signed_a_consistent_document(
    change: Callable[[SignedAgreement], SignedAgreement],
) -> None:
    ledger = with_partner()
    with refused(Code.AGREEMENT_INVALID, ledger):
        enter(ledger, change(signed_agreement()))


def test_agreement_invalid_when_one_signature_is_missing() -> None:
    ledger = with_partner()
    for signer in (AURORA, BLUEBIRD):
        with refused(Code.AGREEMENT_INVALID, ledger):
            enter(ledger, signed_agreement(signers=[signer]))


def test_agreement_invalid_between_others() -> None:
    ledger = new_ledger(COPPER)
    add_partner(ledger, AURORA)
    add_partner(ledger, BLUEBIRD)
    with refused(Code.AGREEMENT_INVALID, ledger):
        enter(ledger, signed_agreement())


def with_keys_of(one: Side, other: Side) -> Side:
    return replace(one, signing_keys=other.signing_keys)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (replace(AURORA, points=Asset("AUX")), BLUEBIRD),
        (AURORA, replace(BLUEBIRD, points=Asset("BLX"))),
        (with_keys_of(AURORA, COPPER), BLUEBIRD),
        (AURORA, with_keys_of(BLUEBIRD, COPPER)),
    ],
)
def test_partner_mismatch_when_an_agreement_names_other_points_or_keys(first: Side, second: Side) -> None:
    ledger = with_partner()
    signed = signed_agreement(agreement(first, second), signers=[first, second])
    with refused(Code.PARTNER_MISMATCH, ledger):
        enter(ledger, signed)


def test_partner_mismatch_when_an_agreement_is_of_another_network() -> None:
    ledger = with_partner()
    with refused(Code.PARTNER_MISMATCH, ledger):
        enter(ledger, signed_agreement(agreement(network=Network(hex_16("another network")))))


def test_assets_invalid_when_this_ledger_has_no_such_currency() -> None:
    ledger = with_partner()
    with refused(Code.ASSETS_INVALID, ledger):
        enter(ledger, signed_agreement(agreement(currency=Asset("EUR"))))


def test_assets_invalid_when_the_next_agreement_changes_the_currency() -> None:
    euros = Asset("EUR")
    ledger = MemoryLedger(AURORA)
    ledger.execute(msgspec.structs.replace(genesis_of(AURORA), currencies=(USD, euros)))
    add_partner(ledger, BLUEBIRD)
    first = agreement()
    enter(ledger, signed_agreement(first))
    with refused(Code.ASSETS_INVALID, ledger):
        enter(ledger, signed_agreement(agreement(number=2, supersedes=agreement_digest(first), currency=euros)))


def test_agreement_lapsed_before_it_was_entered() -> None:
    ledger = with_partner()
    with refused(Code.AGREEMENT_LAPSED, ledger):
        enter(ledger, signed_agreement(agreement(valid_until=ledger.wall)))


def test_an_agreement_may_set_every_limit_and_promise_promotions() -> None:
    ledger = with_partner()
    limits = MemberLimits(out_points_per_day=1, out_points_per_year=2, in_points_per_day=3, in_points_per_year=4)
    flight = InFlightLimits(conversions=1, value=1)
    there = direction(cap=1, in_flight=flight, member_limits=limits, promotions=(promotion(),))
    enter(ledger, signed_agreement(agreement(there=there)))


def test_agreement_loop_unless_forced() -> None:
    ledger = with_partner()
    growing = agreement(back=direction(BLUEBIRD, AURORA, step=Step(source=BACK.source, destination=401)))
    with refused(Code.AGREEMENT_LOOP, ledger):
        enter(ledger, signed_agreement(growing))
    enter(ledger, signed_agreement(growing), forced=True)


def test_agreement_exists_already() -> None:
    ledger = with_partner()
    sealed = enter(ledger, signed_agreement())
    assert isinstance(sealed.entry, AgreementEntered)
    with refused(Code.AGREEMENT_EXISTS, ledger):
        ledger.judge(msgspec.structs.replace(sealed.entry, id=uuid("again")))


def test_agreement_exists_that_the_next_one_has_to_follow() -> None:
    ledger = with_partner()
    first = agreement()
    with refused(Code.AGREEMENT_EXISTS, ledger):
        enter(ledger, signed_agreement(agreement(number=2)))
    with refused(Code.AGREEMENT_EXISTS, ledger):
        enter(ledger, signed_agreement(agreement(supersedes=agreement_digest(first))))
    enter(ledger, signed_agreement(first))
    with refused(Code.AGREEMENT_EXISTS, ledger):
        enter(ledger, signed_agreement(agreement(number=2)))
    with refused(Code.AGREEMENT_EXISTS, ledger):
        enter(ledger, signed_agreement(agreement(number=3, supersedes=agreement_digest(first))))


def test_a_superseded_agreement_ends_when_the_next_is_entered() -> None:
    ledger = with_partner()
    first = agreement()
    enter(ledger, signed_agreement(first))
    ledger.advance(days=1)
    second = agreement(number=2, supersedes=agreement_digest(first))
    sealed = enter(ledger, signed_agreement(second))
    assert entered_at(ledger, first) == sealed.entry.time
    assert entered_at(ledger, second) is None


def test_an_agreement_signed_ahead_ends_the_one_before_when_it_begins() -> None:
    ledger = with_partner()
    first = agreement()
    second = agreement(number=2, supersedes=agreement_digest(first), valid_from=FUTURE)
    enter(ledger, signed_agreement(first))
    enter(ledger, signed_agreement(second))
    assert entered_at(ledger, first) == FUTURE
    sooner = "2026-03-15T00:00:00.000000Z"
    third = agreement(number=3, supersedes=agreement_digest(second), valid_from=sooner)
    enter(ledger, signed_agreement(third))
    assert (entered_at(ledger, first), entered_at(ledger, second)) == (sooner, sooner)
    later_still = "2026-05-01T00:00:00.000000Z"
    fourth = agreement(number=4, supersedes=agreement_digest(third), valid_from=later_still)
    enter(ledger, signed_agreement(fourth))
    ends = [entered_at(ledger, document) for document in (first, second, third, fourth)]
    assert ends == [sooner, sooner, later_still, None]


def test_links_connect_accounts_by_alias() -> None:
    ledger = with_partner()
    ann = open_holder(ledger, "ann")
    ledger.execute(commands.IssueLink(id=uuid("issue"), account=ann, partner=BLUEBIRD.ledger, alias=ALIAS))
    ledger.execute(commands.AcceptLink(id=uuid("accept"), account=ann, partner=BLUEBIRD.ledger, alias=ALIAS))
    assert ledger.state.get(ISSUED_LINKS, (BLUEBIRD.ledger, ALIAS)) == IssuedLink(account=ann, issued_seq=3)
    assert ledger.state.get(ACCEPTED_LINKS, (ann, BLUEBIRD.ledger)) == AcceptedLink(
        alias=ALIAS, accepted_seq=4, accepted_at=ledger.sealed[4].entry.time
    )


def test_link_exists_for_an_alias_that_is_taken_or_an_account_that_is_linked() -> None:
    ledger = with_partner()
    ann, bob = open_holder(ledger, "ann"), open_holder(ledger, "bob")
    partner, other = BLUEBIRD.ledger, Alias(hex_16("other"))
    ledger.execute(commands.IssueLink(id=uuid("1"), account=ann, partner=partner, alias=ALIAS))
    ledger.execute(commands.AcceptLink(id=uuid("2"), account=ann, partner=partner, alias=ALIAS))
    with refused(Code.LINK_EXISTS, ledger):
        ledger.execute(commands.IssueLink(id=uuid("3"), account=bob, partner=partner, alias=ALIAS))
    with refused(Code.LINK_EXISTS, ledger):
        ledger.execute(commands.AcceptLink(id=uuid("3"), account=ann, partner=partner, alias=other))
    ledger.execute(commands.IssueLink(id=uuid("3"), account=ann, partner=partner, alias=other))
    with refused(Code.LINK_EXISTS, ledger):
        ledger.execute(commands.AcceptLink(id=uuid("4"), account=bob, partner=partner, alias=ALIAS))
    ledger.execute(commands.AcceptLink(id=uuid("4"), account=bob, partner=partner, alias=other))
    assert ledger.state.get(ALIASES, (partner, ALIAS)) == AliasRecord(account=ann)


def test_account_unknown_for_a_link_of_nobody() -> None:
    ledger = with_partner()
    for kind in (commands.IssueLink, commands.AcceptLink):
        with refused(Code.ACCOUNT_UNKNOWN, ledger):
            ledger.execute(kind(id=uuid("link"), account=holder("ann"), partner=BLUEBIRD.ledger, alias=ALIAS))
