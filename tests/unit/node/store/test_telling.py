"""Appeals, warnings of expiry and webhooks on both databases: what is written is found, in order and page by page."""

from dataclasses import replace

import pytest

from node.store.database import Database
from node.store.errors import StoreFailed
from node.store.rows import CommitRecord, Write
from node.store.rows_webhooks import (
    DropAttempt,
    DropDelivery,
    DropWebhook,
    ExpiringPoints,
    ExpiryNotice,
    Webhook,
    WebhookAttempt,
    WebhookDelivery,
)
from node.store.writer import StoreWriter
from protocol.appeal_entries import AppealOutcome
from protocol.fields import days_later
from protocol.identifiers import Account
from protocol.ledger.appeal_records import AppealState
from protocol.ledger.state import APPEALS
from tests.support.appeals import appeal, rule, say
from tests.support.documents import AURORA, NOW, uuid
from tests.support.ledger import MemoryLedger, genesis_of, holder, issue, open_holder
from tests.unit.node.store.recorder import write_log

ANN = holder("ann")
BOB = holder("bob")
HOOK = Webhook(
    id=uuid("hook"), url="https://x.example", secret="s", types="[]", state="active", created_at=NOW, after_seq=3,
    after_notice=-1,
)  # fmt: skip


def commit(writer: StoreWriter, *writes: Write) -> None:
    writer.commit(CommitRecord(old_size=writer.head().size, writes=writes))


def appealing() -> MemoryLedger:
    """Return a ledger with two members, of whom one has appealed twice."""
    ledger = MemoryLedger(AURORA)
    ledger.execute(genesis_of(AURORA))
    open_holder(ledger, "ann")
    open_holder(ledger, "bob")
    appeal(ledger, ANN, name="first", days=3)
    say(ledger, name="first", asks=True)
    appeal(ledger, ANN, name="second")
    appeal(ledger, BOB, name="third", days=3)
    rule(ledger, AppealOutcome.UPHELD, name="third")
    return ledger


def test_appeals_are_found_by_account_state_and_deadline(database: Database, writer: StoreWriter) -> None:
    ledger = appealing()
    write_log(writer, ledger.sealed)
    reader = database.reader()
    names = [uuid(name) for name in ("third", "second", "first")]
    assert [appeal_id for appeal_id, _ in reader.appeals(limit=9)] == names
    for appeal_id, record in reader.appeals(limit=9):
        assert record == ledger.state.get(APPEALS, appeal_id) == reader.record(APPEALS, appeal_id)
    second = reader.appeals(limit=1)[0][1]
    assert [each for each, _ in reader.appeals(before_seq=second.opened_seq, limit=1)] == names[1:2]
    assert [each for each, _ in reader.appeals(account=ANN, state=AppealState.WAITING, limit=9)] == names[2:]
    late = days_later(ledger.wall[:10], days=4)
    assert [each for each, _ in reader.appeals_overdue(late, limit=9)] == names[2:]
    assert reader.appeals_overdue(late, account=BOB, limit=9) == []
    assert reader.appeals_overdue(late, before_seq=0, limit=9) == []
    assert reader.appeals_overdue(days_later(ledger.wall[:10], days=3), limit=9) == []


def test_an_entry_is_found_in_the_histories_that_it_belongs_to(database: Database, writer: StoreWriter) -> None:
    ledger = appealing()
    write_log(writer, ledger.sealed)
    reader = database.reader()
    anns = [sealed for sealed in ledger.sealed if getattr(sealed.entry, "account", None) == ANN]
    assert all(reader.is_in_history(ANN, sealed.entry.seq) for sealed in anns)
    assert not reader.is_in_history(BOB, anns[0].entry.seq)
    assert reader.history_after(ANN, -1, 2) == [sealed.data for sealed in anns[:2]]
    assert reader.history_after(ANN, anns[1].entry.seq, 9) == [sealed.data for sealed in anns[2:]]


def notice(number: int, account: Account, *, day: str = "2026-04-01", days: int = 30, after: int = 5) -> ExpiryNotice:
    return ExpiryNotice(
        number=number, account=account, expires_on=day, days=days, amount=7, after_seq=after, made_at=NOW
    )


def test_a_warning_is_kept_once_for_an_account_a_day_and_its_days(database: Database, writer: StoreWriter) -> None:
    reader = database.reader()
    assert (reader.last_notice(), reader.last_notice(after_seq=4)) == (-1, -1)
    commit(writer, notice(0, ANN), notice(1, BOB, after=8), notice(2, ANN, days=7, after=9))
    assert [each.number for each in reader.expiry_notices(-1, limit=2)] == [0, 1]
    assert reader.expiry_notices(0, account=ANN, limit=9) == [notice(2, ANN, days=7, after=9)]
    assert reader.expiry_notice(1) == notice(1, BOB, after=8)
    assert reader.expiry_notice(9) is None
    assert (reader.last_notice(), reader.last_notice(after_seq=8)) == (2, 0)
    assert reader.warned([ANN, BOB], days=30) == {(ANN, "2026-04-01"), (BOB, "2026-04-01")}
    with pytest.raises(StoreFailed):
        commit(writer, notice(3, ANN))


def test_points_are_found_that_expire_soon_and_of_which_nobody_was_warned(
    database: Database, writer: StoreWriter
) -> None:
    ledger = MemoryLedger(AURORA)
    ledger.execute(genesis_of(AURORA))
    for name in ("ann", "bob"):
        open_holder(ledger, name)
        for day, amount in (("2026-04-01", 5), ("2026-04-01", 6), ("2026-04-02", 7), ("2027-01-01", 8)):
            issue(ledger, holder(name), amount, expires_on=day)
    write_log(writer, ledger.sealed)
    reader = database.reader()

    def found(limit: int = 9, *, after: ExpiringPoints | None = None) -> list[ExpiringPoints]:
        return reader.unwarned(first="2026-04-01", last="2026-04-30", days=30, after=after, limit=limit)

    accounts = [ANN, BOB]  # in the order in which they were opened
    expected = [
        *(ExpiringPoints(account, "2026-04-01", 11) for account in accounts),
        *(ExpiringPoints(account, "2026-04-02", 7) for account in accounts),
    ]
    assert found() == expected
    assert found(limit=3) == expected[:3]
    assert found(after=expected[0]) == expected[1:]
    assert found(after=expected[3]) == []
    commit(writer, notice(0, accounts[0]), notice(1, accounts[1], days=7))
    assert found() == expected[1:]


def test_endpoints_are_replaced_and_forgotten(database: Database, writer: StoreWriter) -> None:
    reader = database.reader()
    later = replace(HOOK, id=uuid("later"), created_at=f"{NOW}1")
    commit(writer, later, HOOK)
    assert reader.webhooks() == [HOOK, later]
    changed = replace(HOOK, after_seq=9, failures=2, failing_since=NOW, retry_at=NOW, last_error="it answered 500")
    commit(writer, changed)
    assert reader.webhook(HOOK.id) == changed
    commit(writer, DropWebhook(HOOK.id), DropWebhook("nobody"))
    assert reader.webhook(HOOK.id) is None
    assert reader.webhooks() == [later]


def test_what_waits_and_what_was_tried_is_listed_in_order(database: Database, writer: StoreWriter) -> None:
    def waiting(number: int) -> WebhookDelivery:
        return WebhookDelivery(
            id=f"{HOOK.id}/{number:016d}", webhook=HOOK.id, number=number, lane=ANN, event=f"{number}", type="t",
            seq=number, part=0, notice=None, attempts=1, waits_since=NOW, retry_at=NOW, last_error=None,
        )  # fmt: skip

    def tried(number: int) -> WebhookAttempt:
        return WebhookAttempt(
            id=f"{HOOK.id}/{number % 2}", webhook=HOOK.id, number=number, event="e", type="t", at=NOW,
            outcome="delivered", milliseconds=number,
        )  # fmt: skip

    reader = database.reader()
    commit(writer, *(waiting(number) for number in (2, 0, 1)), *(tried(number) for number in range(3)))
    assert reader.webhook_deliveries(HOOK.id, limit=9) == [waiting(number) for number in range(3)]
    assert reader.webhook_deliveries(HOOK.id, after=0, limit=1) == [waiting(1)]
    assert reader.webhook_waiting(HOOK.id) == 3
    assert reader.webhook_attempts(HOOK.id, limit=9) == [tried(2), tried(1)]
    assert reader.webhook_attempts(HOOK.id, before=2, limit=9) == [tried(1)]
    commit(writer, DropDelivery(waiting(1).id), DropAttempt(tried(1).id))
    assert [row.number for row in reader.webhook_deliveries(HOOK.id, limit=9)] == [0, 2]
    assert reader.webhook_attempts(HOOK.id, limit=9) == [tried(2)]
    assert reader.webhook_waiting("nobody") == 0
