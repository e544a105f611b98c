"""Links: limited in time and use, cooled off, revoked by either side, and recovered with the words of a gap."""

import msgspec
import pytest

from protocol.documents import LinkLimits
from protocol.entries import ConversionHeld, ConversionRefused, Sealed
from protocol.errors import Code, Refusal
from protocol.fields import later
from protocol.ledger import names
from protocol.ledger.links import apply_revoked, check_accepted
from protocol.ledger.program_commands import SetProgram
from protocol.ledger.state import ACCEPTED_LINKS, ISSUED_LINKS
from protocol.member_entries import LinkRevoked, unlink_received
from protocol.program import LinkTerms, ProgramTerms
from tests.support.documents import AURORA, BLUEBIRD, COPPER, NOW, digest, entry_reference, hex_16, uuid
from tests.support.leaving import ERASED, REVOKED, link_within, revoke, take_unlink, told_by
from tests.support.ledger import (
    MemoryLedger,
    Pair,
    convert,
    open_holder,
    order,
    pair_of,
    receive,
    refused,
    replay,
    rows_of,
)
from tests.support.recovering import check, entry_of, opened, size_of, words_of
from tests.support.succession import recover

STEPS = 400
GIVES = 250
"""What the example agreement gives for `STEPS` points."""


def limited(limits: LinkLimits | None) -> Pair:
    """Return a pair whose only member that counts is linked within limits."""
    pair = pair_of()
    sender, receiver = open_holder(pair.source, "cid", points=10_000), open_holder(pair.destination, "dot")
    alias = link_within(pair.source, pair.destination, sender=sender, receiver=receiver, limits=limits)
    return Pair(
        source=pair.source,
        destination=pair.destination,
        sender=sender,
        receiver=receiver,
        alias=alias,
        signed=pair.signed,
    )


def decided(pair: Pair, name: str) -> Sealed:
    held = order(pair.source, BLUEBIRD.ledger, pair.sender, STEPS, name=name)
    return receive(pair.destination, pair.source.body(held))


def reason_of(sealed: Sealed) -> str:
    assert isinstance(sealed.entry, ConversionRefused)
    return sealed.entry.reason


@pytest.mark.parametrize("limits", [LinkLimits(conversions=2), LinkLimits(points=2 * GIVES + 1)])
def test_link_exhausted_when_it_was_used_as_often_or_for_as_much_as_it_may_be(limits: LinkLimits) -> None:
    pair = limited(limits)
    for name in ("one", "two"):
        assert not isinstance(decided(pair, name).entry, ConversionRefused)
    assert reason_of(decided(pair, "three")) == Code.LINK_EXHAUSTED
    for ledger in (pair.source, pair.destination):
        assert rows_of(replay(ledger)) == rows_of(ledger.state)


def test_link_unknown_where_an_order_names_another_alias() -> None:
    pair = limited(None)
    held = order(pair.source, BLUEBIRD.ledger, pair.sender, STEPS).entry
    assert isinstance(held, ConversionHeld)
    check_accepted(pair.source.state, held)
    with refused(Code.LINK_UNKNOWN, pair.source):
        check_accepted(pair.source.state, msgspec.structs.replace(held, alias=hex_16("another")))


def test_a_link_without_limits_keeps_no_count() -> None:
    pair = limited(LinkLimits())
    decided(pair, "one")
    link = pair.destination.state.get(ISSUED_LINKS, (AURORA.ledger, pair.alias))
    assert link is not None
    assert (link.conversions_left, link.points_left, link.until) == (None, None, None)
    assert b'"limits"' not in pair.source.sealed[-2].data


def test_link_expired_after_its_time_on_each_side() -> None:
    pair = limited(LinkLimits(until=later(NOW, seconds=7_200)))
    last = order(pair.source, BLUEBIRD.ledger, pair.sender, STEPS, name="last", accept_by=later(NOW, seconds=80_000))
    pair.source.wall = pair.destination.wall = later(NOW, seconds=7_300)
    with refused(Code.LINK_EXPIRED, pair.source):
        order(pair.source, BLUEBIRD.ledger, pair.sender, STEPS, name="late")
    assert reason_of(receive(pair.destination, pair.source.body(last))) == Code.LINK_EXPIRED
    # What has ended makes room for another link of the same account.
    link_within(pair.source, pair.destination, sender=pair.sender, receiver=pair.receiver, limits=None)
    assert not isinstance(decided(pair, "again").entry, ConversionRefused)


def test_a_malformed_end_is_refused() -> None:
    with pytest.raises(Refusal) as caught:
        limited(LinkLimits(until="tomorrow"))
    assert caught.value.code == Code.DATE_INVALID


def test_link_cooling_off_holds_a_large_conversion_up() -> None:
    pair = limited(None)
    terms = ProgramTerms(links=LinkTerms(cooling_off_hours=24, large_from=STEPS + 1))
    pair.source.execute(SetProgram(id=uuid("terms"), terms=terms, reason="start"))
    order(pair.source, BLUEBIRD.ledger, pair.sender, STEPS, name="small")
    with refused(Code.LINK_COOLING_OFF, pair.source):
        order(pair.source, BLUEBIRD.ledger, pair.sender, 2 * STEPS, name="large")
    with pytest.raises(Refusal) as caught:
        order(pair.source, BLUEBIRD.ledger, pair.sender, 2 * STEPS, name="large")
    link = pair.source.state.get(ACCEPTED_LINKS, (pair.sender, BLUEBIRD.ledger))
    assert link is not None
    assert later(link.accepted_at, seconds=86_400) in caught.value.detail
    pair.source.wall = later(link.accepted_at, seconds=86_400)
    order(pair.source, BLUEBIRD.ledger, pair.sender, 2 * STEPS, name="large")


@pytest.mark.parametrize("by", [AURORA.ledger, BLUEBIRD.ledger])
def test_either_side_ends_a_link_and_tells_the_other(by: str) -> None:
    pair = limited(None)
    first, second = pair.source, pair.destination
    account, partner, other = pair.sender, BLUEBIRD.ledger, second
    if by == BLUEBIRD.ledger:
        first, second = second, first
        account, partner, other = pair.receiver, AURORA.ledger, second
    ended = revoke(first, account, partner, pair.alias, issuer=BLUEBIRD.ledger)
    taken = take_unlink(other, told_by(first, ended))
    assert isinstance(taken.entry, LinkRevoked)
    assert (taken.entry.by, taken.entry.reason, taken.entry.partner_entry) == (by, REVOKED, ended.reference)
    accepted = pair.source.state.get(ACCEPTED_LINKS, (pair.sender, BLUEBIRD.ledger))
    issued = pair.destination.state.get(ISSUED_LINKS, (AURORA.ledger, pair.alias))
    assert accepted is not None and accepted.revoked_seq is not None  # noqa: PT018
    assert issued is not None and issued.revoked_seq is not None  # noqa: PT018
    with refused(Code.LINK_REVOKED, pair.source):
        order(pair.source, BLUEBIRD.ledger, pair.sender, STEPS)
    for ledger in (pair.source, pair.destination):
        assert rows_of(replay(ledger)) == rows_of(ledger.state)


def test_link_revoked_for_what_is_under_way_where_the_link_has_ended() -> None:
    pair = limited(None)
    held = order(pair.source, BLUEBIRD.ledger, pair.sender, STEPS)
    revoke(pair.destination, pair.receiver, AURORA.ledger, pair.alias, issuer=BLUEBIRD.ledger)
    assert reason_of(receive(pair.destination, pair.source.body(held))) == Code.LINK_REVOKED


def test_a_link_is_revoked_once_and_forgotten_afterwards_too() -> None:
    pair = limited(None)
    ended = revoke(pair.source, pair.sender, BLUEBIRD.ledger, pair.alias, issuer=BLUEBIRD.ledger)
    again = names.unlinked_id(BLUEBIRD.ledger, pair.alias, by=AURORA.ledger, reason=REVOKED)
    assert isinstance(ended.entry, LinkRevoked)
    twice = msgspec.structs.replace(ended.entry, id=again)
    with refused(Code.LINK_REVOKED, pair.source):
        apply_to(pair.source, twice)
    forgotten = revoke(pair.source, pair.sender, BLUEBIRD.ledger, pair.alias, issuer=BLUEBIRD.ledger, reason=ERASED)
    take_unlink(pair.destination, told_by(pair.source, ended))
    take_unlink(pair.destination, told_by(pair.source, forgotten))
    link = pair.destination.state.get(ISSUED_LINKS, (AURORA.ledger, pair.alias))
    assert link is not None
    assert link.revoked_seq == pair.destination.sealed[-2].entry.seq


def apply_to(ledger: MemoryLedger, entry: LinkRevoked) -> None:
    """Judge an entry and take back what it changed: a rule alone is asked."""
    mark = ledger.state.savepoint()
    try:
        apply_revoked(ledger.state, entry)
    finally:
        ledger.state.rollback(mark)


def test_an_old_alias_ends_without_the_new_one() -> None:
    pair = limited(None)
    revoke(pair.source, pair.sender, BLUEBIRD.ledger, pair.alias, issuer=BLUEBIRD.ledger)
    alias = link_within(pair.source, pair.destination, sender=pair.sender, receiver=pair.receiver, limits=None)
    ended = revoke(pair.destination, pair.receiver, AURORA.ledger, pair.alias, issuer=BLUEBIRD.ledger)
    take_unlink(pair.source, told_by(pair.destination, ended))
    link = pair.source.state.get(ACCEPTED_LINKS, (pair.sender, BLUEBIRD.ledger))
    assert link is not None
    assert (link.alias, link.revoked_seq) == (alias, None)


def test_nobody_ends_a_link_that_is_not_there_or_not_its_own() -> None:
    pair = limited(None)
    other = open_holder(pair.source, "other")
    with refused(Code.LINK_UNKNOWN, pair.source):
        revoke(pair.source, other, BLUEBIRD.ledger, pair.alias, issuer=BLUEBIRD.ledger)
    with refused(Code.LINK_UNKNOWN, pair.source):
        revoke(pair.source, pair.sender, BLUEBIRD.ledger, pair.alias, issuer=AURORA.ledger)
    with refused(Code.PARTNER_UNKNOWN, pair.source):
        revoke(pair.source, pair.sender, COPPER.ledger, pair.alias, issuer=COPPER.ledger)
    with refused(Code.PARTNER_MISMATCH, pair.source):
        revoke(pair.source, pair.sender, BLUEBIRD.ledger, pair.alias, issuer=COPPER.ledger)
    never = link_within(pair.destination, pair.source, sender=pair.receiver, receiver=pair.sender, limits=None)
    ended = revoke(pair.source, pair.sender, BLUEBIRD.ledger, never, issuer=AURORA.ledger)
    strange = msgspec.structs.replace(told_by(pair.source, ended), alias=hex_16("nobody's"))
    with refused(Code.LINK_UNKNOWN, pair.destination):
        take_unlink(pair.destination, strange)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"network": "0" * 32}, Code.PARTNER_MISMATCH),
        ({"by": COPPER.ledger}, Code.PARTNER_MISMATCH),
        ({"revoked_at": NOW}, Code.DECISION_MISMATCH),
        ({"notice": digest("x")}, Code.DECISION_MISMATCH),
        ({"partner_entry": entry_reference()}, Code.DECISION_MISMATCH),
        ({"by": BLUEBIRD.ledger}, Code.DECISION_MISMATCH),
        ({"by": BLUEBIRD.ledger, "notice": digest("x"), "partner_entry": entry_reference()}, Code.DECISION_MISMATCH),
    ],
)
def test_an_entry_that_ends_a_link_says_who_did_and_cites_it(changes: dict[str, object], code: Code) -> None:
    pair = limited(None)
    ended = revoke(pair.source, pair.sender, BLUEBIRD.ledger, pair.alias, issuer=BLUEBIRD.ledger).entry
    assert isinstance(ended, LinkRevoked)
    with refused(code, pair.source):
        apply_to(pair.source, msgspec.structs.replace(ended, **changes))


def test_only_a_partners_word_is_one_that_was_received() -> None:
    pair = limited(None)
    ended = revoke(pair.source, pair.sender, BLUEBIRD.ledger, pair.alias, issuer=BLUEBIRD.ledger).entry
    assert isinstance(ended, LinkRevoked)
    assert unlink_received(ended, ledger=AURORA.ledger) is None
    strange = msgspec.structs.replace(ended, partner_entry=entry_reference())
    assert unlink_received(strange, ledger=AURORA.ledger) is None


def test_refunds_need_a_link_that_is_not_revoked_and_use_none() -> None:
    pair = limited(None)
    convert(pair.source, pair.destination, pair.sender, STEPS, name="there")
    back = link_within(
        pair.destination, pair.source, sender=pair.receiver, receiver=pair.sender, limits=LinkLimits(conversions=1)
    )
    held = order(pair.destination, AURORA.ledger, pair.receiver, GIVES, name="back", refund_of="there")
    assert not isinstance(receive(pair.source, pair.destination.body(held)).entry, ConversionRefused)
    link = pair.source.state.get(ISSUED_LINKS, (BLUEBIRD.ledger, back))
    assert link is not None
    assert link.conversions_left == 1


@pytest.mark.parametrize("with_link", [False, True])
@pytest.mark.parametrize("side", ["source", "destination"])
def test_the_word_of_an_end_stands_again_after_a_gap(side: str, *, with_link: bool) -> None:
    pair = pair_of()
    sender, receiver = open_holder(pair.source, "cid", points=10), open_holder(pair.destination, "dot")
    lost, partner = (pair.source, pair.destination) if side == "source" else (pair.destination, pair.source)
    size = size_of(lost)
    alias = link_within(pair.source, pair.destination, sender=sender, receiver=receiver, limits=None)
    size = size if with_link else size_of(lost)
    account = sender if side == "source" else receiver
    ended = revoke(lost, account, partner.name, alias, issuer=BLUEBIRD.ledger)
    take_unlink(partner, told_by(lost, ended))
    ledger = opened(lost, size, partner)
    (word,) = words_of(lost, size, partner)
    recover(ledger, partner, word)
    entry = entry_of(ledger)
    assert entry.id == names.unlinked_id(BLUEBIRD.ledger, alias, by=lost.name, reason=REVOKED)
    link = (
        ledger.state.get(ACCEPTED_LINKS, (sender, BLUEBIRD.ledger))
        if side == "source"
        else ledger.state.get(ISSUED_LINKS, (AURORA.ledger, alias))
    )
    assert (link is None) is with_link
    assert link is None or link.revoked_seq == entry.seq
    check(ledger)


def test_a_credit_of_a_gap_counts_as_a_use() -> None:
    pair = limited(LinkLimits(conversions=1))
    size = size_of(pair.destination)
    convert(pair.source, pair.destination, pair.sender, 2 * STEPS, name="lost")
    ledger = opened(pair.destination, size, pair.source)
    for word in words_of(pair.destination, size, pair.source):
        recover(ledger, pair.source, word)
    link = ledger.state.get(ISSUED_LINKS, (AURORA.ledger, pair.alias))
    assert link is not None
    assert link.conversions_left == 0
    check(ledger)
