import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final, get_args

import msgspec
import pytest

from protocol import conversion, points
from protocol.agreement import SignedAgreement
from protocol.entries import AccountOpened, AnyEntry, ConversionRefused, Genesis, Sealed
from protocol.errors import Code, Refusal
from protocol.fields import days_later
from protocol.identifiers import Account, Id
from protocol.ledger import commands, rules
from protocol.ledger.moment import Moment
from protocol.ledger.state import HEAD, IDS, LEDGER, ONLY, PROGRAM, TABLES, Head, IdRecord
from protocol.ledger.view import Need, NotLoaded, Overlay, need
from protocol.program import ProgramTerms, ZoneOffset
from tests.support.documents import AURORA, BLUEBIRD, COPPER, NOW, Side, digest, prepare, signed_agreement, uuid
from tests.support.governing import govern
from tests.support.history import examples, history
from tests.support.ledger import (
    MemoryLedger,
    NeedsLedger,
    add_partner,
    command_of,
    genesis_of,
    holder,
    new_ledger,
    open_holder,
    refused,
    replay,
    rows_of,
)

ANN = holder("ann")
LEDGER_FOLDER: Final = Path(rules.__file__).parent


def opening(*, name: str = "ann", request: str | None = None, id_of: str = "open ann") -> commands.OpenAccount:
    return commands.OpenAccount(id=uuid(id_of), request=digest(request) if request else None, account=holder(name))


def test_a_repeated_command_gets_the_answer_of_the_first() -> None:
    ledger = new_ledger()
    first = ledger.execute(opening(request="open ann"))
    ledger.execute(opening(name="bob", id_of="open bob"))
    size = ledger.head.size
    assert ledger.execute(opening(request="open ann")) is first
    assert ledger.head.size == size
    assert ledger.state.get(IDS, uuid("open ann")) == IdRecord(seq=1, request=digest("open ann"))


def test_id_reused_for_another_request_even_of_another_kind() -> None:
    ledger = new_ledger()
    ledger.execute(opening(request="open ann"))
    with refused(Code.ID_REUSED, ledger):
        ledger.execute(opening(name="bob", request="open bob"))
    with refused(Code.ID_REUSED, ledger):
        ledger.execute(opening())
    with refused(Code.ID_REUSED, ledger):
        ledger.execute(commands.IssuePoints(id=uuid("open ann"), request=digest("issue"), account=ANN, amount=5))


def test_id_reused_in_a_log() -> None:
    ledger = new_ledger()
    sealed = ledger.execute(opening())
    with refused(Code.ID_REUSED, ledger):
        ledger.judge(sealed.entry)


def test_a_refusal_is_not_remembered() -> None:
    ledger = new_ledger()
    command = commands.IssuePoints(id=uuid("issue"), request=digest("issue"), account=ANN, amount=5)
    with refused(Code.ACCOUNT_UNKNOWN, ledger):
        ledger.execute(command)
    open_holder(ledger, "ann")
    ledger.execute(command)
    assert ledger.account(ANN).posted == 5


def test_ledger_missing_when_a_log_begins_with_anything_but_genesis() -> None:
    ledger = MemoryLedger(AURORA)
    with refused(Code.LEDGER_MISSING, ledger):
        ledger.judge(examples()["account_opened"].entry)


@pytest.mark.parametrize(
    "change",
    [
        {"seq": 0},
        {"seq": 2},
        {"prev": digest("another")},
        {"prev": "0" * 64},
        {"time": NOW},
        {"time": "0001-01-01T00:00:00.000000Z"},
    ],
)
def test_chain_broken_unless_an_entry_follows_the_one_before(change: dict[str, object]) -> None:
    ledger = new_ledger()
    draft = AccountOpened(id=uuid("open"), request=None, occurred_on="0001-01-01", account=ANN)
    entry = msgspec.structs.replace(ledger.stamped(draft).entry, **change)
    mark = ledger.state.savepoint()
    with pytest.raises(Refusal) as caught:
        rules.apply(ledger.state, Sealed(entry, b"", digest("leaf")))
    assert caught.value.code == Code.CHAIN_BROKEN
    assert ledger.state.savepoint() == mark


@pytest.mark.parametrize("governed", [True, False])
def test_the_day_of_a_placed_entry_is_held_against_the_terms_of_the_program(governed: bool) -> None:
    ledger = new_ledger()
    if governed:
        govern(ledger, ProgramTerms(time_zone="America/Lima", offsets=(ZoneOffset(starts_at=NOW, seconds=-18_000),)))
    before = ledger.state.get(HEAD, ONLY)
    assert before is not None
    tomorrow = days_later(before.time[:10], days=1)
    sealed = ledger.stamped(AccountOpened(id=uuid("open"), request=None, occurred_on=tomorrow, account=ANN))
    rules.check_placed(sealed.entry, before, ledger=ledger.name)
    if governed:
        with pytest.raises(Refusal) as caught:
            rules.apply_placed(ledger.state, sealed)
        assert caught.value.code == Code.DATE_INVALID
        return
    rules.apply_placed(ledger.state, sealed)
    assert ledger.state.get(HEAD, ONLY) == before
    rules.move_head(ledger.state, sealed)
    assert ledger.state.get(HEAD, ONLY) == rules.head_after(sealed.entry, sealed.leaf)


def test_chain_broken_by_a_genesis_that_follows_something() -> None:
    ledger = MemoryLedger(AURORA)
    entry = msgspec.structs.replace(examples()["genesis"].entry, prev=digest("before"))
    assert isinstance(entry, Genesis)
    with pytest.raises(Refusal) as caught:
        rules.apply(ledger.state, Sealed(entry, b"", digest("leaf")))
    assert caught.value.code == Code.CHAIN_BROKEN


def test_the_head_is_the_last_entry() -> None:
    ledger = new_ledger()
    sealed = ledger.execute(opening())
    assert ledger.state.get(HEAD, ONLY) == Head(size=2, leaf=sealed.leaf, time=sealed.entry.time)
    assert [one.entry.seq for one in ledger.sealed] == [0, 1]
    assert ledger.sealed[1].entry.prev == ledger.sealed[0].leaf


def test_every_entry_kind_and_every_command_has_its_rules() -> None:
    judged = {kind for kind in get_args(AnyEntry) if kind in rules._APPLY}
    assert {kind.__name__ for kind in set(get_args(AnyEntry)) - judged} == {"ConversionHeld", "PaymentMade"}
    assert set(rules._DECIDE) == set(get_args(commands.AnyCommand))
    assert set(rules._NEEDS) == set(get_args(commands.AnyCommand)) - {commands.CreateLedger}


def test_a_replay_of_the_bytes_leads_to_the_same_rows() -> None:
    pair = history()
    for ledger in (pair.source, pair.destination):
        assert rows_of(replay(ledger)) == rows_of(ledger.state)


def test_every_table_has_rows_after_a_full_life() -> None:
    pair = history()
    found = rows_of(pair.source.state).keys() | rows_of(pair.destination.state).keys()
    assert found == {table.name for table in TABLES}


def test_only_a_prepare_is_refused_by_an_entry() -> None:
    moment, refusal = Moment(time=NOW, today=NOW[:10]), Refusal(Code.EXPIRED, "late")
    assert rules.refusal_entry(opening(), refusal, moment) is None
    entry = rules.refusal_entry(command_of(prepare()), refusal, moment)
    assert isinstance(entry, ConversionRefused)
    assert entry.reason == Code.EXPIRED


def too_large() -> SignedAgreement:
    signed = signed_agreement()
    keys = signed.agreement.parties[0].keys * 400
    parties = (msgspec.structs.replace(signed.agreement.parties[0], keys=keys), signed.agreement.parties[1])
    return msgspec.structs.replace(signed, agreement=msgspec.structs.replace(signed.agreement, parties=parties))


@pytest.mark.parametrize(
    ("brand", "signed", "code"),
    [(COPPER, signed_agreement(), Code.AGREEMENT_INVALID), (AURORA, too_large(), Code.ENTRY_TOO_LARGE)],
)
def test_an_agreement_that_cannot_be_read_is_refused_without_naming_a_row(
    brand: Side, signed: SignedAgreement, code: Code
) -> None:
    ledger = new_ledger(brand)
    add_partner(ledger, BLUEBIRD)
    command = commands.EnterAgreement(id=Id(f"agreement/{digest('x')}"), signed=signed)
    view = Overlay(complete=False)
    view.load(LEDGER, ONLY, ledger.state.get(LEDGER, ONLY))
    assert len(list(rules.needs(view, command))) == 4
    with refused(code, ledger):
        ledger.execute(command)


def test_needs_come_first_for_head_ledger_terms_and_id() -> None:
    view = Overlay(complete=False)
    named = list(rules.needs(view, opening()))
    assert named == [need(HEAD, ONLY), need(LEDGER, ONLY), need(PROGRAM, ONLY), need(IDS, uuid("open ann"))]


def test_a_row_that_is_not_named_fails_loudly() -> None:
    class Forgetful(NeedsLedger):
        def _open(self, command: commands.AnyCommand) -> Overlay:
            view = super()._open(command)
            view._loaded_books.clear()
            return view

    ledger = Forgetful(AURORA)
    ledger.execute(genesis_of(AURORA))
    open_holder(ledger, "ann", points=5)
    with pytest.raises(NotLoaded):
        ledger.execute(commands.RedeemPoints(id=uuid("redeem"), account=ANN, amount=1))


def test_a_batch_sees_its_own_effects_through_rows_that_were_loaded_before_it() -> None:
    ledger = new_ledger()
    batch: list[commands.AnyCommand] = [
        opening(),
        commands.IssuePoints(id=uuid("issue"), account=ANN, amount=10),
        commands.PlaceHold(id=uuid("hold"), account=ANN, amount=4),
        commands.CaptureHold(id=uuid("capture"), hold=uuid("hold"), amount=1, final=False),
        commands.ReleaseHold(id=uuid("release"), hold=uuid("hold")),
        commands.RedeemPoints(id=uuid("redeem"), account=ANN, amount=9),
    ]
    view = Overlay(complete=False)
    for command in batch:
        for one in rules.needs(view, command):
            load(view, one, ledger.state)
    for command in batch:
        for one in rules.needs(view, command):
            assert view.is_loaded(one)
    loaded = MemoryLedger(AURORA)
    loaded.state, loaded.sealed = view, list(ledger.sealed)
    for command in batch:
        loaded.execute(command)
    assert loaded.account(ANN).posted == 0


def load(view: Overlay, wanted: Need, store: Overlay) -> None:
    table, key = wanted
    if table is None:
        account = Account(str(key))
        view.load_book(account, store.lots(account))
    else:
        view.load(table, key, store.get(table, key))


def test_holders_of_an_entry_are_named_once() -> None:
    pair = history()
    ann, cid = pair.sender, holder("cid")
    found = {}
    for sealed in pair.source.sealed:
        found[sealed.entry.id] = rules.holders_of(pair.source.state, sealed.entry)
    assert found[uuid("transfer")] == (ann, cid)
    assert found[uuid("redeem")] == found[uuid("hold capture")] == found[uuid("capture")] == (ann,)
    assert found[uuid("release")] == found[Id(f"expired/{uuid('hold expire')}")] == (ann,)
    assert found[uuid("credited")] == found[Id(f"concluded/{uuid('credited')}")] == (ann,)
    assert found[Id(f"cancel/{uuid('cancelled')}")] == found[Id(f"concluded/{uuid('late')}")] == (ann,)
    assert found[Id(f"genesis/{AURORA.ledger}")] == found[Id(f"partner/{BLUEBIRD.ledger}")] == ()
    assert found[uuid("open cid")] == (cid,)
    for sealed in pair.destination.sealed:
        if sealed.entry.id.startswith("decided/"):
            credited = hasattr(sealed.entry, "postings")
            assert rules.holders_of(pair.destination.state, sealed.entry) == ((pair.receiver,) if credited else ())


def test_holders_of_an_entry_about_something_unknown_are_none() -> None:
    empty = Overlay(complete=True)
    for kind in ("hold_released", "conversion_released", "conversion_cancel_requested"):
        assert rules.holders_of(empty, examples()[kind].entry) == ()


def codes_raised() -> Iterator[str]:
    """Yield the codes that the sources of the ledger's rules name."""
    for path in (*sorted(LEDGER_FOLDER.glob("*.py")), Path(points.__file__), Path(conversion.__file__)):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "Code":
                yield Code[node.attr].value


def test_every_code_of_the_ledger_has_a_test_named_after_it() -> None:
    named = [
        node.name
        for path in sorted(Path(__file__).parent.glob("test_*.py"))
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef)
    ]
    missing = [code for code in sorted(set(codes_raised())) if not any(f"_{code}_" in f"_{name}_" for name in named)]
    assert missing == []
