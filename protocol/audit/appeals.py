"""The register of appeals as of the end of a day: about what, by when it is to be decided, and whether it was."""

from typing import Final

import msgspec

from protocol.audit.outcome import LogAudit
from protocol.identifiers import Account, Id
from protocol.ledger.appeal_records import AppealRecord
from protocol.ledger.state import APPEALS

UNDECIDED: Final = "undecided"
OVERDUE: Final = "overdue"


class AppealLine(msgspec.Struct, frozen=True, kw_only=True):
    """An appeal: `state` is `undecided`, `overdue` from the day after its deadline on, or how it was decided."""

    appeal: Id
    account: Account
    reason: str
    about: Id | None
    opened_seq: int
    opened_at: str
    deadline: str
    state: str
    decided_seq: int | None
    adjustment: Id | None


def appeal_lines(audit: LogAudit, *, day: str, end_seq: int) -> tuple[AppealLine, ...]:
    """Return the appeals that were opened before entry `end_seq`, as they stood at the end of `day`, oldest first."""
    rows = (row for row in audit.replay.view.rows(APPEALS) if row[1].opened_seq < end_seq)
    return tuple(_line(*row, day=day, end_seq=end_seq) for row in sorted(rows, key=lambda row: row[1].opened_seq))


def _line(appeal: Id, record: AppealRecord, *, day: str, end_seq: int) -> AppealLine:
    decided = record.decided_seq is not None and record.decided_seq < end_seq
    late = OVERDUE if record.deadline <= day else UNDECIDED
    return AppealLine(
        appeal=appeal,
        account=record.account,
        reason=record.reason,
        about=record.about,
        opened_seq=record.opened_seq,
        opened_at=record.opened_at,
        deadline=record.deadline,
        state=record.state.value if decided else late,
        decided_seq=record.decided_seq if decided else None,
        adjustment=record.adjustment if decided else None,
    )
