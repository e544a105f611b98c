"""Ledgers in memory that execute commands as the engine does, and brands of them that are linked with each other.

A `NeedsLedger` runs each command on nothing but the rows that `needs` names, so a row that is missing there fails
the test as `NotLoaded`. Use it wherever a command is executed; the rows compare the same.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from random import Random
from typing import Final, cast

import pytest

from protocol.agreement import SignedAgreement, agreement_digest
from protocol.entries import AnyEntry, Sealed, body_of, seal, stamp, unseal
from protocol.errors import Code, EntryInvalid, Refusal
from protocol.fields import later
from protocol.identifiers import Account, Alias, Asset, Digest, Id, Ledger, holder_account
from protocol.ledger import commands, names, rules
from protocol.ledger.moment import Moment
from protocol.ledger.programs import terms_of
from protocol.ledger.state import ACCOUNTS, HEAD, HOLDS, LOTS, ONLY, TABLES, AccountRecord, Head, HoldRecord, Lot
from protocol.ledger.view import Overlay
from protocol.messages import Body, Cancel, End, Fulfil, Prepare, Reject, Unlink, said_at
from protocol.program import day_of
from protocol.recovery_entries import Recovered
from tests.support.documents import (
    AURORA,
    BLUEBIRD,
    NETWORK,
    NOW,
    USD,
    Side,
    agreement,
    digest_of_body,
    hex_16,
    log_key,
    signed_agreement,
    uuid,
)

Rows = dict[str, dict[object, object]]
_TICKS: Final = count()
"""Every entry of every ledger has its tick, so that the entries of two ledgers can be put in one order."""


def rows_of(view: Overlay) -> Rows:
    """Return every row of `view` by table and key, tables without rows left out: equal states compare equal."""
    found = {table.name: dict(view.rows(table)) for table in TABLES}
    return {name: rows for name, rows in found.items() if rows}


class MemoryLedger:
    """One brand's ledger over a complete overlay: commands in, sealed entries out or a `Refusal`."""

    def __init__(self, side: Side, *, seed: int = 0, time: str = NOW) -> None:
        """Start with no entry at all; nonces come from `seed`, the wall clock stands at `time`."""
        self.side = side
        self.name = side.ledger
        self.state = Overlay(complete=True)
        self.sealed: list[Sealed] = []
        self.ticks: dict[int, int] = {}
        self.wall = time
        self._random = Random(f"{side.ledger} {seed}")

    def execute(self, command: commands.AnyCommand) -> Sealed:
        """Return the entry that answers `command`, the earlier one when it is repeated, or raise `Refusal`."""
        view = self._open(command)
        seq = rules.prior(view, command)
        if seq is not None:
            return self.entry(seq)
        moment = self._moment(command)
        try:
            with _savepoint(view):
                sealed = self._place(rules.decide(view, command, moment), moment)
                rules.apply(view, sealed)
        except Refusal as refusal:
            draft = rules.refusal_entry(command, refusal, moment)
            if draft is None:
                raise
            with _savepoint(view):
                sealed = self._place(draft, moment)
                rules.apply(view, sealed)
        self._keep(view)
        self._append(sealed)
        return sealed

    def judge(self, draft: AnyEntry) -> Sealed:
        """Stamp `draft`, which nobody decided, onto the log as a stranger could, and apply it or raise `Refusal`."""
        sealed = self.stamped(draft)
        with _savepoint(self.state):
            rules.apply(self.state, sealed)
        self._keep(self.state)
        self._append(sealed)
        return sealed

    def _append(self, sealed: Sealed) -> None:
        self.sealed.append(sealed)
        self.ticks[sealed.entry.seq] = next(_TICKS)

    def entry(self, seq: int) -> Sealed:
        """Return the entry `seq`, which the log has."""
        return next(sealed for sealed in self.sealed if sealed.entry.seq == seq)

    def stamped(self, draft: AnyEntry) -> Sealed:
        """Return `draft` as the next entry of the log, read back from its bytes."""
        return unseal(self._place(draft, self._moment(draft)).data)

    def body(self, sealed: Sealed) -> Body:
        """Return the message that an entry of this ledger obliges it to send."""
        body = body_of(sealed, ledger=self.name)
        assert body is not None
        return body

    def advance(self, *, seconds: int = 0, days: int = 0) -> None:
        """Let time pass."""
        self.wall = later(self.wall, seconds=seconds + days * 86_400)

    def account(self, account: Account) -> AccountRecord:
        """Return the row of a holder that exists."""
        record = self.state.get(ACCOUNTS, account)
        assert record is not None
        return record

    def hold(self, hold: Id) -> HoldRecord:
        """Return the row of a hold that exists."""
        record = self.state.get(HOLDS, hold)
        assert record is not None
        return record

    def lots(self, account: Account) -> list[tuple[str | None, int]]:
        """Return last day and points of the open lots of `account`, in the order in which they are consumed."""
        return [(lot.expires_on, lot.remaining) for lot in self.state.lots(account)]

    @property
    def head(self) -> Head:
        """Return the end of the log."""
        return self.state.get(HEAD, ONLY) or Head()

    def _moment(self, about: commands.AnyCommand | AnyEntry) -> Moment:
        said = said_at(about.body) if isinstance(about, commands.Recover | Recovered) else None
        time = max([self.wall, *(later(last, microseconds=1) for last in (self.head.time, said) if last)])
        return Moment(time=time, today=day_of(terms_of(self.state), time))

    def _place(self, draft: AnyEntry, moment: Moment) -> Sealed:
        nonce = self._random.randbytes(16).hex()
        seq, prev = rules.place_of(self.state, draft)
        entry = stamp(draft, seq=seq, prev=prev, time=moment.time, nonce=nonce)
        try:
            return seal(entry)
        except EntryInvalid as error:
            raise Refusal(Code.ENTRY_TOO_LARGE, str(error)) from error

    def _open(self, _command: commands.AnyCommand) -> Overlay:
        return self.state

    def _keep(self, view: Overlay) -> None:
        view.take_changes()


class NeedsLedger(MemoryLedger):
    """A ledger whose commands see only the rows that `needs` named, as over a database."""

    def _open(self, command: commands.AnyCommand) -> Overlay:
        view = Overlay(complete=False)
        while wanted := view.missing(rules.needs(view, command)):
            for table, key in wanted:
                if table is None:
                    account = cast("Account", key)
                    view.load_book(account, self.state.lots(account))
                else:
                    view.load(table, key, self.state.get(table, key))
        return view

    def _keep(self, view: Overlay) -> None:
        for table, changed in view.take_changes().items():
            for key, record in changed.items():
                if table.name == LOTS.name:
                    self.state.put_lot(cast("tuple[Account, int, int]", key)[0], cast("Lot", record))
                else:
                    self.state.put(table, key, record)
        self.state.take_changes()


@contextmanager
def _savepoint(view: Overlay) -> Iterator[None]:
    mark = view.savepoint()
    try:
        yield
    except BaseException:
        view.rollback(mark)
        raise


@contextmanager
def refused(code: Code, *ledgers: MemoryLedger) -> Iterator[None]:
    """Hold that the block is refused with `code` and leaves no trace in any of `ledgers`."""
    before = [(rows_of(ledger.state), len(ledger.sealed)) for ledger in ledgers]
    with pytest.raises(Refusal) as caught:
        yield
    assert caught.value.code == code, caught.value.detail
    assert [(rows_of(ledger.state), len(ledger.sealed)) for ledger in ledgers] == before


def replay(ledger: MemoryLedger) -> Overlay:
    """Return the state that the bytes of `ledger` lead an auditor to."""
    view = Overlay(complete=True)
    for sealed in ledger.sealed:
        rules.apply(view, unseal(sealed.data))
    return view


def genesis_of(side: Side, *, currencies: Sequence[Asset] = (USD,)) -> commands.CreateLedger:
    """Return the command that begins a brand's ledger."""
    return commands.CreateLedger(
        id=names.genesis_id(side.ledger),
        ledger=side.ledger,
        points=side.points,
        points_name=f"{side.points} points",
        currencies=tuple(currencies),
        keys=side.keys,
        next_log_key=log_key(side, 1).public.digest,
    )


def new_ledger(side: Side = AURORA, *, needs: bool = True, seed: int = 0) -> MemoryLedger:
    """Return a ledger with its genesis entry."""
    ledger = NeedsLedger(side, seed=seed) if needs else MemoryLedger(side, seed=seed)
    ledger.execute(genesis_of(side))
    return ledger


def holder(name: str, kind: str = "member") -> Account:
    """Return the account that `name` always leads to."""
    return holder_account(kind, uuid(f"account {name}"))


def open_holder(ledger: MemoryLedger, name: str, *, points: int = 0, expires_on: str | None = None) -> Account:
    """Open a member's account, with `points` on it, and return its name."""
    account = holder(name)
    ledger.execute(commands.OpenAccount(id=uuid(f"open {name}"), account=account))
    if points:
        issue(ledger, account, points, expires_on=expires_on)
    return account


def issue(
    ledger: MemoryLedger, account: Account, amount: int, *, expires_on: str | None = None, on: str | None = None
) -> Sealed:
    """Issue points to `account`."""
    command = commands.IssuePoints(
        id=uuid(f"issue {len(ledger.sealed)}"), account=account, amount=amount, expires_on=expires_on, occurred_on=on
    )
    return ledger.execute(command)


def add_partner(ledger: MemoryLedger, partner: Side) -> Sealed:
    """Make `partner` known."""
    command = commands.AddPartner(
        id=names.partner_id(partner.ledger),
        network=NETWORK,
        ledger=partner.ledger,
        points=partner.points,
        keys=partner.keys,
    )
    return ledger.execute(command)


def enter(ledger: MemoryLedger, signed: SignedAgreement, *, forced: bool = False) -> Sealed:
    """Let an agreement bind."""
    identifier = names.agreement_id(agreement_digest(signed.agreement))
    return ledger.execute(commands.EnterAgreement(id=identifier, signed=signed, forced=forced))


def link(source: MemoryLedger, destination: MemoryLedger, *, sender: Account, receiver: Account) -> Alias:
    """Let `sender` of `source` convert to `receiver` of `destination`, and return the alias."""
    alias = Alias(hex_16(f"{sender} {receiver}"))
    destination.execute(
        commands.IssueLink(id=uuid(f"issue {alias}"), account=receiver, partner=source.name, alias=alias)
    )
    source.execute(
        commands.AcceptLink(id=uuid(f"accept {alias}"), account=sender, partner=destination.name, alias=alias)
    )
    return alias


def ally(first: MemoryLedger, second: MemoryLedger, *, signed: SignedAgreement | None = None) -> SignedAgreement:
    """Make two ledgers partners under one agreement, by default that of the example documents."""
    signed = signed or signed_agreement(agreement(*sorted((first.side, second.side), key=lambda side: side.ledger)))
    for ledger, partner in ((first, second), (second, first)):
        add_partner(ledger, partner.side)
        enter(ledger, signed)
    return signed


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two allied ledgers, a member at each with points, linked both ways."""

    source: MemoryLedger
    destination: MemoryLedger
    sender: Account
    receiver: Account
    alias: Alias
    signed: SignedAgreement


def pair_of(*, signed: SignedAgreement | None = None, points: int = 10_000, needs: bool = True) -> Pair:
    """Return AURORA and BLUEBIRD, ready to convert."""
    source, destination = new_ledger(AURORA, needs=needs), new_ledger(BLUEBIRD, needs=needs)
    signed = ally(source, destination, signed=signed)
    sender, receiver = open_holder(source, "ann", points=points), open_holder(destination, "bob")
    alias = link(source, destination, sender=sender, receiver=receiver)
    link(destination, source, sender=receiver, receiver=sender)
    return Pair(source=source, destination=destination, sender=sender, receiver=receiver, alias=alias, signed=signed)


ACCEPT_SECONDS: Final = 600


def order(
    source: MemoryLedger,
    destination: Ledger,
    account: Account,
    amount: int,
    *,
    name: str = "conversion",
    accept_by: str | None = None,
    agreed: Digest | None = None,
    refund_of: str | None = None,
) -> Sealed:
    """Order a conversion, on the agreement of an open quote or as the refund of one by that name."""
    command = commands.OrderConversion(
        id=uuid(name),
        account=account,
        destination=destination,
        amount=amount,
        accept_by=accept_by or later(source.wall, seconds=ACCEPT_SECONDS),
        agreement=agreed,
        refund_of=None if refund_of is None else uuid(refund_of),
    )
    return source.execute(command)


def ask_cancel(source: MemoryLedger, *, name: str = "conversion") -> Sealed:
    """Ask the destination to refuse a conversion."""
    return source.execute(commands.CancelConversion(id=names.cancel_id(uuid(name)), conversion=uuid(name)))


def force(source: MemoryLedger, *, name: str = "conversion", reason: str = "partner_gone") -> Sealed:
    """Give the points of an undecided conversion back at the source's own risk."""
    command = commands.ForceRelease(id=uuid(f"force {name}"), conversion=uuid(name), reason=reason)
    return source.execute(command)


def give_notice(ledger: MemoryLedger, signed: SignedAgreement, *, days: int = 30) -> Sealed:
    """End an agreement, `days` from now."""
    cited = agreement_digest(signed.agreement)
    ends_at = later(max(ledger.wall, ledger.head.time), seconds=days * 86_400 + 60)
    identifier = names.ended_id(cited, ledger.name)
    return ledger.execute(commands.EndAgreement(id=identifier, agreement=cited, ends_at=ends_at))


def command_of(body: Body) -> commands.AnyCommand:
    """Return what a received body asks its receiver to do."""
    cited = digest_of_body(body)
    match body:
        case Prepare():
            return commands.DecidePrepare(id=names.decision_id(body.key), request=cited, prepare=body, digest=cited)
        case Cancel():
            identifier = names.decision_id(body.key)
            return commands.DecideCancel(id=identifier, request=body.prepare, cancel=body, digest=cited)
        case Fulfil():
            return commands.ConcludeFulfil(id=names.conclusion_id(body.id), request=cited, fulfil=body, digest=cited)
        case Reject():
            return commands.ConcludeReject(id=names.conclusion_id(body.id), request=cited, reject=body, digest=cited)
        case End():
            identifier = names.ended_id(body.agreement, body.sender)
            return commands.TakeEnd(id=identifier, request=cited, end=body, digest=cited)
        case Unlink():
            identifier = names.unlinked_id(body.issuer, body.alias, by=body.sender, reason=body.reason)
            return commands.TakeUnlink(id=identifier, request=cited, unlink=body, digest=cited)
        case _:
            raise AssertionError(f"no command answers a {type(body).__name__}")


def receive(ledger: MemoryLedger, body: Body) -> Sealed:
    """Let `ledger` act on a body that it received."""
    return ledger.execute(command_of(body))


def convert(source: MemoryLedger, destination: MemoryLedger, account: Account, amount: int, *, name: str) -> Sealed:
    """Carry a conversion from its order to its conclusion, and return the concluding entry."""
    decided = receive(destination, source.body(order(source, destination.name, account, amount, name=name)))
    return receive(source, destination.body(decided))
