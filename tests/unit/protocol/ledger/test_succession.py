from collections.abc import Callable

import msgspec
import pytest

from protocol.entries import Genesis, Sealed
from protocol.errors import Code
from protocol.identifiers import Id, Ledger
from protocol.ledger import commands, names, rules
from protocol.ledger.state import LEDGER, ONLY
from protocol.messages import Predecessor, Succeeded
from protocol.recovery_entries import RecoveryBegun, RecoveryEnded, SeenCheckpoint
from tests.support.documents import (
    AURORA,
    BLUEBIRD,
    COPPER,
    NETWORK,
    digest,
    hex_16,
    signed_agreement,
    uuid,
)
from tests.support.ledger import (
    MemoryLedger,
    NeedsLedger,
    Pair,
    add_partner,
    convert,
    enter,
    genesis_of,
    holder,
    issue,
    new_ledger,
    open_holder,
    order,
    pair_of,
    receive,
    refused,
)
from tests.support.recovering import SECOND, THIRD, changed, lost_ledger
from tests.support.succession import (
    begin,
    end,
    ledger_of,
    predecessor_of,
    restored,
    root_after,
    succeed,
    successor_command,
    waive,
)


def command_for(before: Predecessor) -> commands.CreateLedger:
    return successor_command(restored(lost_ledger(), 7), before)


def test_a_successor_goes_on_from_what_was_restored() -> None:
    lost = lost_ledger()
    ledger = succeed(lost, 7)
    genesis = ledger.sealed[-1].entry
    assert isinstance(genesis, Genesis)
    assert (genesis.seq, genesis.prev, genesis.ledger) == (9, "0" * 64, SECOND)
    record = ledger_of(ledger)
    assert (record.ledger, record.log, record.first_seq) == (AURORA.ledger, SECOND, 9)
    assert record.recovering == record.partners == (BLUEBIRD.ledger, COPPER.ledger)
    assert record.predecessor == predecessor_of(lost, restored(lost, 7)) == genesis.predecessor
    assert ledger.head.size == 10
    assert ledger.account(holder("ann")).posted == 103


def test_a_successor_without_partners_waits_for_nobody() -> None:
    lost = new_ledger(AURORA)
    open_holder(lost, "ann")
    ledger = succeed(lost, 1)
    assert ledger_of(ledger).recovering == ()
    open_holder(ledger, "bob")


@pytest.mark.parametrize(
    "before",
    [
        changed(ledger=SECOND),
        changed(ledger=Ledger("aurora.example/west.1")),
        changed(ledger=BLUEBIRD.ledger),
        changed(first_seq=1, size=8),
        changed(restored_size=6),
        changed(restored_size=8),
        changed(size=7, root=root_after(lost_ledger().sealed[:7])),
    ],
)
def test_succession_invalid_unless_it_is_of_this_ledger_and_something_was_lost(before: Predecessor) -> None:
    ledger = restored(lost_ledger(), 7)
    command = msgspec.structs.replace(successor_command(ledger, changed()), predecessor=before)
    with refused(Code.SUCCESSION_INVALID, ledger):
        ledger.execute(command)


def test_succession_invalid_where_less_was_seen_than_was_restored() -> None:
    ledger = restored(lost_ledger(), 7)
    draft = msgspec.structs.replace(command_for(changed()), predecessor=changed(size=6))
    with refused(Code.SUCCESSION_INVALID, ledger):
        ledger.execute(draft)


@pytest.mark.parametrize(
    ("field", "value"),
    [("points", "ARR"), ("currencies", ()), ("keys", BLUEBIRD.keys), ("ledger", THIRD), ("ledger", AURORA.ledger)],
)
def test_succession_invalid_where_the_ledger_would_be_another(field: str, value: object) -> None:
    ledger = restored(lost_ledger(), 7)
    with refused(Code.SUCCESSION_INVALID, ledger):
        ledger.execute(msgspec.structs.replace(command_for(changed()), **{field: value}))


def test_succession_invalid_where_nothing_was_restored() -> None:
    with refused(Code.SUCCESSION_INVALID, ledger := NeedsLedger(AURORA)):
        ledger.judge(genesis_draft(changed(size=0, restored_size=0)))


def genesis_draft(before: Predecessor) -> Genesis:
    entry = succeed(lost_ledger(), 7).sealed[-1].entry
    assert isinstance(entry, Genesis)
    return msgspec.structs.replace(entry, predecessor=before)


def test_a_log_that_was_signed_twice_can_be_succeeded_though_it_seems_whole() -> None:
    ledger = restored(lost_ledger(), 7)
    ledger.execute(command_for(changed(size=7, root=digest("another history"))))
    assert ledger_of(ledger).first_seq == 7


def test_chain_broken_where_a_successor_is_not_numbered_from_what_anybody_has_seen() -> None:
    ledger = restored(lost_ledger(), 7)
    genesis = msgspec.structs.replace(ledger.stamped(genesis_draft(changed())).entry, seq=8)
    assert ledger.stamped(genesis).entry.seq == 9
    with refused(Code.CHAIN_BROKEN, ledger):
        judge_as_it_is(ledger, genesis)


def judge_as_it_is(ledger: MemoryLedger, entry: object) -> None:
    assert isinstance(entry, Genesis)
    rules.apply(ledger.state, Sealed(entry, b"", digest("leaf")))


def test_a_ledger_can_succeed_itself_again() -> None:
    lost = succeed(lost_ledger(), 7)
    for partner in (BLUEBIRD, COPPER):
        waive(lost, partner.ledger)
    open_holder(lost, "bob")
    ledger = succeed(lost, 9)
    record = ledger_of(ledger)
    assert (record.log, record.first_seq, len(record.recovering)) == (THIRD, 13, 2)
    assert record.predecessor is not None
    assert (record.predecessor.first_seq, record.predecessor.size, record.predecessor.restored_size) == (9, 4, 2)


def test_a_copy_from_before_an_earlier_succession_is_succeeded_by_a_later_generation() -> None:
    lost = lost_ledger()
    second = predecessor_of(succeed(lost, 7), restored(lost, 6))
    ledger = restored(lost, 6)
    before = msgspec.structs.replace(second, ledger=SECOND, first_seq=9, size=5, root=digest("lost"), restored_size=6)
    ledger.execute(successor_command(ledger, before))
    record = ledger_of(ledger)
    assert (record.log, record.first_seq) == (THIRD, 14)
    other = restored(lost, 6)
    with refused(Code.SUCCESSION_INVALID, other):
        other.execute(successor_command(other, msgspec.structs.replace(before, first_seq=5)))


def test_ledger_exists_where_a_genesis_names_no_log_before() -> None:
    ledger = succeed(lost_ledger(), 7)
    with refused(Code.LEDGER_EXISTS, ledger):
        ledger.execute(genesis_of(COPPER))


SHUT: list[Callable[[Pair], commands.AnyCommand]] = [
    lambda _: commands.OpenAccount(id=uuid("x"), account=holder("x")),
    lambda pair: commands.CloseAccount(id=uuid("x"), account=pair.receiver),
    lambda pair: commands.IssuePoints(id=uuid("x"), account=pair.receiver, amount=1),
    lambda _: commands.AddPartner(
        id=names.partner_id(COPPER.ledger), network=NETWORK, ledger=COPPER.ledger, points=COPPER.points,
        keys=COPPER.keys,
    ),
    lambda pair: commands.CloseWindow(
        id=names.window_id(pair.source.name, 1), partner=pair.source.name, window=1, early=True
    ),
]  # fmt: skip


@pytest.mark.parametrize("make", SHUT)
def test_recovering_moves_nothing_of_its_own(make: Callable[[Pair], commands.AnyCommand]) -> None:
    pair = pair_of()
    issue(pair.destination, pair.receiver, 5)
    ledger = succeed(pair.destination, len(pair.destination.sealed) - 1)
    with refused(Code.RECOVERING, ledger):
        ledger.execute(make(pair))
    begin(ledger, pair.source.name)
    with refused(Code.RECOVERING, ledger):
        ledger.execute(make(pair))
    end(ledger, pair.source.name)
    ledger.execute(make(pair))


def test_recovering_decides_nothing_for_a_partner_not_even_a_refusal() -> None:
    pair = pair_of()
    issue(pair.destination, pair.receiver, 5)
    ledger = succeed(pair.destination, len(pair.destination.sealed) - 1)
    prepare = pair.source.body(order(pair.source, ledger.name, pair.sender, 400))
    with refused(Code.RECOVERING, ledger):
        receive(ledger, prepare)
    waive(ledger, pair.source.name)
    receive(ledger, prepare)


def test_recovering_refuses_in_a_log_what_no_command_was_asked_for() -> None:
    pair = pair_of()
    sealed = issue(pair.destination, pair.receiver, 5)
    ledger = succeed(pair.destination, len(pair.destination.sealed) - 1)
    with refused(Code.RECOVERING, ledger):
        ledger.judge(msgspec.structs.replace(sealed.entry, id=uuid("again")))


def test_what_partners_decided_is_entered_while_words_are_missing() -> None:
    pair = pair_of()
    held = order(pair.source, pair.destination.name, pair.sender, 400)
    decided = pair.destination.body(receive(pair.destination, pair.source.body(held)))
    issue(pair.source, pair.sender, 5)
    ledger = succeed(pair.source, len(pair.source.sealed) - 1)
    receive(ledger, decided)
    assert ledger.account(pair.sender).posted == 9_600


def test_a_partner_is_asked_for_its_words() -> None:
    ledger = succeed(lost_ledger(), 7)
    seen = SeenCheckpoint(size=9, root=changed().root)
    sealed = begin(ledger, BLUEBIRD.ledger, words=4, seen=seen)
    asked = ledger.body(sealed)
    assert asked == Succeeded(
        network=NETWORK,
        sender=AURORA.ledger,
        receiver=BLUEBIRD.ledger,
        log=SECOND,
        predecessor=changed(),
        entry=sealed.reference,
    )
    assert ledger_of(ledger).recovering == (BLUEBIRD.ledger, COPPER.ledger)
    end(ledger, BLUEBIRD.ledger, words=4)
    assert ledger_of(ledger).recovering == (COPPER.ledger,)
    waive(ledger, COPPER.ledger)
    assert ledger_of(ledger).recovering == ()


@pytest.mark.parametrize("seen", [SeenCheckpoint(size=10, root=digest("x")), SeenCheckpoint(size=9, root=digest("x"))])
def test_succession_invalid_where_a_partner_has_seen_more_than_genesis_names(seen: SeenCheckpoint) -> None:
    ledger = succeed(lost_ledger(), 7)
    with refused(Code.SUCCESSION_INVALID, ledger):
        begin(ledger, BLUEBIRD.ledger, seen=seen)


def test_succession_invalid_where_no_log_came_before() -> None:
    ledger = lost_ledger()
    with refused(Code.SUCCESSION_INVALID, ledger):
        begin(ledger, BLUEBIRD.ledger)
    with refused(Code.SUCCESSION_INVALID, ledger):
        waive(ledger, BLUEBIRD.ledger)


@pytest.mark.parametrize("kind", ["begin", "waive"])
def test_succession_invalid_where_another_log_is_named(kind: str) -> None:
    ledger = succeed(lost_ledger(), 7)
    entry = (begin if kind == "begin" else waive)(succeed(lost_ledger(), 7), BLUEBIRD.ledger).entry
    with refused(Code.SUCCESSION_INVALID, ledger):
        ledger.judge(msgspec.structs.replace(entry, predecessor=changed(root=digest("another"))))


def test_partner_mismatch_where_a_recovery_is_of_another_network() -> None:
    ledger = succeed(lost_ledger(), 7)
    entry = begin(succeed(lost_ledger(), 7), BLUEBIRD.ledger).entry
    with refused(Code.PARTNER_MISMATCH, ledger):
        ledger.judge(msgspec.structs.replace(entry, network=hex_16("another")))


def test_partner_unknown_of_whom_words_are_asked() -> None:
    ledger = succeed(lost_ledger(), 7)
    stranger = Ledger("dune.example/main.1")
    for act in (begin, waive, end):
        with refused(Code.PARTNER_UNKNOWN, ledger):
            act(ledger, stranger)
    with refused(Code.PARTNER_UNKNOWN, ledger):
        override(ledger, stranger)


def test_recovery_mismatch_where_what_ends_has_not_begun() -> None:
    ledger = succeed(lost_ledger(), 7)
    with refused(Code.RECOVERY_MISMATCH, ledger):
        end(ledger, BLUEBIRD.ledger)
    ended = begun_and_ended(ledger)
    with refused(Code.RECOVERY_MISMATCH, ledger):
        waive(ledger, BLUEBIRD.ledger)
    begin(ledger, COPPER.ledger)
    other = msgspec.structs.replace(
        ended, id=names.recovery_ended_id(THIRD, COPPER.ledger), log=THIRD, partner=COPPER.ledger
    )
    with refused(Code.RECOVERY_MISMATCH, ledger):
        ledger.judge(other)


def begun_and_ended(ledger: MemoryLedger) -> RecoveryEnded:
    begin(ledger, BLUEBIRD.ledger)
    entry = end(ledger, BLUEBIRD.ledger).entry
    assert isinstance(entry, RecoveryEnded)
    return entry


def test_a_partner_that_was_gone_can_give_back_later() -> None:
    ledger = succeed(lost_ledger(), 7)
    for partner in (BLUEBIRD, COPPER):
        waive(ledger, partner.ledger)
    open_holder(ledger, "bob")
    begin(ledger, BLUEBIRD.ledger)
    with refused(Code.RECOVERING, ledger):
        open_holder(ledger, "cid")
    end(ledger, BLUEBIRD.ledger)
    open_holder(ledger, "cid")
    with refused(Code.ID_REUSED, ledger):
        ledger.execute(
            commands.BeginRecovery(
                id=names.recovery_id(SECOND, BLUEBIRD.ledger), request=digest("x"), partner=BLUEBIRD.ledger,
                seen=None, words=0,
            )
        )  # fmt: skip


def test_an_agreement_of_the_gap_is_entered_again_though_it_has_ended_since() -> None:
    pair = pair_of()
    ending = msgspec.structs.replace(pair.signed.agreement, valid_until="2026-03-02T00:00:00.000000Z")
    signed = signed_agreement(ending)
    lost = new_ledger(AURORA)
    add_partner(lost, BLUEBIRD)
    enter(lost, signed)
    ledger = succeed(lost, 2)
    ledger.advance(days=5)
    enter(ledger, signed)
    waive(ledger, BLUEBIRD.ledger)
    other = new_ledger(AURORA)
    add_partner(other, BLUEBIRD)
    other.advance(days=5)
    with refused(Code.AGREEMENT_LAPSED, other):
        enter(other, signed)


def override(ledger: MemoryLedger, *partners: Ledger) -> object:
    return ledger.execute(commands.OverrideStart(id=uuid("override"), partners=partners, reason="partner_gone"))


def test_a_start_without_answers_is_on_record() -> None:
    ledger = lost_ledger()
    before = ledger.state.get(LEDGER, ONLY)
    override(ledger, BLUEBIRD.ledger, COPPER.ledger)
    assert ledger.state.get(LEDGER, ONLY) == before
    waiting = succeed(lost_ledger(), 7)
    override(waiting, COPPER.ledger)


def test_ids_say_which_log_and_which_partner() -> None:
    assert names.recovery_id(SECOND, BLUEBIRD.ledger) == f"recovery/{SECOND}/{BLUEBIRD.ledger}"
    assert names.recovery_ended_id(SECOND, BLUEBIRD.ledger) == f"recovery_ended/{SECOND}/{BLUEBIRD.ledger}"
    assert names.succession_id(SECOND) == f"succeeded/{SECOND}"


def test_a_conversion_that_both_know_stays_as_it_was() -> None:
    pair = pair_of()
    convert(pair.source, pair.destination, pair.sender, 400, name="kept")
    issue(pair.source, pair.sender, 5)
    ledger = succeed(pair.source, len(pair.source.sealed) - 1)
    waive(ledger, pair.destination.name)
    convert(ledger, pair.destination, pair.sender, 400, name="next")
    assert ledger.account(pair.sender).posted == 9_200
    assert isinstance(begin(ledger, pair.destination.name).entry, RecoveryBegun)
    assert Id(f"recovery/{SECOND}/{pair.destination.name}") == ledger.sealed[-1].entry.id
