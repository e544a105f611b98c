"""The run-off of a partner: what is open, who is to act, and the end of it (specs/partners.md §6)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from node.ports import Logs
from node.services.answers import EntryAnswer
from node.services.context import Context
from node.services.conversions.quotes import StoredView
from node.services.logs.log_files import log_name
from node.services.partner_logs.partner_log import PartnerLog
from node.services.pending import Pending
from protocol.identifiers import Digest, Ledger
from protocol.ledger.names import partner_ended_id
from protocol.ledger.partners import known_partner
from protocol.ledger.run_off import OpenMatter, last_statement, open_matters
from protocol.ledger.run_off_commands import EndPartner
from protocol.ledger.state import COUNTERS, SETTLEMENTS, STATEMENTS, DecisionCounter, SettlementRecord
from protocol.ledger.terms import latest_agreements
from protocol.ledger.windows import window_record
from protocol.settlement.states import WindowState
from protocol.statement import CheckpointReference

Who: TypeAlias = Literal["us", "partner", "both", "nobody"]
State: TypeAlias = Literal["active", "notice", "winding_down", "ready", "ended"]
NOBODY: Final[Who] = "nobody"


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """What is to be done about an open matter, and by whom; `digest` and `window` say with what."""

    who: Who
    to_do: str
    act: Literal["give_notice", "close_window", "pay", "confirm", "adjust"] | None = None
    digest: Digest | None = None
    window: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOffStep:
    """One matter of the run-off: whether it is done, else what is open, who is to act, and how."""

    step: OpenMatter
    done: bool
    detail: str
    who: Who
    to_do: str
    act: str | None
    digest: str | None
    window: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOffView:
    """How far the run-off of a partner is; its steps are taken in their order."""

    partner: str
    state: State
    suspended: bool
    steps: tuple[RunOffStep, ...]
    ended_seq: int | None


class RunOffService:
    """Shows and ends partnerships."""

    def __init__(self, context: Context, logs: Logs) -> None:
        self._context = context
        self._view = StoredView(context.reader)
        self._partner_log = PartnerLog(context, logs)

    def show(self, partner: Ledger) -> RunOffView:
        """Return what is open with a partner, or raise `partner_unknown`."""
        record = known_partner(self._view, partner)
        matters = {} if record.ended_seq is not None else dict(open_matters(self._view, partner, at=self._context.now))
        suspended = record.suspended_seq is not None
        state: State = "ended" if record.ended_seq is not None else self._state(partner, set(matters), suspended)
        steps = tuple(self._step(partner, matter, matters.get(matter)) for matter in OpenMatter)
        return RunOffView(partner=partner, state=state, suspended=suspended, steps=steps, ended_seq=record.ended_seq)

    def end(self, partner: Ledger, reason: str) -> Pending[EntryAnswer]:
        """End the partnership with a partner with whom nothing is open, over both logs as they are known here."""
        known_partner(self._view, partner)
        newest = self._context.reader.latest_checkpoint()
        assert newest is not None, "a log has its genesis, and a checkpoint over it"
        fields = {"partner": str(partner), "reason": reason}
        command = EndPartner(
            id=partner_ended_id(partner),
            request=self._context.digests.digest("partner_ended", fields),
            partner=partner,
            reason=reason,
            checkpoint=CheckpointReference(
                origin=log_name(self._context.ledger, newest.generation), size=newest.size, root=newest.root
            ),
            partner_checkpoint=self._partner_checkpoint(partner),
        )
        return self._context.execute(command)

    def _partner_checkpoint(self, partner: Ledger) -> CheckpointReference | None:
        """Return the latest that the partner has shown of its log, or what the last statement states of it."""
        shown = self._partner_log.latest(partner)
        last = last_statement(self._view, partner)
        if shown is not None or last is None:
            return shown
        statement = last.signed.statement
        return statement.checkpoints[statement.parties.index(partner)]

    def _state(self, partner: Ledger, matters: set[OpenMatter], suspended: bool) -> State:  # noqa: FBT001 - a fact
        if not matters:
            return "ready" if suspended or self._agreements_end(partner) else "active"
        if OpenMatter.AGREEMENT not in matters:
            return "winding_down"
        return "notice" if self._agreements_end(partner) else "active"

    def _agreements_end(self, partner: Ledger) -> bool:
        found = latest_agreements(self._view, partner, at=self._context.now)
        return bool(found) and all(record.end is not None for _, record in found)

    def _step(self, partner: Ledger, matter: OpenMatter, detail: str | None) -> RunOffStep:
        act = Act(who=NOBODY, to_do="") if detail is None else self._act(partner, matter)
        return RunOffStep(
            step=matter,
            done=detail is None,
            detail=detail or "",
            who=act.who,
            to_do=act.to_do,
            act=act.act,
            digest=act.digest,
            window=act.window,
        )

    def _act(self, partner: Ledger, matter: OpenMatter) -> Act:
        match matter:
            case OpenMatter.AGREEMENT:
                return self._notice(partner)
            case OpenMatter.CONVERSIONS:
                return Act(who="partner", to_do="wait for its decisions; cancel what is not wanted any more")
            case OpenMatter.WINDOW:
                return self._window(partner)
            case OpenMatter.DISPUTES:
                text = "close the next window, and say how each line ends: tallystick statement agree --adjust"
                return Act(who="both", to_do=text, act="adjust")
            case OpenMatter.PAYMENT:
                return next(self._payments(partner), Act(who="both", to_do="wait for the words on their way"))

    def _notice(self, partner: Ledger) -> Act:
        for digest, record in latest_agreements(self._view, partner, at=self._context.now):
            if record.end is None:
                return Act(who="us", to_do="give notice: tallystick partner end", act="give_notice", digest=digest)
        return Act(who=NOBODY, to_do="wait until the agreement has ended")

    def _window(self, partner: Ledger) -> Act:
        settled = self._context.reader.record(SETTLEMENTS, partner) or SettlementRecord()
        number = settled.agreed + 1
        record = window_record(self._view, partner, number)
        counter = self._context.reader.record(COUNTERS, partner) or DecisionCounter()
        if counter.window == number:
            text = "close the window early: tallystick partner end, or window close"
            return Act(who="us", to_do=text, act="close_window", window=number)
        if record.state is WindowState.CLOSING:
            return Act(who="partner", to_do="wait for its close", window=number)
        if record.state is WindowState.MISMATCH:
            text = "compare lines, and dispute what cannot be cleared: tallystick window differences"
            return Act(who="both", to_do=text, window=number)
        first = self._context.ledger < partner
        waits = record.proposed is None if first else record.state is WindowState.RECONCILED
        return Act(who="us" if waits else "partner", to_do="the statement is signed by the nodes", window=number)

    def _payments(self, partner: Ledger) -> Iterator[Act]:
        reader = self._context.reader
        settled = reader.record(SETTLEMENTS, partner) or SettlementRecord()
        for number in range(1, settled.agreed + 1):
            state = window_record(self._view, partner, number).state
            agreed = reader.record(STATEMENTS, (partner, number))
            if agreed is None or state not in {WindowState.AGREED, WindowState.PAID}:
                continue
            ours = agreed.signed.statement.payer == self._context.ledger
            if state is WindowState.AGREED:
                who: Who = "us" if ours else "partner"
                yield Act(
                    who=who,
                    to_do=f"pay the statement {agreed.digest}: tallystick statement pay",
                    act="pay",
                    digest=agreed.digest,
                    window=number,
                )
            else:
                yield Act(
                    who="partner" if ours else "us",
                    to_do=f"confirm the money of {agreed.digest}: tallystick statement confirm",
                    act="confirm",
                    digest=agreed.digest,
                    window=number,
                )
