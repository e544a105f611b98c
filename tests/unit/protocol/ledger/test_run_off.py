"""A partnership ends when nothing is open; each ledger sees that by itself, and nothing begins after it."""

import msgspec
import pytest

from protocol.agreement import agreement_digest
from protocol.entries import ConversionRefused
from protocol.errors import Code
from protocol.identifiers import Alias, Ledger, Network
from protocol.ledger import commands, names
from protocol.ledger.run_off import open_matters
from protocol.ledger.run_off_commands import EndPartner
from protocol.ledger.state import OUT, PARTNERS, PartnerRecord
from protocol.run_off_entries import PartnerEnded
from protocol.statement import CheckpointReference
from tests.support.departing import departed, end_partner, settled_pair
from tests.support.documents import COPPER, agreement, digest, hex_16, signed_agreement, uuid
from tests.support.keys import resume, suspend
from tests.support.ledger import (
    MemoryLedger,
    Pair,
    add_partner,
    convert,
    give_notice,
    new_ledger,
    order,
    pair_of,
    receive,
    refused,
    replay,
    rows_of,
)
from tests.support.windows import agree, agreed, checkpoint, close_both, dispute, disputed, money, take


@pytest.fixture
def pair() -> Pair:
    """Return two ledgers that have settled, each of which has suspended the other."""
    found = settled_pair()
    suspend(found.source, found.destination.name)
    suspend(found.destination, found.source.name)
    return found


def record(ledger: MemoryLedger, partner: Ledger) -> PartnerRecord:
    found = ledger.state.get(PARTNERS, partner)
    assert found is not None
    return found


def matters(ledger: MemoryLedger, partner: MemoryLedger) -> list[str]:
    return [each.matter.value for each in open_matters(ledger.state, partner.name, at=ledger.wall)]


def test_both_ledgers_end_and_write_off_what_nobody_can_pay(pair: Pair) -> None:
    source, destination = pair.source, pair.destination
    assert (money(source, "due", destination), money(destination, "due", source)) == (5_001, -5_001)
    cost, income = money(source, "conversion_cost", destination), money(destination, "conversion_income", source)
    ended = end_partner(source, destination).entry
    assert isinstance(ended, PartnerEnded)
    assert ended.statement == agreed(source, destination, 1).digest
    assert record(source, destination.name).ended_seq == ended.seq
    other = end_partner(destination, source)
    assert (money(source, "due", destination), money(destination, "due", source)) == (0, 0)
    assert money(source, "conversion_cost", destination) == cost + 5_001
    assert money(destination, "conversion_income", source) == income - 5_001
    assert end_partner(destination, source) == other
    for ledger in (source, destination):
        assert rows_of(replay(ledger)) == rows_of(ledger.state)


def test_partners_who_have_settled_nothing_can_part() -> None:
    pair = pair_of()
    suspend(pair.source, pair.destination.name)
    ended = end_partner(pair.source, pair.destination).entry
    assert isinstance(ended, PartnerEnded)
    assert (ended.statement, ended.postings) == (None, ())


def test_a_partner_of_whose_log_nothing_was_seen_can_be_ended() -> None:
    ledger = new_ledger()
    add_partner(ledger, COPPER)
    ledger.execute(ending(ledger, COPPER.ledger, None))
    assert record(ledger, COPPER.ledger).ended_seq is not None


def ending(ledger: MemoryLedger, partner: Ledger, theirs: CheckpointReference | None) -> EndPartner:
    return EndPartner(
        id=names.partner_ended_id(partner),
        partner=partner,
        reason="contract_over",
        checkpoint=checkpoint(ledger),
        partner_checkpoint=theirs,
    )


def test_partner_busy_while_the_agreement_binds() -> None:
    pair = settled_pair()
    source, destination = pair.source, pair.destination
    assert matters(source, destination) == ["agreement"]
    with refused(Code.PARTNER_BUSY, source):
        end_partner(source, destination)
    give_notice(source, pair.signed)
    assert matters(source, destination) == ["agreement"]
    source.advance(days=60)
    assert matters(source, destination) == []
    end_partner(source, destination)


def test_partner_busy_while_an_order_waits() -> None:
    pair = settled_pair()
    source, destination = pair.source, pair.destination
    asked = order(source, destination.name, pair.sender, 400, name="late")
    suspend(source, destination.name)
    assert matters(source, destination) == ["conversions", "payment"]
    with refused(Code.PARTNER_BUSY, source):
        end_partner(source, destination)
    destination.advance(days=1)
    receive(source, destination.body(receive(destination, source.body(asked))))
    source.wall = destination.wall
    end_partner(source, destination)


def test_partner_busy_until_all_is_billed_and_paid() -> None:
    pair = settled_pair()
    source, destination = pair.source, pair.destination
    convert(source, destination, pair.sender, 400, name="late")
    for ledger, partner in ((source, destination), (destination, source)):
        suspend(ledger, partner.name)
        assert matters(ledger, partner) == ["window"]
    close_both(source, destination, 2)
    agree(source, destination, 2)
    for ledger, partner in ((source, destination), (destination, source)):
        assert matters(ledger, partner) == ["payment"]
        with refused(Code.PARTNER_BUSY, ledger):
            end_partner(ledger, partner)


def test_partner_busy_while_a_line_is_in_dispute() -> None:
    pair = settled_pair()
    source, destination = pair.source, pair.destination
    convert(source, destination, pair.sender, 400, name="late")
    close_both(source, destination, 2)
    take(
        destination,
        source.body(dispute(source, destination, disputed(source, destination, OUT, 2), source=source.name)),
    )
    agree(source, destination, 2)
    suspend(source, destination.name)
    assert "disputes" in matters(source, destination)
    with refused(Code.PARTNER_BUSY, source):
        end_partner(source, destination)


def test_windows_in_which_nothing_was_converted_hold_nobody_up(pair: Pair) -> None:
    close_both(pair.source, pair.destination, 2)
    end_partner(pair.source, pair.destination)
    end_partner(pair.destination, pair.source)


def test_partner_ended_for_everything_new(pair: Pair) -> None:
    source, destination = pair.source, pair.destination
    end_partner(source, destination)
    with refused(Code.PARTNER_ENDED, source):
        resume(source, destination.name)
    with refused(Code.PARTNER_ENDED, source):
        suspend(source, destination.name, name="again")
    with refused(Code.PARTNER_ENDED, source):
        order(source, destination.name, pair.sender, 400, name="later")
    alias = Alias(hex_16("later"))
    with refused(Code.PARTNER_ENDED, source):
        source.execute(commands.IssueLink(id=uuid("link"), account=pair.sender, partner=destination.name, alias=alias))
    with refused(Code.PARTNER_ENDED, source):
        close_both(source, destination, 2)
    with refused(Code.PARTNER_ENDED, source):
        give_notice(source, pair.signed)
    with refused(Code.PARTNER_ENDED, source):
        source.execute(msgspec.structs.replace(ending(source, destination.name, checkpoint(destination)), id=uuid("x")))


def test_an_order_of_a_partner_that_has_ended_is_refused_for_ever() -> None:
    pair = settled_pair()
    source, destination = pair.source, pair.destination
    suspend(destination, source.name)
    end_partner(destination, source)
    refusal = receive(destination, source.body(order(source, destination.name, pair.sender, 400, name="late")))
    assert isinstance(refusal.entry, ConversionRefused)
    assert refusal.entry.reason == Code.PARTNER_ENDED
    receive(source, destination.body(refusal))


def told(pair: Pair) -> PartnerEnded:
    """Return what the source writes, taken from another ledger that came to the same."""
    copy = settled_pair()
    suspend(copy.source, copy.destination.name)
    suspend(copy.destination, copy.source.name)
    entry = end_partner(copy.source, copy.destination).entry
    assert isinstance(entry, PartnerEnded)
    assert rows_of(pair.source.state)["balances"]
    return entry


def test_partner_mismatch_where_the_end_is_of_another_network(pair: Pair) -> None:
    with refused(Code.PARTNER_MISMATCH, pair.source):
        pair.source.judge(msgspec.structs.replace(told(pair), network=Network(hex_16("another"))))


def test_partner_unknown_where_a_stranger_is_ended() -> None:
    ledger = new_ledger()
    with refused(Code.PARTNER_UNKNOWN, ledger):
        ledger.execute(ending(ledger, COPPER.ledger, None))


def test_statement_mismatch_where_the_last_statement_is_another(pair: Pair) -> None:
    for statement in (None, digest("another")):
        with refused(Code.STATEMENT_MISMATCH, pair.source):
            pair.source.judge(msgspec.structs.replace(told(pair), statement=statement))


def test_statement_mismatch_where_a_root_is_of_another_log_or_time(pair: Pair) -> None:
    source = pair.source
    entry = told(pair)
    ours, theirs = entry.checkpoint, entry.partner_checkpoint
    assert theirs is not None
    foreign = msgspec.structs.replace(ours, origin=COPPER.ledger)
    later = msgspec.structs.replace(theirs, origin=Ledger("bluebird.example/main.2"))
    for wrong in (
        {"checkpoint": foreign},
        {"checkpoint": msgspec.structs.replace(ours, size=source.head.size + 1)},
        {"checkpoint": msgspec.structs.replace(ours, size=1)},
        {"partner_checkpoint": msgspec.structs.replace(theirs, origin=COPPER.ledger)},
        {"partner_checkpoint": later},
        {"partner_checkpoint": msgspec.structs.replace(theirs, size=1)},
        {"partner_checkpoint": None},
    ):
        with refused(Code.STATEMENT_MISMATCH, source):
            source.judge(msgspec.structs.replace(entry, **wrong))


def test_postings_invalid_where_the_rest_stays_or_is_written_off_elsewhere(pair: Pair) -> None:
    entry = told(pair)
    for postings in ((), entry.postings[::-1]):
        with refused(Code.POSTINGS_INVALID, pair.source):
            pair.source.judge(msgspec.structs.replace(entry, postings=postings))


def test_partner_ended_for_new_terms(pair: Pair) -> None:
    end_partner(pair.source, pair.destination)
    terms = agreement(number=2, supersedes=agreement_digest(pair.signed.agreement))
    digest_of = agreement_digest(terms)
    with refused(Code.PARTNER_ENDED, pair.source):
        pair.source.execute(commands.EnterAgreement(id=names.agreement_id(digest_of), signed=signed_agreement(terms)))


def test_an_audit_of_both_logs_accepts_the_end() -> None:
    pair = departed()
    for ledger in (pair.source, pair.destination):
        assert rows_of(replay(ledger)) == rows_of(ledger.state)
