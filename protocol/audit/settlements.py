"""The settlement of one log, and how two logs' halves of it match: statements, payments, ends of agreements."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from protocol.audit.findings import FindingCode, Findings
from protocol.audit.replay import LogReplay
from protocol.checkpoint import Checkpoint
from protocol.entries import AgreementEnded, Sealed, body_of
from protocol.identifiers import Asset, Digest, Ledger, first_of
from protocol.ledger.postings import ledger_record
from protocol.ledger.view import Overlay
from protocol.merkle import Hash
from protocol.messages import (
    End,
    EntryReference,
    PaymentAdvice,
    Receipt,
    StatementSigned,
    body_digest,
    encode_body,
)
from protocol.recovery_entries import Recovered
from protocol.run_off_entries import PartnerEnded
from protocol.statement import CheckpointReference, Statement, statement_digest
from protocol.window_entries import (
    LinesDisputed,
    PaymentConfirmed,
    PaymentMade,
    PaymentReceived,
    PaymentReturned,
    ReceiptReceived,
    StatementAgreed,
    StatementProposed,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """What an entry says of settlement, and when: the statement or payment, and the partner's entry it rests on."""

    digest: Digest
    seq: int
    promised: EntryReference | None = None
    time: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A notice that ends an agreement: until when it binds, and what the entry that has it says of its END."""

    ends_at: str
    word: Word


NoticeName: TypeAlias = tuple[Digest, Ledger]
"""The agreement that ends, and the party that gave notice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnteredLine:
    """A line that was entered in dispute, for a conversion of this ledger that was never captured."""

    time: str
    value: int
    currency: Asset


@dataclass(slots=True)
class WindowBook:
    """A window as one log has it: the statement, the payments made or announced, the one that was confirmed.

    `ways` tells of the payer from when on money was on its way, and from when on it no longer was.
    """

    entered: list[EnteredLine] = field(default_factory=list)
    agreed: Word | None = None
    sent: dict[Digest, int] = field(default_factory=dict)
    ways: list[tuple[str, bool]] = field(default_factory=list)
    announced: dict[Digest, Word] = field(default_factory=dict)
    confirmed: Word | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The state of a log that the statement in entry `seq` names."""

    seq: int
    checkpoint: Checkpoint


class SettlementBook:
    """Collects the settlement of a log by partner and window, what its statements say of logs, and notices."""

    __slots__ = ("claims", "notices", "windows")

    def __init__(self) -> None:
        """Start with nothing."""
        self.windows: defaultdict[Ledger, defaultdict[int, WindowBook]] = defaultdict(lambda: defaultdict(WindowBook))
        self.claims: defaultdict[Ledger, list[Claim]] = defaultdict(list)
        self.notices: defaultdict[Ledger, dict[NoticeName, Notice]] = defaultdict(dict)

    def add(self, sealed: Sealed, view: Overlay) -> None:
        """Take note of an entry that the rules accepted."""
        match sealed.entry:
            case LinesDisputed() as entry:
                self._entered(entry)
            case StatementProposed() as entry:
                self._claim(entry.seq, entry.signed.statement)
            case StatementAgreed() as entry:
                self._claim(entry.seq, entry.signed.statement)
                digest = statement_digest(entry.signed.statement)
                # The first party's entry rests on the second one's; the second one's on a proposal alone.
                first = entry.signed.statement.parties[0] != entry.partner
                rests_on = entry.partner_entry if first else None
                word = Word(digest=digest, seq=entry.seq, promised=rests_on, time=entry.time)
                self.windows[entry.partner][entry.window].agreed = word
            case AgreementEnded() as entry:
                # A notice of our own makes its END, a partner's cites it: both name one body.
                body = body_of(sealed, ledger=ledger_record(view).ledger)
                cited = body_digest(encode_body(body)) if body else entry.notice
                assert cited is not None, "the rules have compared the notice that the entry repeats"
                word = Word(digest=cited, seq=entry.seq, promised=entry.partner_entry)
                self.notices[entry.partner][entry.agreement, entry.by] = Notice(ends_at=entry.ends_at, word=word)
            case PartnerEnded() as entry:
                for stated in (entry.checkpoint, entry.partner_checkpoint):
                    self._claim_checkpoint(entry.seq, stated)
            case Recovered() as entry:
                self._entered(entry)
                self._recovered(entry)
            case _:
                self._paid(sealed, view)

    def _paid(self, sealed: Sealed, view: Overlay) -> None:
        """Take note of what an entry says of the payment of a window, if it says anything."""
        match sealed.entry:
            case PaymentMade() as entry:
                body = body_of(sealed, ledger=ledger_record(view).ledger)
                assert body is not None, "a payment makes a body"
                book = self.windows[entry.partner][entry.window]
                book.sent[body_digest(encode_body(body))] = entry.seq
                book.ways.append((entry.time, True))
            case PaymentReturned() as entry:
                self.windows[entry.partner][entry.window].ways.append((entry.time, False))
            case PaymentReceived() as entry:
                word = Word(digest=entry.payment, seq=entry.seq, promised=entry.partner_entry, time=entry.time)
                self.windows[entry.partner][entry.window].announced[entry.payment] = word
            case PaymentConfirmed() as entry:
                word = Word(digest=entry.payment, seq=entry.seq, time=entry.time)
                self.windows[entry.partner][entry.window].confirmed = word
            case ReceiptReceived() as entry:
                word = Word(digest=entry.payment, seq=entry.seq, promised=entry.partner_entry, time=entry.time)
                self.windows[entry.partner][entry.window].confirmed = word
            case _:
                pass

    def _entered(self, entry: LinesDisputed | Recovered) -> None:
        for line in entry.entered:
            entered = EnteredLine(time=entry.time, value=line.value, currency=line.currency)
            self.windows[entry.partner][line.window].entered.append(entered)

    def _recovered(self, entry: Recovered) -> None:
        """Take note of a word that stands again as of the entry that made it first."""
        body, word = entry.body, Word(digest=entry.digest, seq=entry.seq)
        match body:
            case StatementSigned():
                self._claim(entry.seq, body.signed.statement)
                if len(body.signed.signatures) == len(body.signed.statement.parties):
                    digest = statement_digest(body.signed.statement)
                    word = Word(digest=digest, seq=entry.seq, time=entry.time)
                    self.windows[entry.partner][body.window].agreed = word
            case PaymentAdvice():
                book = self.windows[entry.partner][body.window]
                book.sent[entry.digest] = entry.seq
                book.ways.append((entry.time, True))
            case Receipt():
                word = Word(digest=body.payment, seq=entry.seq, time=entry.time)
                self.windows[entry.partner][body.window].confirmed = word
            case End():
                self.notices[entry.partner][body.agreement, body.sender] = Notice(ends_at=body.ends_at, word=word)
            case _:
                pass

    def _claim(self, seq: int, statement: Statement) -> None:
        for stated in statement.checkpoints:
            self._claim_checkpoint(seq, stated)

    def _claim_checkpoint(self, seq: int, stated: CheckpointReference | None) -> None:
        if stated is not None:
            self.claims[first_of(stated.origin)].append(Claim(seq=seq, checkpoint=_checkpoint(stated)))

    def check(self, ledger: Ledger, replay: LogReplay, *, where: str, findings: Findings) -> None:
        """Compare what statements in the log `where` say of the log of `ledger` with its entries."""
        for claim in self.claims.get(ledger, ()):
            replay.check_held(claim.checkpoint, place=f"{where} entry {claim.seq}", findings=findings)


def _checkpoint(stated: CheckpointReference) -> Checkpoint:
    return Checkpoint(origin=stated.origin, size=stated.size, root=Hash(bytes.fromhex(stated.root)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Half:
    """One of two logs under comparison: its name in findings, how many entries were given, its settlement."""

    name: str
    size: int
    windows: Mapping[int, WindowBook]
    notices: Mapping[NoticeName, Notice] = field(default_factory=dict)


def match_settlement(one: Half, other: Half, findings: Findings) -> tuple[int, int]:
    """Return how many statements both logs have, and how many payments both know to have arrived.

    A log may lack what its partner did last; it may not lack what it signed, nor have something else.
    """
    statements = payments = 0
    nothing = WindowBook()
    for window in sorted(one.windows.keys() | other.windows.keys()):
        left, right = one.windows.get(window, nothing), other.windows.get(window, nothing)
        for having, lacking, book, facing in ((one, other, left, right), (other, one, right, left)):
            _match_word(having, lacking, book.agreed, facing.agreed, findings=findings)
            _match_word(having, lacking, book.confirmed, facing.confirmed, findings=findings)
            for payment, word in book.announced.items():
                known = Word(digest=payment, seq=facing.sent[payment]) if payment in facing.sent else None
                _match_word(having, lacking, word, known, findings=findings)
        statements += _same(left.agreed, right.agreed)
        payments += _same(left.confirmed, right.confirmed)
    return statements, payments


def match_notices(one: Half, other: Half, findings: Findings) -> None:
    """Compare until when both logs have the agreements that ended: by the same notices of the same party.

    Of two ends the earlier counts, so logs that have the same notices have the same end. A log may lack the notice
    that its partner gave last; it may not lack one that it gave itself, nor have another.
    """
    for name in sorted(one.notices.keys() | other.notices.keys()):
        left, right = one.notices.get(name), other.notices.get(name)
        if left is not None and right is not None and left.word.digest != right.word.digest:
            ends = f"at {left.ends_at} by entry {left.word.seq} of {one.name}"
            text = f"the agreement {name[0]} ends {ends}, and at {right.ends_at} here, by one notice of {name[1]}"
            findings.broken(FindingCode.AGREEMENTS_DIFFER, f"{other.name} entry {right.word.seq}", text)
            continue
        for having, lacking, notice, facing in ((one, other, left, right), (other, one, right, left)):
            if notice is not None and facing is None:
                _match_word(having, lacking, notice.word, None, findings=findings, code=FindingCode.AGREEMENTS_DIFFER)


def _same(left: Word | None, right: Word | None) -> bool:
    return left is not None and right is not None and left.digest == right.digest


def _match_word(
    having: Half,
    lacking: Half,
    word: Word | None,
    other: Word | None,
    *,
    findings: Findings,
    code: FindingCode = FindingCode.STATEMENTS_DIFFER,
) -> None:
    """Compare what one log says with the other's word of the same thing; where it has none, the entry cited counts."""
    if word is None or _same(word, other):
        return
    place = f"{having.name} entry {word.seq}"
    if other is not None:
        text = f"it is about {word.digest}, and entry {other.seq} of {lacking.name} about {other.digest}"
        findings.broken(code, place, text)
    elif word.promised is not None and word.promised.seq >= lacking.size:
        text = f"the entry it rests on lies ahead: {lacking.name} was given only up to {lacking.size} entries"
        findings.incomplete(FindingCode.BEHIND, place, text)
    elif word.promised is not None:
        text = f"{lacking.name} has not what it signed, in its entry {word.promised.seq}, to have"
        findings.broken(code, place, text)
