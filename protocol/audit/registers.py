"""The registers of a log: adjustments, rates, keys, successions and forced acts, with who and why.

A log names no person: what an operator did is the program's own act, and the reason is one word of the operator's. What
both parties signed is both parties'; what two people of the program answered for names both by their credentials. Every
row names its entry, so that it can be looked up and proved.
"""

from collections.abc import Iterator
from enum import StrEnum, unique
from typing import Final, TypeAlias

import msgspec

from protocol.agreement import Agreement, Direction, RoleKey, agreement_digest
from protocol.approval_entries import PointsAdjusted
from protocol.audit.explain import money
from protocol.audit.program_register import program_said
from protocol.entries import (
    AgreementEnded,
    AgreementEntered,
    AnyEntry,
    ConversionForced,
    Genesis,
    PartnerAdded,
    Posting,
    Sealed,
)
from protocol.identifiers import Asset, Id, Ledger
from protocol.key_entries import LogKeyRotated, PartnerLogKeyRotated, PartnerResumed, PartnerSuspended
from protocol.keys import PublicKey, fingerprint
from protocol.ledger.approval_state import ACTIONS
from protocol.ledger.postings import ADJUSTMENT, ledger_record
from protocol.ledger.state import OUTGOING
from protocol.ledger.view import Overlay
from protocol.member_entries import LinkRevoked
from protocol.messages import Predecessor
from protocol.recovery_entries import (
    PartnerSucceeded,
    Recovered,
    RecoveryBegun,
    RecoveryEnded,
    RecoveryWaived,
    StartOverridden,
)
from protocol.run_off_entries import PartnerEnded
from protocol.statement import Bill, Statement
from protocol.window_entries import LinesDisputed, PaymentReturned, StatementAgreed

OPERATOR: Final = "an operator of"
BOTH: Final = "both parties"


@unique
class Register(StrEnum):
    """What a register lists."""

    ADJUSTMENTS = "adjustments"
    RATES = "rates"
    KEYS = "keys"
    SUCCESSION = "succession"
    FORCED = "forced"
    PROGRAM = "program"
    LINKS = "links"


class RegisterRow(msgspec.Struct, frozen=True, kw_only=True):
    """One act: the entry that recorded it, what it was about, who did it and why, and what it moved, if anything.

    An amount of a currency is in millionths, one of points in points; credits of the account adjusted are positive.
    """

    register: Register
    seq: int
    time: str
    kind: str
    partner: Ledger | None
    about: str
    who: str
    why: str
    amount: str | None = None
    asset: Asset | None = None


_Said: TypeAlias = tuple[Register, Ledger | None, str, str, str]
"""Register, partner, what it is about, who did it, why."""


class RegisterBook:
    """Collects the registers of a log in the order of its entries."""

    __slots__ = ("rows",)

    def __init__(self) -> None:
        """Start with empty registers."""
        self.rows: list[RegisterRow] = []

    def add(self, sealed: Sealed, view: Overlay) -> None:
        """Take note of an entry that the rules accepted."""
        entry, own = sealed.entry, ledger_record(view).ledger
        for read in (_keys_said, _rates_said, _succession_said, _forced, _links_said):
            for said in read(entry, own):
                self._note(entry, said)
        for about, why in program_said(entry):
            self._note(entry, (Register.PROGRAM, None, about, _by(own), why))
        if isinstance(entry, ConversionForced):
            record = view.get(OUTGOING, entry.conversion)
            assert record is not None, "an accepted force is about a conversion"
            who = _two(entry.id, view) if view.get(ACTIONS, entry.id) else _by(own)
            said = (Register.FORCED, record.destination, f"conversion {entry.conversion}", who, entry.reason)
            self._note(entry, said, moved=_sum_of(entry.postings, "loss/"))
        self._adjustments(entry, own, view)

    def adjusted(self, sealed: Sealed, view: Overlay) -> None:
        """Take note of what an entry that belongs to no other register has moved of the account `adjustment`."""
        for posting in getattr(sealed.entry, "postings", ()):
            if posting.account == ADJUSTMENT:
                self._adjustments(sealed.entry, ledger_record(view).ledger, view)
                return

    def _note(self, entry: AnyEntry, said: _Said, *, moved: tuple[int, Asset] | None = None) -> None:
        register, partner, about, who, why = said
        self.rows.append(
            RegisterRow(
                register=register,
                seq=entry.seq,
                time=entry.time,
                kind=str(entry.__struct_config__.tag),
                partner=partner,
                about=about,
                who=who,
                why=why,
                amount=None if moved is None else str(moved[0]),
                asset=None if moved is None else moved[1],
            )
        )

    def _adjustments(self, entry: AnyEntry, own: Ledger, view: Overlay) -> None:
        for posting in getattr(entry, "postings", ()):
            if isinstance(entry, PointsAdjusted):
                continue
            if posting.account == ADJUSTMENT:
                partner: Ledger | None = getattr(entry, "partner", None)
                why = "shortfall" if isinstance(entry, Recovered) and entry.shortfall else "account_unknown"
                self._note(
                    entry,
                    (Register.ADJUSTMENTS, partner, f"points of {entry.id}", own, why),
                    moved=(posting.amount, posting.asset),
                )
        if isinstance(entry, PointsAdjusted):
            about = f"points of {entry.id}" + (f", appeal {entry.appeal}" if entry.appeal else "")
            self._note(
                entry,
                (Register.ADJUSTMENTS, None, about, _two(entry.id, view), entry.reason),
                moved=_sum_of(entry.postings, ADJUSTMENT),
            )
        elif isinstance(entry, StatementAgreed):
            statement = entry.signed.statement
            for bill in statement.directions:
                self._bill(entry, statement, bill)
        elif isinstance(entry, LinesDisputed | Recovered):
            for line in entry.entered:
                about = f"conversion {line.id}, entered on the partner's word alone"
                said = (Register.ADJUSTMENTS, entry.partner, about, _by(own), "entered")
                self._note(entry, said, moved=(line.value, line.currency))
        elif isinstance(entry, PaymentReturned):
            about = f"the payment of window {entry.window}, which came back"
            said = (Register.ADJUSTMENTS, entry.partner, about, _by(own), "returned")
            self._note(entry, said, moved=_sum_of(entry.postings, "due/"))

    def _bill(self, entry: StatementAgreed, statement: Statement, bill: Bill) -> None:
        for line in bill.adjustments:
            about = f"conversion {line.id} of window {line.window}, billed with window {statement.window}"
            said = (Register.ADJUSTMENTS, entry.partner, about, BOTH, line.reason.value)
            self._note(entry, said, moved=(line.value, statement.currency))

    def of(self, register: Register, *, end_seq: int) -> tuple[RegisterRow, ...]:
        """Return the rows of one register that entries before `end_seq` made."""
        return tuple(row for row in self.rows if row.register is register and row.seq < end_seq)


def _by(ledger: Ledger) -> str:
    return f"{OPERATOR} {ledger}"


def _two(entry: Id, view: Overlay) -> str:
    """Return which two people wanted an act, by their credentials."""
    record = view.get(ACTIONS, entry)
    assert record is not None, "the rules let it in for two people alone"
    return f"proposed by {record.proposed_by}, approved by {record.decided_by}"


def _sum_of(postings: tuple[Posting, ...], prefix: str) -> tuple[int, Asset] | None:
    """Return what `postings` add to the accounts that begin with `prefix`, and of what; None where there are none."""
    found = [posting for posting in postings if posting.account.startswith(prefix)]
    return (sum(posting.amount for posting in found), found[0].asset) if found else None


def _keys_said(entry: AnyEntry, own: Ledger) -> Iterator[_Said]:
    match entry:
        case Genesis():
            for item in entry.keys:
                yield Register.KEYS, None, _key_text(item), own, "genesis"
            yield Register.KEYS, None, f"next log key, committed ahead: {entry.next_log_key}", own, "genesis"
        case PartnerAdded():
            prints = fingerprint([PublicKey.parse(item.key) for item in entry.keys])
            yield Register.KEYS, entry.ledger, f"fingerprint {prints}", _by(own), "partner_added"
            for item in entry.keys:
                yield Register.KEYS, entry.ledger, _key_text(item), _by(own), "partner_added"
        case LogKeyRotated():
            about = f"log key {entry.key}, number {entry.number} after the first; before it {entry.key_before}"
            yield Register.KEYS, None, about, own, "log_key_rotated"
            yield Register.KEYS, None, f"next log key, committed ahead: {entry.next_log_key}", own, "log_key_rotated"
        case PartnerLogKeyRotated():
            about = f"log key {entry.key}, number {entry.number} after the first; before it {entry.key_before}"
            yield Register.KEYS, entry.partner, about, entry.partner, "log_key_rotated"
        case PartnerSuspended():
            yield Register.KEYS, entry.partner, "suspended: nothing new begins with it", _by(own), entry.reason
        case PartnerResumed():
            yield Register.KEYS, entry.partner, "a partner as before", _by(own), entry.reason
        case PartnerEnded():
            yield Register.KEYS, entry.partner, "a partner no more", _by(own), entry.reason
        case _:
            pass


def _key_text(item: RoleKey) -> str:
    return f"{item.role} key {item.key}"


def _rates_said(entry: AnyEntry, own: Ledger) -> Iterator[_Said]:
    match entry:
        case AgreementEntered():
            agreement = entry.signed.agreement
            partner, why = agreement.other(own).ledger, _why(agreement)
            for direction in agreement.directions:
                yield Register.RATES, partner, _terms_text(agreement, direction), BOTH, why
        case AgreementEnded():
            about = f"agreement {entry.agreement} ends at {entry.ends_at}"
            yield Register.RATES, entry.partner, about, entry.by, "notice"
        case _:
            pass


def _why(agreement: Agreement) -> str:
    return "first agreement" if agreement.supersedes is None else f"replaces {agreement.supersedes}"


def _terms_text(agreement: Agreement, direction: Direction) -> str:
    points = agreement.party(direction.source).points, agreement.party(direction.destination).points
    step = f"{direction.step.source:,} {points[0]} to {direction.step.destination:,} {points[1]}"
    parts = [
        f"agreement {agreement.number} ({agreement_digest(agreement)})",
        f"{direction.source} to {direction.destination}",
        f"{step} at {money(direction.price)} {agreement.currency}",
        f"from {agreement.valid_from}" + (f" until {agreement.valid_until}" if agreement.valid_until else ""),
    ]
    parts += [
        f"{each.name}: {each.step.source:,} to {each.step.destination:,} at {money(each.price)} {agreement.currency}, "
        f"{each.starts_at} to {each.ends_at}"
        for each in direction.promotions
    ]
    return "; ".join(parts)


def _succession_said(entry: AnyEntry, own: Ledger) -> Iterator[_Said]:
    register = Register.SUCCESSION
    match entry:
        case Genesis(predecessor=Predecessor() as before):
            about = f"{entry.ledger} succeeds {before.ledger}, restored up to {before.restored_size} entries"
            yield register, None, about, _by(own), "store_behind"
        case RecoveryBegun():
            yield register, entry.partner, f"{entry.words} words are to be given back", own, "recovery"
        case RecoveryEnded():
            yield register, entry.partner, f"{entry.words} words are known again", own, "recovery"
        case RecoveryWaived():
            yield register, entry.partner, "what this partner may still hold is not waited for", _by(own), entry.reason
        case PartnerSucceeded():
            yield register, entry.partner, f"it goes on as {entry.log}", entry.partner, "partner"
        case _:
            pass


def _links_said(entry: AnyEntry, own: Ledger) -> Iterator[_Said]:
    if isinstance(entry, LinkRevoked):
        way = "issued" if entry.issuer == own else "accepted"
        about = f"link {entry.alias} of {entry.account}, {way} here, ended at {entry.revoked_at}"
        yield Register.LINKS, entry.partner, about, entry.by, entry.reason


def _forced(entry: AnyEntry, own: Ledger) -> Iterator[_Said]:
    match entry:
        case AgreementEntered(forced=True):
            agreement = entry.signed.agreement
            about = f"agreement {agreement_digest(agreement)} in spite of a loop that multiplies points"
            yield Register.FORCED, agreement.other(own).ledger, about, _by(own), "agreement_loop"
        case RecoveryWaived():
            yield Register.FORCED, entry.partner, "recovery without this partner's words", _by(own), entry.reason
        case StartOverridden():
            for partner in entry.partners:
                yield Register.FORCED, partner, "start without this partner's answer", _by(own), entry.reason
        case _:
            pass
