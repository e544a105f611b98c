import msgspec
import pytest

from protocol.errors import Code
from protocol.identifiers import Ledger, successor_of
from protocol.ledger import commands, names
from protocol.ledger.state import PARTNERS, PartnerRecord
from protocol.messages import Predecessor, Succeeded
from tests.support.documents import (
    AURORA,
    BLUEBIRD,
    COPPER,
    digest,
    digest_of_body,
)
from tests.support.ledger import (
    MemoryLedger,
    add_partner,
    new_ledger,
    open_holder,
    refused,
)
from tests.support.recovering import SECOND, THIRD, changed, lost_ledger
from tests.support.succession import (
    begin,
    ledger_of,
    succeed,
    take_succession,
)


def told(before: Predecessor, *, log: Ledger = SECOND, seq: int = 12) -> Succeeded:
    body = ledger_body()
    entry = msgspec.structs.replace(body.entry, seq=seq)
    return msgspec.structs.replace(body, log=log, predecessor=before, entry=entry)


def ledger_body() -> Succeeded:
    ledger = succeed(lost_ledger(), 7)
    body = ledger.body(begin(ledger, BLUEBIRD.ledger))
    assert isinstance(body, Succeeded)
    return body


def partner_of_aurora() -> MemoryLedger:
    ledger = new_ledger(BLUEBIRD)
    add_partner(ledger, AURORA)
    return ledger


def test_a_partner_is_known_by_its_next_log() -> None:
    ledger = partner_of_aurora()
    take_succession(ledger, ledger_body())
    record = ledger.state.get(PARTNERS, AURORA.ledger)
    assert isinstance(record, PartnerRecord)
    assert (record.log, record.log_first_seq) == (SECOND, 9)
    take_succession(ledger, ledger_body())
    assert len(ledger.sealed) == 3
    third = changed(ledger=SECOND, first_seq=9, size=3)
    take_succession(ledger, told(third, log=THIRD, seq=13))
    record = ledger.state.get(PARTNERS, AURORA.ledger)
    assert record is not None
    assert (record.log, record.log_first_seq) == (THIRD, 12)


def test_a_partner_may_have_gone_on_twice_unheard() -> None:
    ledger = partner_of_aurora()
    take_succession(ledger, told(changed(ledger=SECOND, first_seq=9, size=3), log=THIRD, seq=13))
    record = ledger.state.get(PARTNERS, AURORA.ledger)
    assert record is not None
    assert record.log == THIRD
    with refused(Code.SUCCESSION_INVALID, ledger):
        take_succession(ledger, ledger_body())


@pytest.mark.parametrize(
    "body",
    [
        told(changed(), log=THIRD),
        told(changed(ledger=COPPER.ledger), log=successor_of(COPPER.ledger)),
        told(changed(first_seq=1)),
        told(changed(), seq=9),
        told(changed(), seq=3),
    ],
)
def test_succession_invalid_where_a_partners_logs_do_not_follow(body: Succeeded) -> None:
    ledger = partner_of_aurora()
    with refused(Code.SUCCESSION_INVALID, ledger):
        take_succession(ledger, body)


def test_decision_mismatch_where_a_succession_is_not_the_one_that_is_cited() -> None:
    ledger = partner_of_aurora()
    body = ledger_body()
    command = commands.TakeSuccession(
        id=names.succession_id(body.log), request=digest("x"), succeeded=body, digest=digest_of_body(body)
    )
    with refused(Code.DECISION_MISMATCH, ledger):
        ledger.execute(command)


def test_a_partner_goes_on_while_we_wait_for_our_own_words() -> None:
    lost = partner_of_aurora()
    open_holder(lost, "ann")
    ledger = succeed(lost, 2)
    take_succession(ledger, ledger_body())
    assert ledger_of(ledger).recovering == (AURORA.ledger,)
