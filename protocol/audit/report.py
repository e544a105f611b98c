"""The report of an audit: what each log and each pair came to, one verdict, in JSON and in words (specs/audit.md)."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from protocol.agreement import key_of
from protocol.audit.explain import money
from protocol.audit.figures import Figures, RollForward, partner_line
from protocol.audit.findings import Finding, Verdict, worst
from protocol.audit.liability import liability_text
from protocol.audit.matching import DirectionReport, MoneyMatch, PairReport, are_partners, match_pair
from protocol.audit.outcome import LogAudit
from protocol.audit.successions import OverrideReport, PartnerLogReport, SuccessionReport, story_lines
from protocol.identifiers import Digest, Ledger, partner_of
from protocol.keys import Role
from protocol.ledger.state import AGREEMENTS
from protocol.note import KeyType, Verifier

_ENCODER: Final = msgspec.json.Encoder(order="sorted")
_INDENT: Final = "  "
_DEBIT_ACCOUNTS: Final = frozenset({"receivable", "conversion_cost"})
"""Accounts whose balance people state as a positive number when it is a debit."""


class KeyAnchor(msgspec.Struct, frozen=True, kw_only=True):
    """An agreement in the log of `partner`, signed by both parties, that names the key by which a log is signed."""

    partner: Ledger
    agreement: Digest


class LogReport(msgspec.Struct, frozen=True, kw_only=True):
    """What the audit of one ledger came to; `key_given` tells whether the log's key was known from elsewhere.

    `witnesses` are those of the policy that cosigned the checkpoint, `cosigners` the partners that did. `anchors` are
    the agreements, as the other audited logs have them, that hold the log's key. `resumed` entries were verified by an
    earlier audit, and not read again.

    `log` is the log that the ledger writes now, of `size` entries. `accusations` are what its messages prove of
    partners: they weigh in the report's verdict, not in this log's.
    """

    source: str
    ledger: Ledger | None
    log: Ledger | None
    verdict: Verdict
    size: int | None
    root: str | None
    last_time: str | None
    key_given: bool
    witnesses: tuple[str, ...]
    messages: int
    figures: Figures | None
    successions: tuple[SuccessionReport, ...]
    partner_logs: tuple[PartnerLogReport, ...]
    overrides: tuple[OverrideReport, ...]
    findings: tuple[Finding, ...]
    finding_count: int
    accusations: tuple[Finding, ...]
    anchors: tuple[KeyAnchor, ...] = ()
    cosigners: tuple[str, ...] = ()
    resumed: int = 0


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What an audit came to; its fields are specified in specs/audit.md.

    `unmatched` are partners of whom no log was given, `absent` are ledgers of which a key was given and no log.
    """

    v: Annotated[int, Meta(ge=1, le=1)] = 1
    verdict: Verdict
    logs: tuple[LogReport, ...]
    pairs: tuple[PairReport, ...]
    unmatched: tuple[str, ...]
    absent: tuple[str, ...] = ()

    def json(self) -> bytes:
        """Return the report as one JSON object."""
        return _ENCODER.encode(self)

    def lines(self) -> Iterator[str]:
        """Yield the report as a person reads it."""
        for log in self.logs:
            yield from _log_lines(log)
        for pair in self.pairs:
            yield from _pair_lines(pair)
        for name in self.unmatched:
            yield f"Not matched: conversions with {name}, whose log was not given."
        for name in self.absent:
            yield f"incomplete: a key of {name} was given, and none of these logs is that ledger's."
        yield f"Verdict: {self.verdict}."


def make_report(audits: Sequence[LogAudit], *, vkeys: Iterable[Verifier] = ()) -> Report:
    """Return the report of `audits`, each pair of partners among them matched.

    Whoever gives a log's key among `vkeys` wants that log audited: where there is none, the audit is incomplete.
    """
    pairs = tuple(match_pair(one, two) for one, two in combinations(audits, 2) if are_partners(one, two))
    logs = tuple(_log_report(audit, audits) for audit in audits)
    given = {audit.ledger for audit in audits}
    named = {ledger for audit in audits for ledger in (*audit.book.sent, *audit.book.decided)}
    brands = {partner_of(ledger) for ledger in given if ledger is not None}
    wanted = {each.name for each in vkeys if each.type is KeyType.ED25519}
    absent = tuple(sorted(name for name in wanted if partner_of(Ledger(name)) not in brands))
    return Report(
        verdict=worst(
            [*(log.verdict for log in logs), *(pair.verdict for pair in pairs)]
            + [accusation.verdict for log in logs for accusation in log.accusations]
            + [Verdict.INCOMPLETE for _ in absent]
        ),
        logs=logs,
        pairs=pairs,
        unmatched=tuple(sorted(named - given)),
        absent=absent,
    )


def anchors_of(audit: LogAudit, audits: Iterable[LogAudit]) -> Iterator[KeyAnchor]:
    """Yield the agreements in the other logs that name the key of a log: each was signed by the other party too."""
    record = audit.replay.ledger
    if record is None:
        return
    own = key_of(record.keys, Role.LOG)
    for other in audits:
        if other.ledger is None or other.ledger == record.ledger:
            continue
        for digest, entered in other.replay.view.rows(AGREEMENTS):
            parties = {party.ledger: party for party in entered.signed.agreement.parties}
            if record.ledger in parties and key_of(parties[record.ledger].keys, Role.LOG) == own:
                yield KeyAnchor(partner=other.ledger, agreement=digest)


def _log_report(audit: LogAudit, audits: Sequence[LogAudit]) -> LogReport:
    return LogReport(
        source=audit.label,
        ledger=audit.ledger,
        log=None if audit.replay.ledger is None else audit.replay.ledger.log,
        verdict=audit.findings.verdict,
        size=None if audit.checkpoint is None else audit.checkpoint.size,
        root=None if audit.checkpoint is None else audit.checkpoint.root.hex(),
        last_time=audit.replay.head.time or None,
        key_given=audit.key_given,
        witnesses=audit.witnesses,
        messages=0 if audit.messages is None else audit.messages.count,
        figures=audit.figures,
        successions=audit.successions.successions,
        partner_logs=audit.successions.partner_logs,
        overrides=audit.successions.overrides,
        findings=audit.findings.listed,
        finding_count=audit.findings.count,
        accusations=() if audit.messages is None else audit.messages.accusations.listed,
        anchors=tuple(anchors_of(audit, audits)),
        cosigners=audit.cosigners,
        resumed=audit.resumed,
    )


def _log_lines(log: LogReport) -> Iterator[str]:
    name = log.ledger or log.source
    if log.size is None:
        yield f"{name}: {log.verdict}, no checkpoint could be read"
    else:
        where = f" of {log.log}" if log.successions else ""
        yield f"{name}: {log.verdict}, {log.size} entries{where} under {log.root}"
    if log.verdict is Verdict.HELD:
        yield f"{_INDENT}every entry follows the rules and the one before, and the log's key signed their root"
        if log.anchors and not log.key_given:
            partners = ", ".join(sorted({anchor.partner for anchor in log.anchors}))
            yield f"{_INDENT}the key is the one that genesis names, and the agreement that {partners} signed"
        elif not log.key_given:
            yield f"{_INDENT}the key is the one that genesis names: compare it with what the operator told you"
    if log.resumed:
        yield f"{_INDENT}{log.resumed:,} of the entries were verified by an earlier audit, and not read again"
    for witness in log.witnesses:
        yield f"{_INDENT}{witness} cosigned the checkpoint as a witness"
    for partner in log.cosigners:
        yield f"{_INDENT}{partner} cosigned the checkpoint as a partner"
    for line in story_lines(log.successions, log.partner_logs, log.overrides):
        yield f"{_INDENT}{line}"
    if log.figures is not None:
        yield from _figure_lines(log.figures)
    yield from _finding_lines(log.findings, log.finding_count)
    for accusation in log.accusations:
        yield f"{_INDENT}against a partner: {accusation.line}"


def _figure_lines(figures: Figures) -> Iterator[str]:
    yield f"{_INDENT}{_rolled(figures.roll_forward)}"
    for text in liability_text(figures.liability):
        yield f"{_INDENT}{text}"
    for each in figures.conversions:
        yield f"{_INDENT}{partner_line(each)}"
    for line in figures.money:
        sign = -1 if line.account in _DEBIT_ACCOUNTS else 1
        yield f"{_INDENT}{line.account} {line.partner}: {money(sign * int(line.amount))} {line.currency}"


def _rolled(rolled: RollForward) -> str:
    parts = [
        (" + ", rolled.issued, "issued"),
        (" + ", rolled.imported, "imported"),
        (" + ", rolled.converted_in, "converted in"),
        (" − ", rolled.redeemed, "redeemed"),
        (" − ", rolled.converted_out, "converted out"),
        (" − ", rolled.fees, "fees"),
        (" − ", rolled.expired, "expired"),
        (" + ", rolled.adjusted, "adjusted"),
    ]
    text = "".join(f"{sign}{int(amount):,} {word}" for sign, amount, word in parts if amount != "0")
    closing = f"{int(rolled.closing):,}"
    start, holders = int(rolled.opening), int(rolled.holders)
    return f"{rolled.points}: {start:,} at the start{text} = {closing}; holders have {holders:,}"


def _pair_lines(pair: PairReport) -> Iterator[str]:
    settled = f", {pair.statements} statements agreed, {pair.payments} payments confirmed" if pair.statements else ""
    agreed = "1 agreement" if pair.agreements == 1 else f"{pair.agreements} agreements"
    yield f"{pair.first} and {pair.second}: {pair.verdict}, {agreed} in both{settled}"
    for direction in pair.directions:
        yield f"{_INDENT}{_direction_line(direction)}"
    yield from _finding_lines(pair.findings, pair.finding_count)


def _direction_line(direction: DirectionReport) -> str:
    text = (
        f"{direction.source} to {direction.destination}: {direction.completed} completed and "
        f"{direction.returned} returned match, {direction.pending} pending"
    )
    return "; ".join((text, *map(_money_text, direction.money)))


def _money_text(match: MoneyMatch) -> str:
    return f"{money(int(match.payable))} {match.currency} owed, {money(int(match.receivable))} expected"


def _finding_lines(findings: tuple[Finding, ...], count: int) -> Iterator[str]:
    for finding in findings:
        yield f"{_INDENT}{finding.verdict}: {finding.line}"
    if count > len(findings):
        yield f"{_INDENT}and {count - len(findings)} more findings"
