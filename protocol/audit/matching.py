"""Two ledgers whose halves must match: every conversion, every promise, every amount owed (specs/audit.md).

The destination decides and the source follows, so a decision that the source has not heard of yet is pending, while a
decision that only the source knows is broken. A log that was given up to an earlier time than its partner's is behind:
what lies beyond its end could not be checked.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Final

import msgspec

from protocol.agreement import agreement_digest
from protocol.audit.conversions import Decided, Decision, Name, Sent
from protocol.audit.findings import Finding, FindingCode, Findings, Verdict
from protocol.audit.messages import Promise
from protocol.audit.outcome import LogAudit
from protocol.audit.settlements import Half, match_notices, match_settlement
from protocol.identifiers import Asset, Digest, Ledger, first_of
from protocol.ledger.state import AGREEMENTS, PARTNERS
from protocol.messages import EntryReference


class MoneyMatch(msgspec.Struct, frozen=True, kw_only=True):
    """What completed conversions made the source owe, and what they made the destination expect, in millionths."""

    currency: Asset
    payable: str
    receivable: str


class DirectionReport(msgspec.Struct, frozen=True, kw_only=True):
    """The conversions from one ledger to another: how many halves match, and how many wait for the source."""

    source: Ledger
    destination: Ledger
    completed: int
    returned: int
    pending: int
    money: tuple[MoneyMatch, ...]


class PairReport(msgspec.Struct, frozen=True, kw_only=True):
    """What matching two ledgers found."""

    first: str
    second: str
    verdict: Verdict
    agreements: int
    directions: tuple[DirectionReport, ...]
    findings: tuple[Finding, ...]
    finding_count: int
    statements: int = 0
    payments: int = 0


def are_partners(first: LogAudit, second: LogAudit) -> bool:
    """Return whether one of two logs names the other's ledger as a partner."""
    pairs = ((first, second), (second, first))
    return any(one.ledger and two.replay.view.get(PARTNERS, one.ledger) is not None for one, two in pairs)


def match_pair(first: LogAudit, second: LogAudit) -> PairReport:
    """Return how the halves of two logs match; neither is believed more than the other."""
    findings = Findings()
    directions: tuple[DirectionReport, ...] = ()
    agreements = statements = payments = 0
    whole = [audit for audit in (first, second) if audit.is_whole]
    if len(whole) == len((first, second)):
        for one, two in ((first, second), (second, first)):
            _check_introduction(one, two, findings)
            _check_received(one, two, findings)
            _check_statements(one, two, findings)
        agreements = _match_agreements(first, second, findings)
        halves = _half(first, second), _half(second, first)
        match_notices(*halves, findings)
        statements, payments = match_settlement(*halves, findings)
        directions = tuple(_Direction(one, two, findings).match() for one, two in ((first, second), (second, first)))
    else:
        for audit in (first, second):
            if not audit.is_whole:
                findings.incomplete(FindingCode.NOT_MATCHED, audit.name, "the log could not be replayed to its end")
    return PairReport(
        first=first.name,
        second=second.name,
        verdict=findings.verdict,
        agreements=agreements,
        statements=statements,
        payments=payments,
        directions=directions,
        findings=findings.listed,
        finding_count=findings.count,
    )


def _check_introduction(one: LogAudit, two: LogAudit, findings: Findings) -> None:
    """Compare what `one` noted of `two` with what the genesis of `two` says."""
    own = two.replay.ledger
    assert own is not None, "a whole log has its genesis"
    record = one.replay.view.get(PARTNERS, own.ledger)
    if record is not None and (record.keys, record.points) != (own.keys, own.points):
        text = f"it knows {own.ledger} by other keys or points than those of its genesis"
        findings.broken(FindingCode.KEYS_DIFFER, f"{one.name} entry {record.added_seq}", text)


def _check_received(one: LogAudit, two: LogAudit, findings: Findings) -> None:
    """Compare what `two` signed to `one` about its own log with that log: its checkpoints, and the leaves it named."""
    if one.messages is None:
        return
    replay = two.replay
    for (log, size), held in one.messages.held.items():
        if first_of(log) == two.ledger:
            place = f"{log} checkpoint of {size}, held by {one.name} (message {held.number})"
            replay.check_held(held.checkpoint, place=place, findings=findings)
    for (ledger, seq), promise in one.messages.promises.items():
        if ledger == two.ledger and not two.lies_ahead(seq, partner=one.ledger):
            _check_promise(one, two, seq, promise, findings=findings)


def _check_promise(one: LogAudit, two: LogAudit, seq: int, promise: Promise, *, findings: Findings) -> None:
    """Compare a leaf that `two` named to `one` with its entry, or with the word of it that stands again."""
    found = two.replay.leaf_of(seq) or two.successions.recovered.get(seq)
    if found == promise.leaf:
        return
    text = f"another entry stands there than the one it named in message {promise.number} of {one.name}"
    if found is None:
        text = f"it was lost, and what message {promise.number} of {one.name} says of it does not stand again"
    findings.broken(FindingCode.PROMISE_BROKEN, f"{two.name} entry {seq}", text)


def _check_statements(one: LogAudit, two: LogAudit, findings: Findings) -> None:
    """Compare what the statements in `one` say of the log of `two` with that log."""
    assert two.ledger is not None, "a whole log has its genesis"
    one.settlements.check(two.ledger, two.replay, where=one.name, findings=findings)


def _half(one: LogAudit, two: LogAudit) -> Half:
    """Return the settlement of `one` with `two`."""
    assert two.ledger is not None, "a whole log has its genesis"
    settlements = one.settlements
    return Half(
        name=one.name,
        size=one.replay.end_seq,
        windows=settlements.windows.get(two.ledger, {}),
        notices=settlements.notices.get(two.ledger, {}),
    )


def _match_agreements(first: LogAudit, second: LogAudit, findings: Findings) -> int:
    """Return how many agreements both entered; one side may be ahead, but never on another branch."""
    ours, theirs = (list(_agreements(one, two)) for one, two in ((first, second), (second, first)))
    shared = 0
    for number, (left, right) in enumerate(zip(ours, theirs, strict=False), 1):
        if left != right:
            text = f"as agreement {number} one entered {left}, the other {right}"
            findings.broken(FindingCode.AGREEMENTS_DIFFER, f"{first.name} and {second.name}", text)
            break
        shared = number
    return shared


def _agreements(one: LogAudit, two: LogAudit) -> Iterator[Digest]:
    """Yield the agreements of `one` with `two` in the order in which they bind."""
    records = [record for _, record in one.replay.view.rows(AGREEMENTS) if record.partner == two.ledger]
    for record in sorted(records, key=lambda record: record.signed.agreement.number):
        yield agreement_digest(record.signed.agreement)


class _Direction:
    """The conversions from `source` to `destination`, half by half."""

    def __init__(self, source: LogAudit, destination: LogAudit, findings: Findings) -> None:
        assert source.ledger is not None, "a whole log has its genesis"
        assert destination.ledger is not None, "a whole log has its genesis"
        self.source = source
        self.destination = destination
        self.findings = findings
        self.source_ledger: Final = source.ledger
        self.destination_ledger: Final = destination.ledger
        self.sent = source.book.sent.get(destination.ledger, {})
        self.decided = destination.book.decided.get(source.ledger, {})
        self.payable: Counter[Asset] = Counter()
        self.receivable: Counter[Asset] = Counter()
        self.counts = {"completed": 0, "returned": 0, "pending": 0}

    def match(self) -> DirectionReport:
        """Match every conversion that either half names."""
        for name, sent in self.sent.items():
            self._match_sent(name, sent, self.decided.get(name))
        for name, decided in self.decided.items():
            if name not in self.sent:
                self._match_unsent(name, decided)
        self._check_numbers()
        money = self._match_money()
        return DirectionReport(
            source=self.source_ledger,
            destination=self.destination_ledger,
            completed=self.counts["completed"],
            returned=self.counts["returned"],
            pending=self.counts["pending"],
            money=money,
        )

    def _match_sent(self, name: Name, sent: Sent, decided: Decided | None) -> None:
        place = f"{self.source.name} entry {sent.decision.seq if sent.decision else sent.held.seq}"
        if decided is not None and not self._agrees(place, name, sent, decided):
            return
        if sent.decision is None:
            self.counts["pending"] += 1
        elif decided is None:
            self._match_undecided(place, sent.decision)
        elif self._follows(place, sent.decision, decided):
            self.counts["completed" if sent.decision.credited else "returned"] += 1
            self.payable[sent.terms.currency] += sent.decision.owed
            self.receivable[sent.terms.currency] += decided.due

    def _agrees(self, place: str, name: Name, sent: Sent, decided: Decided) -> bool:
        """Return whether both halves are about the same PREPARE on the same terms."""
        if sent.prepare != decided.prepare:
            text = f"the two ledgers mean different PREPAREs by the conversion {name.id}"
        elif decided.terms is not None and decided.terms != sent.terms:
            text = f"the two ledgers give the conversion {name.id} different amounts"
        else:
            return True
        self.findings.broken(FindingCode.TERMS_DIFFER, place, text)
        return False

    def _match_undecided(self, place: str, decision: Decision) -> None:
        """Judge a decision that the destination does not have."""
        if self.destination.lies_ahead(decision.promised.seq, partner=self.source_ledger):
            text = f"{self.destination.name} was given only up to {self.destination.replay.end_seq} entries"
            self.findings.incomplete(FindingCode.BEHIND, place, f"the promised entry lies ahead: {text}")
            return
        what = "credited" if decision.credited else "refused"
        text = f"{self.destination.name} has not {what} the conversion, though it signed that it had"
        self.findings.broken(FindingCode.DECISION_MISSING, place, text)

    def _follows(self, place: str, decision: Decision, decided: Decided) -> bool:
        """Return whether the source concluded what the destination decided, word for word."""
        credited = decided.terms is not None
        if decision.credited != credited:
            text = f"it was {_word(decision.credited)} here and {_word(credited)} at {self.destination.name}"
            self.findings.broken(FindingCode.DECISIONS_CONTRADICT, place, text)
        elif decision.promised != decided.entry:
            text = (
                f"{self.destination.name} promised its entry {_quoted(decision.promised)}, "
                f"the decision is its entry {_quoted(decided.entry)}"
            )
            self.findings.broken(FindingCode.PROMISE_BROKEN, place, text)
        elif decision.body != decided.body:
            text = "the message it cites is not the one that the deciding entry makes"
            self.findings.broken(FindingCode.TERMS_DIFFER, place, text)
        else:
            return True
        return False

    def _match_unsent(self, name: Name, decided: Decided) -> None:
        """Judge a decision about a conversion that the source does not have."""
        place = f"{self.destination.name} entry {decided.entry.seq}"
        messages = self.destination.messages
        cited = decided.cancel or decided.prepare
        origin = decided.source_entry or (messages.origins.get(cited) if messages else None)
        if origin is None or self.source.lies_ahead(origin.seq, partner=self.destination_ledger):
            text = f"{self.source.name} was given only up to {self.source.replay.end_seq} entries"
            self.findings.incomplete(FindingCode.BEHIND, place, f"the order lies ahead: {text}")
            return
        text = f"{self.source.name} has no such conversion ({name.id}), though it signed that it had"
        self.findings.broken(FindingCode.ORDER_MISSING, place, text)

    def _check_numbers(self) -> None:
        """Hold that the destination numbered its credits 1, 2, 3 and so on."""
        numbers = sorted(each.dec_seq for each in self.decided.values() if each.dec_seq is not None)
        for expected, number in enumerate(numbers, 1):
            if number != expected:
                text = f"the credit that follows number {expected - 1} has number {number}"
                place = f"{self.destination.name} credits from {self.source.name}"
                self.findings.broken(FindingCode.DECISIONS_GAPPED, place, text)
                return

    def _match_money(self) -> tuple[MoneyMatch, ...]:
        lines = []
        for currency in sorted(self.payable.keys() | self.receivable.keys()):
            payable, receivable = self.payable[currency], self.receivable[currency]
            lines.append(MoneyMatch(currency=currency, payable=str(payable), receivable=str(receivable)))
            if payable != receivable:
                text = f"it owes {payable}, {self.destination.name} expects {receivable} millionths of {currency}"
                self.findings.broken(FindingCode.MONEY_DIFFERS, self.source.name, text)
        return tuple(lines)


def _word(credited: bool) -> str:  # noqa: FBT001 - a word for one of two values
    return "captured as credited" if credited else "returned as refused"


def _quoted(reference: EntryReference) -> str:
    return f"{reference.seq} ({reference.leaf[:16]}…)"
