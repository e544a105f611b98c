"""Appeals: opened for a holder with a deadline, talked about, decided once; every step is an entry (specs/appeals.md).

No rule lets points move here: a decision that gives or takes points is an adjustment that names the appeal.
"""

from collections.abc import Iterator
from typing import Final

import msgspec

from protocol.appeal_entries import (
    APPEAL_DAYS_MAX,
    APPEAL_MESSAGES_MAX,
    AppealDecided,
    AppealMessage,
    AppealOpened,
    AppealParty,
)
from protocol.errors import Code, Refusal
from protocol.fields import days_later
from protocol.identifiers import Account, Id
from protocol.ledger.appeal_commands import DecideAppeal, OpenAppeal, SayToAppeal
from protocol.ledger.appeal_records import UNDECIDED, AppealRecord, AppealState
from protocol.ledger.moment import Moment, occurred
from protocol.ledger.state import ACCOUNTS, APPEALS, IDS
from protocol.ledger.view import Need, Overlay, View, need


def needs_open(_view: Overlay, command: OpenAppeal) -> Iterator[Need]:
    """Name the account, the appeal, and the entry that it is about."""
    yield need(ACCOUNTS, command.account)
    yield need(APPEALS, command.id)
    if command.about is not None:
        yield need(IDS, command.about)


def needs_appeal(_view: Overlay, command: SayToAppeal | DecideAppeal) -> Iterator[Need]:
    """Name the appeal."""
    yield need(APPEALS, command.appeal)


def decide_open(_view: View, command: OpenAppeal, moment: Moment) -> AppealOpened:
    """Propose an appeal."""
    return AppealOpened(
        id=command.id,
        request=command.request,
        occurred_on=occurred(command, moment),
        account=command.account,
        reason=command.reason,
        about=command.about,
        deadline=command.deadline,
        by=command.by,
        metadata=command.metadata,
    )


def apply_opened(view: View, entry: AppealOpened) -> None:
    """Open an appeal of an account that there is, about an entry that there is, with a day by which it is decided."""
    if view.get(ACCOUNTS, entry.account) is None:
        raise Refusal(Code.ACCOUNT_UNKNOWN, f"there is no account {entry.account}")
    if entry.about is not None and view.get(IDS, entry.about) is None:
        raise Refusal(Code.SUBJECT_UNKNOWN, f"there is no entry with the id {entry.about}")
    today = entry.time[:10]
    if not today <= entry.deadline <= days_later(today, days=APPEAL_DAYS_MAX):
        raise Refusal(Code.DATE_INVALID, f"a deadline lies at most {APPEAL_DAYS_MAX} days after {today}")
    record = AppealRecord(
        account=entry.account,
        state=AppealState.OPEN,
        reason=entry.reason,
        about=entry.about,
        deadline=entry.deadline,
        opened_at=entry.time,
        opened_seq=entry.seq,
        entries=(entry.seq,),
    )
    view.put(APPEALS, entry.id, record)


def decide_message(view: View, command: SayToAppeal, moment: Moment) -> AppealMessage:
    """Propose a message about an appeal."""
    return AppealMessage(
        id=command.id,
        request=command.request,
        occurred_on=occurred(command, moment),
        appeal=command.appeal,
        account=known_appeal(view, command.appeal).account,
        by=command.by,
        asks=command.asks,
        metadata=command.metadata,
    )


def apply_message(view: View, entry: AppealMessage) -> None:
    """Note what was said: a holder's word makes it the program's turn, a question of the program the holder's."""
    record = _undecided(view, entry.appeal, entry.account)
    if entry.asks and entry.by is not AppealParty.PROGRAM:
        raise Refusal(Code.APPEAL_MISMATCH, "only the program waits for an answer")
    if len(record.entries) > APPEAL_MESSAGES_MAX:
        raise Refusal(Code.APPEAL_FULL, f"more than {APPEAL_MESSAGES_MAX} messages about one appeal")
    state = record.state
    if entry.asks:
        state = AppealState.WAITING
    elif entry.by is AppealParty.HOLDER:
        state = AppealState.OPEN
    changed = msgspec.structs.replace(record, state=state, entries=(*record.entries, entry.seq))
    view.put(APPEALS, entry.appeal, changed)


def decide_decision(view: View, command: DecideAppeal, moment: Moment) -> AppealDecided:
    """Propose the end of an appeal."""
    return AppealDecided(
        id=command.id,
        request=command.request,
        occurred_on=occurred(command, moment),
        appeal=command.appeal,
        account=known_appeal(view, command.appeal).account,
        outcome=command.outcome,
        reason=command.reason,
        metadata=command.metadata,
    )


def apply_decided(view: View, entry: AppealDecided) -> None:
    """End an appeal, once."""
    record = _undecided(view, entry.appeal, entry.account)
    _end(view, entry.appeal, record, state=AppealState(entry.outcome), seq=entry.seq, adjustment=None)


def uphold_by_adjustment(view: View, *, appeal: Id, account: Account, seq: int, adjustment: Id) -> None:
    """Let `adjustment`, entry `seq`, be the decision of an undecided appeal of `account`: it is upheld."""
    record = _undecided(view, appeal, account)
    _end(view, appeal, record, state=AppealState.UPHELD, seq=seq, adjustment=adjustment)


def known_appeal(view: View, appeal: Id) -> AppealRecord:
    """Return the appeal, or refuse."""
    record = view.get(APPEALS, appeal)
    if record is None:
        raise Refusal(Code.APPEAL_UNKNOWN, f"there is no appeal {appeal}")
    return record


def _undecided(view: View, appeal: Id, account: Account) -> AppealRecord:
    record = known_appeal(view, appeal)
    if record.account != account:
        raise Refusal(Code.APPEAL_MISMATCH, f"the appeal {appeal} is not one of {account}")
    if record.state not in UNDECIDED:
        raise Refusal(Code.APPEAL_DECIDED, f"the appeal {appeal} was decided by entry {record.decided_seq}")
    return record


def _end(view: View, appeal: Id, record: AppealRecord, *, state: AppealState, seq: int, adjustment: Id | None) -> None:
    ended = msgspec.structs.replace(
        record, state=state, entries=(*record.entries, seq), decided_seq=seq, adjustment=adjustment
    )
    view.put(APPEALS, appeal, ended)


NEEDS: Final = {OpenAppeal: needs_open, SayToAppeal: needs_appeal, DecideAppeal: needs_appeal}
DECIDE: Final = {OpenAppeal: decide_open, SayToAppeal: decide_message, DecideAppeal: decide_decision}
APPLY: Final = {AppealOpened: apply_opened, AppealMessage: apply_message, AppealDecided: apply_decided}
