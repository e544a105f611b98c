import msgspec
import pytest

from protocol.errors import Code
from protocol.identifiers import Id
from protocol.ledger import names
from protocol.messages import ConversionKey
from tests.support.documents import AURORA, BLUEBIRD, NETWORK, digest, uuid
from tests.support.history import examples, history
from tests.support.ledger import new_ledger, refused

CHOSEN = {
    "account_closed",
    "account_erased",
    "account_opened",
    "action_approved",
    "action_proposed",
    "action_refused",
    "points_adjusted",
    "appeal_decided",
    "appeal_message",
    "appeal_opened",
    "conversion_forced",
    "hold_captured",
    "hold_placed",
    "lines_disputed",
    "payment_confirmed",
    "payment_made",
    "payment_returned",
    "link_accepted",
    "link_issued",
    "points_issued",
    "points_redeemed",
    "points_reversed",
    "account_frozen",
    "account_merged",
    "account_unfrozen",
    "partner_resumed",
    "partner_suspended",
    "points_transferred",
    "program_set",
    "recovery_waived",
    "review_closed",
    "start_overridden",
    "transfer_accepted",
    "transfer_declined",
    "transfer_offered",
}


def test_names_say_what_an_entry_is_about() -> None:
    conversion = uuid("conversion")
    key = ConversionKey(NETWORK, AURORA.ledger, BLUEBIRD.ledger, conversion)
    assert names.genesis_id(AURORA.ledger) == "genesis/aurora.example/main.1"
    assert names.partner_id(BLUEBIRD.ledger) == "partner/bluebird.example/main.1"
    assert names.agreement_id(digest("terms")) == f"agreement/{digest('terms')}"
    assert names.expired_id(conversion) == f"expired/{conversion}"
    assert names.cancel_id(conversion) == f"cancel/{conversion}"
    assert names.conclusion_id(conversion) == f"concluded/{conversion}"
    assert names.decision_id(key) == f"decided/{NETWORK}/aurora.example/main.1/{conversion}"


def test_every_entry_has_the_id_that_its_kind_asks_for() -> None:
    pair = history()
    for ledger in (pair.source, pair.destination):
        for sealed in ledger.sealed:
            assert names.id_of(sealed.entry, ledger=ledger.name) in {None, sealed.entry.id}


@pytest.mark.parametrize("kind", examples())
def test_an_id_is_a_clients_to_choose_for_some_kinds_only(kind: str) -> None:
    entry = examples()[kind].entry
    assert (names.id_of(entry, ledger=AURORA.ledger) is None) == (kind in CHOSEN)


@pytest.mark.parametrize("chosen", ["genesis/bluebird.example/main.1", "concluded/7", "7", "decided/x"])
def test_id_invalid_where_a_client_takes_a_name_of_the_ledgers_own(chosen: str) -> None:
    ledger = new_ledger()
    entry = msgspec.structs.replace(examples()["account_opened"].entry, id=Id(chosen))
    with refused(Code.ID_INVALID, ledger):
        ledger.judge(entry)


def test_id_invalid_where_an_entry_has_not_the_one_id_of_what_it_is_about() -> None:
    ledger = new_ledger(BLUEBIRD)
    entry = msgspec.structs.replace(examples()["partner_added"].entry, id=uuid("partner"))
    with refused(Code.ID_INVALID, ledger):
        ledger.judge(entry)
