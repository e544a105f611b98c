"""Appeals as members, their programme's systems and support see them (specs/appeals.md).

What people write is kept in erasable rows beside the ledger; the entries keep a salted digest of each.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import msgspec

from node.kinds import known
from node.services.answers import EntryAnswer
from node.services.context import Context
from node.services.metadata import metadata_row, pack_metadata
from node.services.pending import Pending
from node.services.requests import digest_request
from node.store.rows import PutMetadata
from protocol.appeal_entries import AppealDecided, AppealMessage, AppealOpened, AppealOutcome, AppealParty
from protocol.approval_entries import PointsAdjusted
from protocol.entries import unseal
from protocol.errors import Code, Refusal
from protocol.fields import days_later, format_time
from protocol.identifiers import Account, Digest, Id
from protocol.ledger.appeal_commands import AppealCommand, DecideAppeal, OpenAppeal, SayToAppeal
from protocol.ledger.appeal_records import AppealRecord, AppealState
from protocol.ledger.state import APPEALS

DEADLINE_DAYS: Final = 30
"""How long a program takes at most to decide, unless it says otherwise."""

StateName: TypeAlias = Literal["open", "waiting", "upheld", "rejected", "withdrawn", "overdue"]
OVERDUE: Final = "overdue"

_TO_DO: Final[Mapping[AppealState, str]] = {
    AppealState.OPEN: "the program is to answer",
    AppealState.WAITING: "the program has asked, and the holder is to answer",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAppealRequest:
    """Appeal for `account`, about the entry with the id `about`; without a `deadline` the program's own days count."""

    id: Id
    account: Account
    reason: str
    text: str | None
    about: Id | None = None
    deadline: str | None = None
    by: AppealParty = AppealParty.HOLDER


@dataclass(frozen=True, slots=True, kw_only=True)
class SayRequest:
    """Say something about an appeal; with `asks`, wait for the holder's answer."""

    id: Id
    appeal: Id
    text: str
    by: AppealParty
    asks: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DecideRequest:
    """End an appeal without moving points."""

    id: Id
    appeal: Id
    outcome: AppealOutcome
    reason: str
    text: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AppealMessageView:
    """One thing that was said, by whom and by which entry; `text` is null where nothing was written or it is erased."""

    seq: int
    at: str
    kind: Literal["opened", "message", "decided", "adjusted"]
    by: str
    asks: bool
    text: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AppealView:
    """An appeal; `adjustment` is the entry by which its decision moved points, `waiting_for` whose turn it is."""

    id: str
    account: str
    state: str
    overdue: bool
    reason: str
    about: str | None
    deadline: str
    opened_at: str
    decided_at: str | None
    outcome_reason: str | None
    adjustment: str | None
    waiting_for: str | None
    messages: tuple[AppealMessageView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AppealRow:
    """An appeal in a list."""

    id: str
    account: str
    state: str
    overdue: bool
    reason: str
    about: str | None
    deadline: str
    opened_at: str
    seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AppealPage:
    """Appeals, newest first; `next` is the cursor of the page after, if there is one."""

    appeals: tuple[AppealRow, ...]
    next: int | None


class AppealsService:
    """Opens appeals, says what is to be said, decides."""

    def __init__(self, context: Context, *, days: int = DEADLINE_DAYS) -> None:
        self._context = context
        self._days = days

    def open(self, request: OpenAppealRequest) -> Pending[EntryAnswer]:
        """Open an appeal, or raise `subject_unknown` where it is about an entry that is not the account's."""
        if request.about is not None:
            self._check_subject(request.account, request.about)
        row = self._row(request.text)
        deadline = request.deadline or days_later(self._today, days=self._days)
        command = OpenAppeal(
            id=request.id,
            request=digest_request(self._context.digests, request),
            account=request.account,
            reason=request.reason,
            deadline=deadline,
            by=request.by,
            about=request.about,
            metadata=None if row is None else row.digest,
        )
        return self._execute(command, row)

    def say(self, request: SayRequest, *, account: Account | None = None) -> Pending[EntryAnswer]:
        """Say something about an appeal; with `account`, only about one of its own."""
        self._check_own(request.appeal, account)
        row = self._row(request.text)
        assert row is not None, "a message has a text"
        command = SayToAppeal(
            id=request.id,
            request=digest_request(self._context.digests, request),
            appeal=request.appeal,
            by=request.by,
            asks=request.asks,
            metadata=row.digest,
        )
        return self._execute(command, row)

    def decide(self, request: DecideRequest, *, account: Account | None = None) -> Pending[EntryAnswer]:
        """End an appeal; with `account`, only one of its own."""
        self._check_own(request.appeal, account)
        row = self._row(request.text)
        command = DecideAppeal(
            id=request.id,
            request=digest_request(self._context.digests, request),
            appeal=request.appeal,
            outcome=request.outcome,
            reason=request.reason,
            metadata=None if row is None else row.digest,
        )
        return self._execute(command, row)

    def show(self, appeal: Id, *, account: Account | None = None) -> AppealView:
        """Return an appeal with all that was said, or raise `appeal_unknown`: with `account`, for others' too."""
        record = self._check_own(appeal, account)
        said = [unseal(data).entry for data in map(self._context.reader.entry, record.entries) if data is not None]
        ended = said[-1] if record.decided_seq is not None else None
        return AppealView(
            id=appeal,
            account=record.account,
            state=record.state.value,
            overdue=record.is_overdue(self._today),
            reason=record.reason,
            about=record.about,
            deadline=record.deadline,
            opened_at=record.opened_at,
            decided_at=None if ended is None else ended.time,
            outcome_reason=ended.reason if isinstance(ended, AppealDecided | PointsAdjusted) else None,
            adjustment=record.adjustment,
            waiting_for=_TO_DO.get(record.state),
            messages=tuple(self._message(entry) for entry in said if isinstance(entry, _SAID)),
        )

    def page(self, *, account: Account | None, state: StateName | None, after: int | None, limit: int) -> AppealPage:
        """Return up to `limit` appeals, newest first; `overdue` are those that nobody decided in time."""
        reader = self._context.reader
        if state == OVERDUE:
            found = reader.appeals_overdue(self._today, account=account, before_seq=after, limit=limit + 1)
        else:
            wanted = None if state is None else AppealState(state)
            found = reader.appeals(account=account, state=wanted, before_seq=after, limit=limit + 1)
        rows = tuple(self._list_row(appeal, record) for appeal, record in found[:limit])
        return AppealPage(appeals=rows, next=rows[-1].seq if len(found) > limit else None)

    @property
    def _today(self) -> str:
        return format_time(self._context.clock.now())[:10]

    def _check_subject(self, account: Account, about: Id) -> None:
        reader = self._context.reader
        seq = reader.entry_seq_of_id(about)
        if seq is None or not reader.is_in_history(account, seq):
            raise Refusal(Code.SUBJECT_UNKNOWN, f"{account} has no entry with the id {about}")

    def _check_own(self, appeal: Id, account: Account | None) -> AppealRecord:
        record = self._context.reader.record(APPEALS, appeal)
        if record is None or account not in (None, record.account):
            raise Refusal(Code.APPEAL_UNKNOWN, f"there is no appeal {appeal}")
        return record

    def _row(self, text: str | None) -> PutMetadata | None:
        return metadata_row(None if text is None else pack_metadata({"text": text}), self._context.randomness)

    def _execute(self, command: AppealCommand, row: PutMetadata | None) -> Pending[EntryAnswer]:
        return self._context.execute(command, [] if row is None else [row])

    def _message(self, entry: "_Said") -> AppealMessageView:
        kind, by, asks = _told(entry)
        return AppealMessageView(
            seq=entry.seq, at=entry.time, kind=kind, by=by, asks=asks, text=self._text(getattr(entry, "metadata", None))
        )

    def _text(self, digest: Digest | None) -> str | None:
        row = None if digest is None else self._context.reader.metadata(digest)
        return None if row is None else msgspec.json.decode(row.data, type=known(_Written)).text

    def _list_row(self, appeal: Id, record: AppealRecord) -> AppealRow:
        return AppealRow(
            id=appeal,
            account=record.account,
            state=record.state.value,
            overdue=record.is_overdue(self._today),
            reason=record.reason,
            about=record.about,
            deadline=record.deadline,
            opened_at=record.opened_at,
            seq=record.opened_seq,
        )


class _Written(msgspec.Struct, frozen=True):
    text: str


_Said: TypeAlias = AppealOpened | AppealMessage | AppealDecided | PointsAdjusted
_SAID: Final = (AppealOpened, AppealMessage, AppealDecided, PointsAdjusted)


def _told(entry: _Said) -> tuple[Literal["opened", "message", "decided", "adjusted"], str, bool]:
    match entry:
        case AppealOpened():
            return "opened", entry.by.value, False
        case AppealMessage():
            return "message", entry.by.value, entry.asks
        case AppealDecided(outcome=AppealOutcome.WITHDRAWN):
            return "decided", AppealParty.HOLDER.value, False
        case AppealDecided():
            return "decided", AppealParty.PROGRAM.value, False
        case _:
            return "adjusted", AppealParty.PROGRAM.value, False
