import msgspec
import pytest

from protocol.errors import Code
from protocol.identifiers import Ledger
from protocol.ledger import commands, names
from protocol.ledger.state import ACCOUNTS, LEDGER, ONLY, AccountStatus, LedgerRecord
from tests.support.documents import AURORA, COPPER, USD, side, uuid
from tests.support.ledger import (
    MemoryLedger,
    NeedsLedger,
    genesis_of,
    holder,
    issue,
    new_ledger,
    open_holder,
    order,
    pair_of,
    receive,
    refused,
    rows_of,
)


def close(ledger: MemoryLedger, name: str = "ann") -> None:
    ledger.execute(commands.CloseAccount(id=uuid(f"close {name}"), account=holder(name)))


def test_genesis_says_what_the_ledger_is() -> None:
    ledger = new_ledger()
    expected = LedgerRecord(
        ledger=AURORA.ledger,
        points=AURORA.points,
        currencies=(USD,),
        keys=AURORA.keys,
        log=AURORA.ledger,
        next_log_key=genesis_of(AURORA).next_log_key,
    )
    assert ledger.state.get(LEDGER, ONLY) == expected


def test_ledger_missing_before_genesis() -> None:
    ledger = NeedsLedger(AURORA)
    for command in (
        commands.OpenAccount(id=uuid("open"), account=holder("ann")),
        commands.IssuePoints(id=uuid("issue"), account=holder("ann"), amount=1),
    ):
        with refused(Code.LEDGER_MISSING, ledger):
            ledger.execute(command)
    assert rows_of(ledger.state) == {}


def test_ledger_exists_after_genesis() -> None:
    ledger = new_ledger()
    with refused(Code.LEDGER_EXISTS, ledger):
        ledger.execute(genesis_of(COPPER))


@pytest.mark.parametrize("currencies", [("USD", "USD"), ("USD", "AUR")])
def test_assets_invalid_when_two_have_one_code(currencies: tuple[str, ...]) -> None:
    ledger = NeedsLedger(AURORA)
    with refused(Code.ASSETS_INVALID, ledger):
        ledger.execute(msgspec.structs.replace(genesis_of(AURORA), currencies=currencies))


def test_keys_invalid_unless_each_role_has_one_of_its_own() -> None:
    ledger = NeedsLedger(AURORA)
    for keys in ((), AURORA.keys[:3], AURORA.keys[::-1], (AURORA.keys[0],) * 4):
        with refused(Code.KEYS_INVALID, ledger):
            ledger.execute(msgspec.structs.replace(genesis_of(AURORA), keys=keys))


def test_chain_broken_when_a_later_generation_names_none_before() -> None:
    second = Ledger("aurora.example/main.2")
    ledger = NeedsLedger(side(second, "AUR"))
    with refused(Code.CHAIN_BROKEN, ledger):
        ledger.execute(msgspec.structs.replace(genesis_of(AURORA), id=names.genesis_id(second), ledger=second))


def test_an_account_opens_empty() -> None:
    ledger = new_ledger()
    ann = open_holder(ledger, "ann")
    record = ledger.account(ann)
    assert (record.status, record.posted, record.held, record.available) == (AccountStatus.OPEN, 0, 0, 0)
    assert (record.conversions, record.opened_seq) == (0, 1)


def test_account_exists_even_after_it_was_closed() -> None:
    ledger = new_ledger()
    ann = open_holder(ledger, "ann")
    with refused(Code.ACCOUNT_EXISTS, ledger):
        ledger.execute(commands.OpenAccount(id=uuid("again"), account=ann))
    close(ledger)
    with refused(Code.ACCOUNT_EXISTS, ledger):
        ledger.execute(commands.OpenAccount(id=uuid("again"), account=ann))


def test_account_unknown_for_whoever_never_opened_one() -> None:
    ledger = new_ledger()
    with refused(Code.ACCOUNT_UNKNOWN, ledger):
        close(ledger)
    with refused(Code.ACCOUNT_UNKNOWN, ledger):
        issue(ledger, holder("ann"), 5)
    assert ledger.state.get(ACCOUNTS, holder("ann")) is None


def test_account_closed_takes_no_further_part() -> None:
    ledger = new_ledger()
    ann, bob = open_holder(ledger, "ann"), open_holder(ledger, "bob", points=5)
    close(ledger)
    with refused(Code.ACCOUNT_CLOSED, ledger):
        ledger.execute(commands.CloseAccount(id=uuid("again"), account=ann))
    with refused(Code.ACCOUNT_CLOSED, ledger):
        issue(ledger, ann, 5)
    with refused(Code.ACCOUNT_CLOSED, ledger):
        ledger.execute(commands.TransferPoints(id=uuid("transfer"), source=bob, destination=ann, amount=5))
    with refused(Code.ACCOUNT_CLOSED, ledger):
        ledger.execute(commands.PlaceHold(id=uuid("hold"), account=ann, amount=5))


def test_account_not_empty_while_there_are_points_even_held_ones() -> None:
    ledger = new_ledger()
    ann = open_holder(ledger, "ann", points=5)
    with refused(Code.ACCOUNT_NOT_EMPTY, ledger):
        close(ledger)
    ledger.execute(commands.PlaceHold(id=uuid("hold"), account=ann, amount=5))
    with refused(Code.ACCOUNT_NOT_EMPTY, ledger):
        close(ledger)
    ledger.execute(commands.CaptureHold(id=uuid("capture"), hold=uuid("hold"), amount=None, final=True))
    close(ledger)
    assert ledger.account(ann).status is AccountStatus.CLOSED


def test_account_busy_until_its_conversion_is_decided() -> None:
    pair = pair_of(points=400)
    held = order(pair.source, pair.destination.name, pair.sender, 400)
    with refused(Code.ACCOUNT_BUSY, pair.source):
        close(pair.source)
    decided = receive(pair.destination, pair.source.body(held))
    with refused(Code.ACCOUNT_BUSY, pair.source):
        close(pair.source)
    receive(pair.source, pair.destination.body(decided))
    close(pair.source)
    assert pair.source.account(pair.sender).status is AccountStatus.CLOSED
