"""The working papers of two ledgers that converted and settled, counted a second time from the entries."""

import json
from collections import Counter
from functools import cache

import pytest

from protocol.approval_entries import ConversionForcing
from protocol.audit.days import DayBook, day_of
from protocol.audit.findings import Findings
from protocol.audit.log import LogAudit, audit_log
from protocol.audit.open_items import ItemKind, OpenItem
from protocol.audit.papers import Papers, last_day, make_papers
from protocol.audit.reading import LogFiles
from protocol.audit.registers import Register, RegisterBook, RegisterRow
from protocol.audit.report import make_report
from protocol.audit.sample import chosen, sample_receipt, sample_row
from protocol.audit.verify import verify_file
from protocol.errors import ProofInvalid
from protocol.identifiers import Ledger
from protocol.ledger import rules
from protocol.ledger.view import Overlay
from protocol.merkle import leaf_hash, root_of, verify_inclusion
from protocol.points import Step
from tests.support import history
from tests.support.approving import AGENT, MANAGER, adjust, adjustment, want
from tests.support.audits import Alliance, MemorySource, alliance, busy_alliance, files_of, verifier_of
from tests.support.documents import (
    AURORA,
    BLUEBIRD,
    YESTERDAY,
    agreement,
    direction,
    log_key,
    promotion,
    signed_agreement,
    uuid,
)
from tests.support.keys import rotate, take_log_key
from tests.support.ledger import (
    MemoryLedger,
    add_partner,
    convert,
    enter,
    force,
    issue,
    link,
    new_ledger,
    open_holder,
    order,
    pair_of,
)
from tests.support.settled_logs import agreed, paid, reconciled, say, settled_alliance
from tests.support.succession import recovered
from tests.support.successions import all_files, succession
from tests.support.windows import close


def audited(made: Alliance) -> list[LogAudit]:
    return [audit_log(MemorySource(half.files(), half.name)) for half in made.halves]


def papers(made: Alliance, *, as_of: str | None = None, since: str | None = None) -> Papers:
    audits = audited(made)
    return make_papers(make_report(audits), audits, as_of=as_of or last_day(audits), since=since, samples={})


def kinds(items: tuple[OpenItem, ...]) -> Counter[ItemKind]:
    return Counter(item.kind for item in items)


def rows(ledger: MemoryLedger, register: Register) -> list[RegisterRow]:
    """Return one register of a ledger whose every entry the rules accept."""
    view, book = Overlay(complete=True), RegisterBook()
    for sealed in ledger.sealed:
        rules.apply(view, sealed)
        book.add(sealed, view)
    return list(book.of(register, end_seq=ledger.sealed[-1].entry.seq + 1))


@cache
def busy() -> Papers:
    return papers(busy_alliance())


def test_what_waits_is_listed_with_what_it_is_worth_and_explains_what_is_owed() -> None:
    first, second = busy().programmes
    # The source has two conversions without a decision that it has heard of; all completed ones are not billed yet.
    assert kinds(first.open_items) == {ItemKind.PENDING: 2, ItemKind.UNBILLED: 1}
    assert kinds(second.open_items) == {ItemKind.UNBILLED: 1}
    for programme in (first, second):
        assert [position.difference for position in programme.positions] == ["0"]
    (unbilled,) = (item for item in first.open_items if item.kind is ItemKind.UNBILLED)
    assert (unbilled.value, unbilled.currency, unbilled.about) == (
        "-17600000",
        "USD",
        "window 1: 3 conversions, both ways",
    )
    assert unbilled.age_days == 0


def test_the_conversions_of_both_ways_are_counted() -> None:
    there, back = busy().conversions
    assert (there.source, there.completed, there.returned, there.pending) == (AURORA.ledger, 2, 2, 2)
    assert (there.source_points, there.destination_points, there.value) == ("3200", "2000", "20000000")
    assert (back.source, back.completed, back.returned, back.pending) == (BLUEBIRD.ledger, 1, 0, 0)


def test_the_positions_of_a_pair_stand_side_by_side() -> None:
    made = alliance()
    made.converted("one")
    (pair,) = papers(made).pairs
    assert (pair.first_net, pair.second_net) == ("-7500000", "7500000")
    # A decision that the source has not heard of is in the destination's books alone.
    made.decided("two")
    (pair,) = papers(made).pairs
    assert (pair.first_net, pair.second_net) == ("-7500000", "15000000")


STEPS = {
    "reconciled": (reconciled, Counter({ItemKind.UNBILLED: 1})),
    "agreed": (lambda: stepped(agree=True), Counter({ItemKind.UNPAID: 1, ItemKind.DISPUTED: 1})),
    "paid": (lambda: stepped(agree=True, pay=True), Counter({ItemKind.DISPUTED: 1})),
}


def stepped(*, agree: bool, pay: bool = False) -> Alliance:
    made = reconciled()
    if agree:
        agreed(made)
    if pay:
        paid(made)
    return made


@pytest.mark.parametrize("step", STEPS)
def test_a_window_goes_from_unbilled_to_unpaid_to_nothing(step: str) -> None:
    make, expected = STEPS[step]
    found = papers(make())
    for programme in found.programmes:
        assert kinds(programme.open_items) == expected
        assert [position.difference for position in programme.positions] == ["0"]
    values = [sum(int(item.value) for item in programme.open_items) for programme in found.programmes]
    assert values[0] == -values[1]


def test_a_statement_that_was_agreed_later_was_not_there_the_day_before() -> None:
    made = reconciled()
    for half in made.halves:
        half.ledger.advance(days=1)
    agreed(made)
    before, after = "2026-03-01", last_day(audited(made))
    assert before < after
    for day, kind in ((before, ItemKind.UNBILLED), (after, ItemKind.UNPAID)):
        for programme in papers(made, as_of=day).programmes:
            assert kind in kinds(programme.open_items)
            assert [position.difference for position in programme.positions] == ["0"]


def test_money_on_its_way_is_in_no_account_of_the_payer() -> None:
    made = reconciled()
    agreed(made)
    paid(made, heard=False)
    payer, payee = papers(made).programmes
    assert kinds(payer.open_items) == {ItemKind.ON_ITS_WAY: 1, ItemKind.DISPUTED: 1}
    assert kinds(payee.open_items) == {ItemKind.DISPUTED: 1}
    assert [position.difference for position in (*payer.positions, *payee.positions)] == ["0", "0"]


def long_story() -> tuple[MemoryLedger, list[str]]:
    """Return a ledger that issues 5 points a day for four days, and the days."""
    ledger = new_ledger(AURORA)
    ann = open_holder(ledger, "ann")
    days = []
    for _ in range(4):
        issue(ledger, ann, 5)
        days.append(day_of(ledger.sealed[-1].entry.time))
        ledger.advance(seconds=86_400)
    return ledger, days


def test_every_past_day_has_its_figures_and_its_root() -> None:
    ledger, days = long_story()
    entries = [sealed.data for sealed in ledger.sealed]
    audit = audit_log(MemorySource(files_of(AURORA, entries)))
    for number, day in enumerate(days, 1):
        found = make_papers(make_report([audit]), [audit], as_of=day, since=day, samples={})
        (programme,) = found.programmes
        assert programme.size == 2 + number
        assert programme.root == root_of(map(leaf_hash, entries[: programme.size])).hex()
        rolled = programme.roll_forward
        assert (rolled.opening, rolled.issued, rolled.closing, rolled.holders) == (
            str(5 * number - 5),
            "5",
            str(5 * number),
            str(5 * number),
        )
        assert [(each.day, each.points) for each in programme.outstanding] == [
            (each, str(5 * at)) for at, each in enumerate(days[:number], 1)
        ]
        assert {line.account: line.amount for line in programme.trial_balance} == {
            "issuance": str(-5 * number),
            "member/*": str(5 * number),
        }
    before = make_papers(make_report([audit]), [audit], as_of="2020-01-01", samples={})
    assert before.programmes == ()


def test_a_past_log_has_its_own_root() -> None:
    half = succession().ledger
    audit = audit_log(MemorySource(all_files(half)))
    past = audit.replay.past[0]
    assert audit.replay.prefix(2) == (past.ledger, 2, past.tree.root_at(2).hex())
    own = audit.replay.ledger
    assert own is not None
    assert audit.replay.prefix(audit.replay.end_seq) == (own.log, audit.replay.size, audit.replay.tree.root().hex())


def test_what_is_dated_on_another_day_is_counted_by_the_cut_off() -> None:
    ledger, days = long_story()
    bob = open_holder(ledger, "bob")
    for _ in range(2):
        issue(ledger, bob, 7, on=days[0])
    audit = audit_log(MemorySource(files_of(AURORA, [sealed.data for sealed in ledger.sealed])))
    book = audit.books.days
    (group,) = book.misdated(days[0])
    assert (group.kind, group.occurred_on, group.count, group.points) == ("points_issued", days[0], 2, "14")
    assert group.last_seq == group.first_seq + 1 == len(ledger.sealed) - 1
    assert list(book.misdated(None)) == [group]
    assert list(book.misdated(group.recorded_on)) == []
    assert DayBook().end_seq(None) == 0


def test_the_registers_say_who_and_why() -> None:
    pair = history.history()
    found = {register: rows(pair.source, register) for register in Register}
    assert {row.kind for row in found[Register.KEYS]} == {"genesis", "partner_added"}
    assert {row.kind for row in found[Register.RATES]} == {"agreement_entered", "agreement_ended"}
    assert [(row.why, row.who) for row in found[Register.FORCED] if row.kind == "conversion_forced"] == [
        ("partner_gone", f"an operator of {AURORA.ledger}")
    ]
    assert {row.kind for row in found[Register.ADJUSTMENTS]} >= {"statement_agreed"}
    assert all(row.seq == pair.source.sealed[row.seq].entry.seq for listed in found.values() for row in listed)


def test_the_register_of_adjustments_names_both_people() -> None:
    ledger = new_ledger(AURORA)
    account = open_holder(ledger, "ann")
    want(ledger, adjustment(account, 50))
    adjust(ledger)
    (row,) = rows(ledger, Register.ADJUSTMENTS)
    assert (row.amount, row.asset, row.why) == ("-50", AURORA.points, "goodwill")
    assert row.who == f"proposed by {AGENT}, approved by {MANAGER}"


def test_the_register_of_forced_acts_names_both_people_where_there_were_two() -> None:
    pair = pair_of()
    order(pair.source, pair.destination.name, pair.sender, 400)
    action = ConversionForcing(conversion=uuid("conversion"), reason="partner_gone")
    want(pair.source, action, entry=uuid("force conversion"))
    force(pair.source)
    (row,) = rows(pair.source, Register.FORCED)
    assert row.who == f"proposed by {AGENT}, approved by {MANAGER}"


def test_the_registers_of_a_successor_tell_what_was_lost_and_given_back() -> None:
    ledger, partner = history.succession()
    told = {row.kind: row for row in rows(ledger, Register.SUCCESSION)}
    assert set(told) == {"genesis", "recovery_begun", "recovery_ended", "recovery_waived"}
    assert f"succeeds {BLUEBIRD.ledger}" in told["genesis"].about
    assert told["recovery_waived"].why == "partner_gone"
    (known,) = rows(partner, Register.SUCCESSION)
    assert (known.kind, known.partner, known.who) == ("partner_succeeded", BLUEBIRD.ledger, BLUEBIRD.ledger)
    forced = {row.kind: row.why for row in rows(ledger, Register.FORCED)}
    assert forced == {"recovery_waived": "partner_gone", "start_overridden": "partner_gone"}
    assert {row.kind for row in rows(ledger, Register.KEYS)} == {
        "genesis",
        "log_key_rotated",
        "partner_added",
        "partner_log_key_rotated",
        "partner_resumed",
        "partner_suspended",
    }


def test_the_keys_of_a_log_and_of_its_partners_are_in_the_register() -> None:
    pair = pair_of()
    rotate(pair.source)
    take_log_key(pair.destination, AURORA)
    own = [row for row in rows(pair.source, Register.KEYS) if row.kind == "log_key_rotated"]
    (theirs,) = [row for row in rows(pair.destination, Register.KEYS) if row.kind == "partner_log_key_rotated"]
    assert [row.partner for row in own] == [None, None]
    assert (theirs.partner, theirs.who, theirs.about) == (AURORA.ledger, AURORA.ledger, own[0].about)
    assert log_key(AURORA, 1).public.text in theirs.about


def test_what_a_program_bears_for_its_lost_entries_is_an_adjustment() -> None:
    pair = pair_of()
    lost, partner = pair.destination, pair.source
    size = len(lost.sealed)
    sender = open_holder(lost, "late", points=1_000)
    alias = link(lost, partner, sender=sender, receiver=pair.sender)
    assert alias
    convert(lost, partner, sender, 500, name="lost")
    ledger = recovered(lost, size, partner)
    found = rows(ledger, Register.ADJUSTMENTS)
    assert [(row.why, row.asset) for row in found] == [("account_unknown", BLUEBIRD.points)]
    assert found[0].amount is not None
    assert int(found[0].amount) < 0


def test_an_agreement_with_a_loop_is_forced_and_says_its_promotions() -> None:
    march = promotion(name="march", starts_at=YESTERDAY, step=Step(source=2_000, destination=1_260))
    made = signed_agreement(agreement(there=direction(promotions=(march,))))
    ledger = new_ledger(AURORA)
    add_partner(ledger, BLUEBIRD)
    enter(ledger, made, forced=True)
    (forced,) = rows(ledger, Register.FORCED)
    assert (forced.partner, forced.why) == (BLUEBIRD.ledger, "agreement_loop")
    there, back = rows(ledger, Register.RATES)
    assert "march: 2,000 to 1,260 at " in there.about
    assert "400 AUR to 250 BLU at 2.50 USD" in there.about
    assert (back.partner, back.why) == (BLUEBIRD.ledger, "first agreement")


def test_a_sample_is_drawn_by_its_seed_and_proved() -> None:
    half = busy_alliance().source
    audit = audit_log(MemorySource(half.files()))
    root, size = audit.replay.tree.root(), audit.replay.size
    assert chosen("one", root=root, size=size, count=5) == chosen("one", root=root, size=size, count=5)
    assert chosen("one", root=root, size=size, count=5) != chosen("two", root=root, size=size, count=5)
    assert chosen("one", root=root, size=size, count=10_000) == list(range(size))
    assert chosen("one", root=root, size=size, count=0) == []
    for index in range(size):
        data = half.ledger.sealed[index].data
        row = sample_row(audit, index, data)
        proof = [bytes.fromhex(node) for node in row.proof]
        verify_inclusion(leaf=leaf_hash(data), index=index, size=size, root=root, proof=proof)  # type: ignore[arg-type]
        assert row.lines
        receipt = sample_receipt(audit, index, data)
        assert verify_file(receipt, verifiers=[verifier_of(AURORA)]).verdict.value == "held"
    assert sample_row(audit, 3, None).lines == ()
    with pytest.raises(ProofInvalid):
        sample_row(audit, 3, b"{}")


def test_the_papers_are_the_same_each_time_and_hold_the_report() -> None:
    made = settled_alliance()
    first, second = papers(made), papers(made)
    assert first.json() == second.json()
    document = json.loads(first.json())
    assert document["report"]["verdict"] == document["verdict"] == "held"
    assert {each["ledger"] for each in document["programmes"]} == {AURORA.ledger, BLUEBIRD.ledger}


def test_there_are_no_papers_of_a_log_that_cannot_be_replayed() -> None:
    audit = audit_log(MemorySource({}))
    found = make_papers(make_report([audit]), [audit], as_of=last_day([audit]), samples={Ledger("x"): ()})
    assert (found.programmes, found.conversions, found.pairs, found.as_of) == ((), (), (), "")


def test_a_carry_waits_for_the_next_window() -> None:
    made = alliance(signed=signed_agreement(agreement(there=direction(price=7_500_001))))
    one, other = made.source, made.destination
    made.converted("one")
    for half, partner in ((one, other), (other, one)):
        say(half, partner, close(half.ledger, partner.ledger, 1, early=True))
    agreed(made)
    paid(made)
    for programme, sign in zip(papers(made).programmes, ("-", ""), strict=True):
        (carried,) = programme.open_items
        assert (carried.kind, carried.value) == (ItemKind.CARRIED, f"{sign}3")
        assert [position.difference for position in programme.positions] == ["0"]


def test_an_entry_is_read_again_from_wherever_it_is() -> None:
    half = busy_alliance().source
    entries, files = [sealed.data for sealed in half.ledger.sealed], half.files()
    size = len(entries)
    for found in (files, {path.partition(".p/")[0] if "entries" in path else path: files[path] for path in files}):
        reading = LogFiles(MemorySource(found), Findings())
        assert reading.entry(3, size) == entries[3]
    assert LogFiles(MemorySource({}), Findings()).entry(3, size) is None
    nowhere = MemorySource(files, unreachable=frozenset(files))
    assert LogFiles(nowhere, Findings()).entry(3, size) is None
