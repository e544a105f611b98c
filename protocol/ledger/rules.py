"""The three verbs of the ledger: `needs` names rows, `decide` proposes an entry, `apply` is the only judge.

`apply` runs in a node before an entry is accepted, and in an auditor over an exported log: one set of rules. What it
raises is the refusal.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from typing import Final, cast

from protocol import (
    entries,
    import_entries,
    key_entries,
    point_entries,
    recovery_entries,
    run_off_entries,
)
from protocol.entries import AnyEntry, ConversionHeld, Entry, Genesis, Sealed
from protocol.errors import Code, Refusal
from protocol.identifiers import Account, Digest, Id, Ledger
from protocol.ledger import (
    accounts,
    adjustments,
    appeals,
    approvals,
    commands,
    concluding,
    endings,
    expiring,
    governing,
    holds,
    import_commands,
    importing,
    incoming,
    lines,
    lot_commands,
    members,
    outgoing,
    partners,
    payments,
    recovery,
    reversals,
    rotation,
    run_off,
    run_off_commands,
    settling,
    succession,
    suspension,
    transactions,
)
from protocol.ledger.commands import AnyCommand, Command
from protocol.ledger.moment import Moment, check_occurred
from protocol.ledger.names import check_id
from protocol.ledger.postings import is_holder, ledger_record
from protocol.ledger.state import HEAD, HOLDS, IDS, LEDGER, ONLY, OUTGOING, PROGRAM, Head, IdRecord, LedgerRecord
from protocol.ledger.succession import place_of
from protocol.ledger.view import Need, Overlay, View, need
from protocol.messages import Cancel
from protocol.program_entries import ProgramEntry
from protocol.window_entries import PaymentMade

__all__ = ["apply", "decide", "holders_of", "needs", "place_of", "prior", "refusal_entry"]

_EMPTY: Final = Head()

_Needs = Callable[[Overlay, Command], Iterable[Need]]
_Decide = Callable[[View, Command, Moment], AnyEntry]
_Apply = Callable[[View, Entry], None]

_NEEDS: Final = cast(
    "Mapping[type[Command], _Needs]",
    {
        commands.OpenAccount: accounts.needs_account,
        commands.CloseAccount: accounts.needs_account,
        commands.IssuePoints: transactions.needs_issue,
        commands.RedeemPoints: transactions.needs_redeem,
        commands.TransferPoints: transactions.needs_transfer,
        commands.PlaceHold: holds.needs_place,
        commands.CaptureHold: holds.needs_hold,
        commands.ReleaseHold: holds.needs_hold,
        commands.AddPartner: partners.needs_partner,
        commands.EnterAgreement: partners.needs_agreement,
        commands.EndAgreement: endings.needs_end,
        commands.TakeEnd: endings.needs_end,
        commands.OrderConversion: outgoing.needs_order,
        commands.CancelConversion: outgoing.needs_cancel,
        commands.ConcludeFulfil: concluding.needs_conclude,
        commands.ConcludeReject: concluding.needs_conclude,
        commands.ForceRelease: concluding.needs_force,
        commands.DecidePrepare: incoming.needs_decide,
        commands.DecideCancel: incoming.needs_decide,
        commands.BeginRecovery: succession.needs_recovery,
        commands.WaiveRecovery: succession.needs_recovery,
        commands.EndRecovery: succession.needs_recovery,
        commands.TakeSuccession: succession.needs_recovery,
        commands.OverrideStart: succession.needs_override,
        commands.SuspendPartner: suspension.needs_suspension,
        commands.ResumePartner: suspension.needs_suspension,
        commands.RotateLogKey: rotation.needs_rotation,
        commands.TakeLogKey: rotation.needs_rotation,
        commands.Recover: recovery.needs_recover,
        **governing.NEEDS,
        import_commands.BeginImport: importing.needs_import,
        import_commands.ImportBalance: importing.needs_balance,
        import_commands.FinishImport: importing.needs_import,
        run_off_commands.EndPartner: run_off.needs_end_partner,
        lot_commands.ReversePoints: reversals.needs_reverse,
        lot_commands.ExpireLots: expiring.needs_expire,
        **settling.NEEDS,
        **appeals.NEEDS,
        **approvals.NEEDS,
        **adjustments.NEEDS,
        **members.NEEDS,
    },
)

_DECIDE: Final = cast(
    "Mapping[type[Command], _Decide]",
    {
        commands.CreateLedger: accounts.decide_genesis,
        commands.OpenAccount: accounts.decide_open,
        commands.CloseAccount: accounts.decide_close,
        commands.IssuePoints: transactions.decide_issue,
        commands.RedeemPoints: transactions.decide_redeem,
        commands.TransferPoints: transactions.decide_transfer,
        commands.PlaceHold: holds.decide_place,
        commands.CaptureHold: holds.decide_capture,
        commands.ReleaseHold: holds.decide_release,
        commands.AddPartner: partners.decide_partner,
        commands.EnterAgreement: partners.decide_agreement,
        commands.EndAgreement: endings.decide_end,
        commands.TakeEnd: endings.decide_take_end,
        commands.OrderConversion: outgoing.decide_order,
        commands.CancelConversion: outgoing.decide_cancel,
        commands.ConcludeFulfil: concluding.decide_fulfil,
        commands.ConcludeReject: concluding.decide_reject,
        commands.ForceRelease: concluding.decide_force,
        commands.DecidePrepare: incoming.decide_prepare,
        commands.DecideCancel: incoming.decide_cancel,
        commands.BeginRecovery: succession.decide_begin,
        commands.WaiveRecovery: succession.decide_waive,
        commands.EndRecovery: succession.decide_end,
        commands.TakeSuccession: succession.decide_take,
        commands.OverrideStart: succession.decide_override,
        commands.SuspendPartner: suspension.decide_suspend,
        commands.ResumePartner: suspension.decide_resume,
        commands.RotateLogKey: rotation.decide_rotate,
        commands.TakeLogKey: rotation.decide_take,
        commands.Recover: recovery.decide_recover,
        **governing.DECIDE,
        import_commands.BeginImport: importing.decide_begin,
        import_commands.ImportBalance: importing.decide_balance,
        import_commands.FinishImport: importing.decide_finish,
        run_off_commands.EndPartner: run_off.decide_end_partner,
        lot_commands.ReversePoints: reversals.decide_reverse,
        lot_commands.ExpireLots: expiring.decide_expire,
        **settling.DECIDE,
        **appeals.DECIDE,
        **approvals.DECIDE,
        **adjustments.DECIDE,
        **members.DECIDE,
    },
)

_APPLY: Final = cast(
    "Mapping[type[Entry], _Apply]",
    {
        entries.Genesis: accounts.apply_genesis,
        entries.AccountOpened: accounts.apply_open,
        entries.AccountClosed: accounts.apply_close,
        entries.PointsIssued: transactions.apply_issue,
        entries.PointsRedeemed: transactions.apply_redeem,
        entries.PointsTransferred: transactions.apply_transfer,
        entries.HoldPlaced: holds.apply_place,
        entries.HoldCaptured: holds.apply_capture,
        entries.HoldReleased: holds.apply_release,
        entries.PartnerAdded: partners.apply_partner,
        entries.AgreementEntered: partners.apply_agreement,
        entries.AgreementEnded: endings.apply_ended,
        entries.ConversionCancelRequested: outgoing.apply_cancel,
        entries.ConversionCaptured: concluding.apply_captured,
        entries.ConversionReleased: concluding.apply_released,
        entries.ConversionForced: concluding.apply_forced,
        entries.ConversionCredited: incoming.apply_credited,
        entries.ConversionRefused: incoming.apply_refused,
        recovery_entries.RecoveryBegun: succession.apply_begin,
        recovery_entries.RecoveryWaived: succession.apply_waive,
        recovery_entries.RecoveryEnded: succession.apply_end,
        recovery_entries.PartnerSucceeded: succession.apply_take,
        recovery_entries.StartOverridden: succession.apply_override,
        key_entries.PartnerSuspended: suspension.apply_suspended,
        key_entries.PartnerResumed: suspension.apply_resumed,
        key_entries.LogKeyRotated: rotation.apply_rotated,
        key_entries.PartnerLogKeyRotated: rotation.apply_taken,
        recovery_entries.Recovered: recovery.apply_recovered,
        **governing.APPLY,
        import_entries.ImportBegun: importing.apply_begin,
        import_entries.BalanceImported: importing.apply_balance,
        import_entries.ImportFinished: importing.apply_finish,
        run_off_entries.PartnerEnded: run_off.apply_partner_ended,
        point_entries.PointsReversed: reversals.apply_reverse,
        point_entries.PointsExpired: expiring.apply_expire,
        **settling.APPLY,
        **appeals.APPLY,
        **approvals.APPLY,
        **adjustments.APPLY,
        **members.APPLY,
    },
)

ALWAYS: Final = (need(HEAD, ONLY), need(LEDGER, ONLY), need(PROGRAM, ONLY))
"""The rows that every command reads."""


def needs(view: Overlay, command: AnyCommand) -> Iterator[Need]:
    """Yield the rows that `command` reads, as far as the rows already loaded tell; ask again after loading.

    The rows of `ALWAYS` come first: nothing else is read while a ledger has no genesis.
    """
    yield from ALWAYS
    yield need(IDS, command.id)
    yield from further_needs(view, command)


def further_needs(view: Overlay, command: AnyCommand) -> Iterable[Need]:
    """Return what `needs` yields beside the rows of `ALWAYS` and that of the command's own id."""
    family = _NEEDS.get(type(command))
    if family is None or view.peek(LEDGER, ONLY) is None:
        return ()
    wanted = family(view, command)
    if type(command) in lines.ENTERING:
        return chain(wanted, lines.needs_line(view, cast("lines.Entering", command)))
    return wanted


def prior(view: View, command: AnyCommand) -> int | None:
    """Return the seq of the entry that answered this very command before, or None; refuse a reused id."""
    record = view.get(IDS, command.id)
    if record is None:
        return None
    if record.request != command.request:
        text = f"the id {command.id} was used for something else"
        if record.request is None:
            text = f"what the id {command.id} was used for was lost with the log before, or is not a client's to ask"
        raise Refusal(Code.ID_REUSED, text)
    return record.seq


def decide(view: View, command: AnyCommand, moment: Moment) -> AnyEntry:
    """Return the entry that `command` proposes, not yet stamped, or raise `Refusal`."""
    ledger = view.get(LEDGER, ONLY)
    if ledger is None:
        if not isinstance(command, commands.CreateLedger):
            ledger_record(view)
    elif ledger.recovering:
        succession.check_command(ledger, command)
    return _DECIDE[type(command)](view, command, moment)


def refusal_entry(command: AnyCommand, refusal: Refusal, moment: Moment) -> AnyEntry | None:
    """Return the entry that records a refusal for ever, for the commands whose refusal must be one.

    A successor that waits for its words refuses nothing for ever: it may have credited the conversion before.
    """
    if isinstance(command, commands.DecidePrepare) and refusal.code != Code.RECOVERING:
        return incoming.refuse(command, refusal.code, moment)
    return None


def apply(view: View, sealed: Sealed) -> None:
    """Judge `sealed` against every rule and change the rows it changes, or raise `Refusal`.

    A refused entry may leave changes behind: roll back to a savepoint.
    """
    entry = sealed.entry
    _check_place(view, entry, view.get(HEAD, ONLY) or _EMPTY)
    check_occurred(entry, view.get(PROGRAM, ONLY))
    ledger = view.get(LEDGER, ONLY)
    _judge(view, sealed, ledger)
    check_id(entry, ledger=(ledger or ledger_record(view)).ledger)
    move_head(view, sealed)


def apply_placed(view: View, sealed: Sealed) -> None:
    """Judge `sealed`, which `check_placed` has accepted after the entry before it, as `apply` does.

    The head of the log stays where it is: `move_head` moves it, once for several entries.
    """
    program = view.get(PROGRAM, ONLY)
    if program is not None:
        check_occurred(sealed.entry, program)
    _judge(view, sealed, view.get(LEDGER, ONLY))


def _judge(view: View, sealed: Sealed, ledger: LedgerRecord | None) -> None:
    """Judge what the state says of an entry: all but its place, its days and its id's form."""
    entry = sealed.entry
    kind, entry_id = type(entry), entry.id
    if ledger is not None and ledger.recovering:
        succession.check_gate(ledger, entry)
    if not view.insert(IDS, entry_id, IdRecord(seq=entry.seq, request=entry.request)):
        raise Refusal(Code.ID_REUSED, f"the id {entry_id} is taken")
    judge = _APPLY.get(kind)
    if judge is not None:
        judge(view, entry)
    elif isinstance(entry, ConversionHeld):
        outgoing.apply_held(view, sealed, entry)
    else:
        payments.apply_make(view, sealed, cast("PaymentMade", entry))
    if kind in lines.NOTED:
        lines.note(view, sealed)


def move_head(view: View, sealed: Sealed) -> None:
    """Let the log end with `sealed`."""
    view.put(HEAD, ONLY, head_after(sealed.entry, sealed.leaf))


def head_before(entry: AnyEntry) -> Head:
    """Return the end that a log must have for `entry` to follow it, at whatever time."""
    return Head(size=entry.seq, leaf=entry.prev)


def head_after(entry: AnyEntry, leaf: Digest) -> Head:
    """Return the end of a log whose last entry is `entry`, with the hash `leaf`."""
    return Head(size=entry.seq + 1, leaf=leaf, time=entry.time)


def check_placed(entry: AnyEntry, head: Head, *, ledger: Ledger) -> None:
    """Refuse what `apply` refuses of an entry of `ledger` in any state whose log ends with `head`.

    That is its place after the entry before, a day that is not over anywhere yet, and an id that it cannot have. What
    can be done without a state can be done by another process: only genesis, whose place the state tells, is refused.
    """
    if type(entry) is Genesis:
        raise Refusal(Code.CHAIN_BROKEN, "where a genesis stands, the state tells")
    _check_follows(entry, head, seq=head.size, prev=head.leaf)
    check_occurred(entry, None)
    check_id(entry, ledger=ledger)


def _check_place(view: View, entry: AnyEntry, head: Head) -> None:
    """Refuse an entry that does not come next, in number, chain and time."""
    is_genesis = type(entry) is Genesis
    seq, prev = succession.place_of(view, entry) if is_genesis else (head.size, head.leaf)
    _check_follows(entry, head, seq=seq, prev=prev)
    if not head.size and not is_genesis:
        raise Refusal(Code.LEDGER_MISSING, "the first entry must be genesis")


def _check_follows(entry: AnyEntry, head: Head, *, seq: int, prev: Digest) -> None:
    if entry.seq != seq or entry.prev != prev:
        raise Refusal(Code.CHAIN_BROKEN, f"the entry does not follow entry {head.size - 1}")
    if entry.time <= head.time:
        raise Refusal(Code.CHAIN_BROKEN, f"the entry's time {entry.time} is not after {head.time}")


def holders_of(view: View, entry: AnyEntry) -> tuple[Account, ...]:
    """Return the holders whose history the applied `entry` belongs to, each once."""
    # Most entries are of the first three kinds, and the rules have seen that their postings are a pair.
    if type(entry) is entries.PointsTransferred:
        taken, given = entry.postings
        return taken.account, given.account
    if type(entry) is entries.PointsIssued:
        return (entry.postings[1].account,)
    if type(entry) is entries.PointsRedeemed:
        return (entry.postings[0].account,)
    named = [posting.account for posting in getattr(entry, "postings", ()) if is_holder(posting.account)]
    if type(entry) in governing.APPLY:
        named += governing.parties(view, cast("ProgramEntry", entry))
        return tuple(dict.fromkeys(named))
    match entry:
        case entries.HoldReleased():
            hold = view.get(HOLDS, Id(entry.hold))
            named += [hold.account] if hold else []
        case (
            entries.ConversionCaptured()
            | entries.ConversionReleased()
            | entries.ConversionForced()
            | entries.ConversionCancelRequested()
        ):
            named += _ordering(view, Id(entry.conversion))
        case recovery_entries.Recovered(body=Cancel() as wish):
            named += _ordering(view, wish.id)
        case _:
            account = getattr(entry, "account", None)
            named += [account] if account else []
    return tuple(dict.fromkeys(named))


def _ordering(view: View, conversion: Id) -> list[Account]:
    record = view.get(OUTGOING, conversion)
    return [record.account] if record is not None and is_holder(record.account) else []
