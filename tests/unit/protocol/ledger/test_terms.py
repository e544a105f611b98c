import pytest

from protocol.agreement import agreement_digest
from protocol.errors import Code, Refusal
from protocol.fields import later
from protocol.identifiers import Account, Network
from protocol.ledger import terms
from protocol.ledger.state import AgreementRecord
from protocol.limits import ACCEPT_BY_SECONDS_MAX
from tests.support.documents import (
    BLUEBIRD,
    COPPER,
    NETWORK,
    NOW,
    USD,
    agreement,
    hex_16,
    signed_agreement,
)
from tests.support.ledger import add_partner, enter, new_ledger

BEGIN, END = "2026-03-01T00:00:00.000000Z", "2026-06-01T00:00:00.000000Z"
SOONER = "2026-05-01T00:00:00.000000Z"
LIFE_SECONDS = 900


def record(*, superseded_at: str | None = None, valid_until: str | None = None) -> AgreementRecord:
    signed = signed_agreement(agreement(valid_from=BEGIN, valid_until=valid_until, quote_life_seconds=LIFE_SECONDS))
    return AgreementRecord(
        partner=BLUEBIRD.ledger, signed=signed, entered_at=BEGIN, entered_seq=1, superseded_at=superseded_at
    )


def code_of(row: AgreementRecord, at: str, *, grace: bool) -> str | None:
    try:
        terms.check_in_force(row, at=at, grace=grace)
    except Refusal as refusal:
        return refusal.code
    return None


@pytest.mark.parametrize("grace", [False, True])
def test_agreement_not_yet_before_it_begins(grace: bool) -> None:
    assert code_of(record(), later(BEGIN, microseconds=-1), grace=grace) == Code.AGREEMENT_NOT_YET
    assert code_of(record(), BEGIN, grace=grace) is None


@pytest.mark.parametrize("grace", [False, True])
def test_an_agreement_without_an_end_goes_on(grace: bool) -> None:
    assert code_of(record(), "9999-12-31T23:59:59.999999Z", grace=grace) is None


@pytest.mark.parametrize(
    ("row", "end"),
    [
        (record(valid_until=END), END),
        (record(superseded_at=END), END),
        (record(valid_until=END, superseded_at=SOONER), SOONER),
        (record(valid_until=SOONER, superseded_at=END), SOONER),
    ],
)
def test_agreement_lapsed_at_its_first_end_and_with_grace_a_quotes_life_later(row: AgreementRecord, end: str) -> None:
    assert code_of(row, later(end, microseconds=-1), grace=False) is None
    assert code_of(row, end, grace=False) == Code.AGREEMENT_LAPSED
    assert code_of(row, later(end, seconds=LIFE_SECONDS, microseconds=-1), grace=True) is None
    assert code_of(row, later(end, seconds=LIFE_SECONDS), grace=True) == Code.AGREEMENT_LAPSED


def test_agreement_unknown_for_another_partner_or_network() -> None:
    ledger = new_ledger()
    add_partner(ledger, BLUEBIRD)
    enter(ledger, signed_agreement())
    cited = agreement_digest(agreement())
    terms.agreement_record(ledger.state, cited, partner=BLUEBIRD.ledger, network=NETWORK)
    for digest, partner, network in (
        (agreement_digest(agreement(number=2)), BLUEBIRD.ledger, NETWORK),
        (cited, COPPER.ledger, NETWORK),
        (cited, BLUEBIRD.ledger, Network(hex_16("another"))),
    ):
        with pytest.raises(Refusal) as caught:
            terms.agreement_record(ledger.state, digest, partner=partner, network=network)
        assert caught.value.code == Code.AGREEMENT_UNKNOWN


def test_an_order_takes_the_latest_agreement_that_has_begun() -> None:
    ledger = new_ledger()
    add_partner(ledger, BLUEBIRD)
    with pytest.raises(Refusal) as caught:
        terms.agreement_for_order(ledger.state, BLUEBIRD.ledger, at=NOW)
    assert caught.value.code == Code.AGREEMENT_UNKNOWN
    first = agreement(valid_from=BEGIN)
    second = agreement(number=2, supersedes=agreement_digest(first), valid_from=END)
    third = agreement(number=3, supersedes=agreement_digest(second), valid_from=SOONER)
    documents = {"first": first, "second": second, "third": third}
    for document in documents.values():
        enter(ledger, signed_agreement(document))
    names = {agreement_digest(document): name for name, document in documents.items()}
    times = [later(BEGIN, seconds=-1), NOW, later(SOONER, microseconds=-1), SOONER, END]
    chosen = [names[terms.agreement_for_order(ledger.state, BLUEBIRD.ledger, at=at)[0]] for at in times]
    assert chosen == ["first", "first", "first", "third", "third"]


def test_clock_for_a_deadline_that_has_passed_or_lies_too_far_away() -> None:
    last = later(NOW, seconds=ACCEPT_BY_SECONDS_MAX)
    terms.check_deadline(later(NOW, microseconds=1), created_at=NOW)
    terms.check_deadline(last, created_at=NOW)
    for deadline in (NOW, later(NOW, microseconds=-1), later(last, microseconds=1)):
        with pytest.raises(Refusal) as caught:
            terms.check_deadline(deadline, created_at=NOW)
        assert caught.value.code == Code.CLOCK


def test_a_value_of_nothing_posts_nothing() -> None:
    assert terms.money_postings(USD, 0, debit="a", credit="b") == ()
    debit, credit = terms.money_postings(USD, 7, debit="a", credit="b")
    assert (debit.account, debit.amount) == (Account("a"), -7)
    assert (credit.account, credit.amount) == (Account("b"), 7)
