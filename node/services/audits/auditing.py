"""Audits of logs wherever they are kept, compared with what this auditor and others have seen before."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from node.peers.log_source import HttpSource, PackageSource
from node.services.audits.audit_crew import Crew
from node.services.audits.audit_state import AuditState
from protocol.agreement import SignedAgreement, key_of
from protocol.audit.accuse import Accusation, accusations, forks
from protocol.audit.evidence import Subject
from protocol.audit.fenced import answer_to, fences_of
from protocol.audit.findings import Verdict
from protocol.audit.kept import LogState
from protocol.audit.known import KnownKeys, PartnerKeys
from protocol.audit.log import STATE_ENTRIES, Keeping, LogAudit, Progress, Source, audit_log
from protocol.audit.meeting import meet
from protocol.audit.outcome import audit_of_state
from protocol.audit.pages import PAGE_MESSAGES_MAX, MessagesPage, decode_messages_page, messages_path
from protocol.audit.report import Report, make_report
from protocol.checkpoint import Checkpoint, parse_checkpoint
from protocol.errors import CouldNotCheck, ProtocolError
from protocol.identifiers import Ledger
from protocol.keys import Role
from protocol.note import Verifier, parse_note
from protocol.policy import Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What somebody else holds of logs: checkpoints, and maybe the states that they were verified with."""

    label: str
    notes: tuple[bytes, ...]
    states: tuple[LogState, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Audited:
    """A report, and the audits of single logs that it was made of, in its order, with where their files are."""

    report: Report
    audits: tuple[LogAudit, ...]
    sources: tuple[Source, ...]
    vkeys: tuple[Verifier, ...] = ()


def _silent(_label: str, _done: int, _size: int) -> None:
    """Report progress to nobody."""


def audit(
    sources: Sequence[Source],
    *,
    vkeys: Sequence[Verifier] = (),
    seen: AuditState | None = None,
    policy: Policy | None = None,
    progress: Progress | None = None,
    accuse: Callable[[Accusation], None] | None = None,
    jobs: int | None = 1,
) -> Report:
    """Return what is found by replaying every log of `sources` and matching each pair of partners among them."""
    told = progress or _silent
    auditing = Auditing(vkeys=tuple(vkeys), seen=seen, policy=policy, progress=told, accuse=accuse, jobs=jobs)
    return auditing.audit(sources).report


@dataclass(frozen=True, slots=True, kw_only=True)
class Auditing:
    """How logs are audited.

    `vkeys` are the logs' keys as they are known from elsewhere; so are those that `agreements` name, documents that
    both parties signed; where none of the logs is that of a key in `vkeys`, the audit is incomplete. With `seen`,
    each log must lead to what it showed to an earlier audit, goes on from what that verified, and is remembered if
    it held; the same must be so of what `others` hold. With `policy`, its logs are known too, and as many witnesses
    as it asks for must have cosigned each checkpoint. With `accuse`, every file of evidence that can be made of
    these logs is handed to it; with `thrifty`, only where the audit is broken are all received messages read once
    more for that. `jobs` processes take part, or as many as there are cores where it is None and there is enough to
    read: what is found is the same.
    """

    vkeys: tuple[Verifier, ...] = ()
    agreements: tuple[SignedAgreement, ...] = ()
    seen: AuditState | None = None
    others: tuple[Held, ...] = ()
    policy: Policy | None = None
    progress: Progress = _silent
    accuse: Callable[[Accusation], None] | None = None
    thrifty: bool = False
    state_entries: int = STATE_ENTRIES
    jobs: int | None = 1

    def audit(self, sources: Sequence[Source]) -> Audited:
        """Return what is found by replaying every log of `sources` and matching each pair of partners among them."""
        verifiers = (*self.vkeys, *anchors_of(self.agreements))
        known = list(self.seen.checkpoints()) if self.seen else []
        with Crew(self.jobs) as crew:
            audits = [self._audited(source, verifiers, known, crew) for source in sources]
        return self._reported(audits, sources)

    def recall(self) -> Audited:
        """Return what the last audits had verified, compared with what `others` hold; no log is read."""
        assert self.seen is not None, "only what was kept can be recalled"
        audits = []
        for state in self.seen.states():
            found = audit_of_state(state, str(self.seen.directory))
            self._meet(found)
            audits.append(found)
        if not audits:
            raise CouldNotCheck(f"{self.seen.directory} holds no state of a log")
        return self._reported(audits, ())

    def _audited(
        self, source: Source, verifiers: Sequence[Verifier], known: Sequence[Checkpoint], crew: Crew
    ) -> LogAudit:
        seen = self.seen
        keeping = Keeping(find=seen.find, keep=seen.keep, every=self.state_entries) if seen else None
        found = audit_log(
            source,
            verifiers=verifiers,
            known=known,
            policy=self.policy,
            progress=self.progress,
            keeping=keeping,
            ahead=crew.reader(source.opening) if isinstance(source, HttpSource | PackageSource) else None,
        )
        self._meet(found)
        # What held is kept at once: whoever stops this audit now does not lose it.
        if seen and found.findings.verdict is Verdict.HELD and found.checkpoint is not None and found.note is not None:
            seen.remember(found.checkpoint, found.note)
            seen.keep(found.state)
        return found

    def _meet(self, found: LogAudit) -> None:
        for held in self.others:
            for note in held.notes:
                place = f"checkpoint of {_size_of(note)}, held in {held.label}"
                meet(found, note, place=place, others=held.states)

    def _reported(self, audits: Sequence[LogAudit], sources: Sequence[Source]) -> Audited:
        report = make_report(audits, vkeys=self.vkeys)
        if self.accuse:
            for accusation in self._accusations(audits, sources, report):
                self.accuse(accusation)
        return Audited(report=report, audits=tuple(audits), sources=tuple(sources), vkeys=self.vkeys)

    def _accusations(
        self, audits: Sequence[LogAudit], sources: Sequence[Source], report: Report
    ) -> Iterator[Accusation]:
        """Yield what the logs, and what was seen of them, prove against those who signed it; each thing once."""
        known: set[tuple[Ledger, Subject, str]] = set()
        for evidence, proved in self._all_accusations(audits, sources, report):
            thing = (proved.accused, proved.subject, proved.name)
            if thing not in known:
                known.add(thing)
                yield evidence, proved

    def _all_accusations(
        self, audits: Sequence[LogAudit], sources: Sequence[Source], report: Report
    ) -> Iterator[Accusation]:
        whole = [log for log in audits if log.is_whole]
        logs = {log.ledger: log for log in whole if log.ledger is not None}
        notes = [*(self.seen.notes() if self.seen else ()), *(note for held in self.others for note in held.notes)]
        for log in whole:
            yield from forks(log, notes)
        shown = [log.note for log in whole if log.note is not None]
        for held in self.others:
            for state in held.states:
                yield from forks(audit_of_state(state, held.label), shown)
        if self.thrifty and report.verdict is not Verdict.BROKEN:
            return
        for log, source in zip(audits, sources, strict=False):
            if log.is_whole:
                found = accusations(log, pages_of(source), logs)
                yield from (each for each in found if not _is_answered(each, log, zip(audits, sources, strict=False)))


def anchors_of(agreements: Sequence[SignedAgreement]) -> tuple[Verifier, ...]:
    """Return the log keys that agreements name; raise `CouldNotCheck` where one is not signed by both parties."""
    known = KnownKeys(agreements=tuple(agreements))
    parties = (party for signed in known.agreements for party in signed.agreement.parties)
    return tuple(Verifier(party.ledger, key_of(party.keys, Role.LOG)) for party in parties)


def held_by(other: AuditState) -> Held:
    """Return what another auditor's directory holds, or raise `CouldNotCheck`."""
    held = Held(label=str(other.directory), notes=tuple(other.notes()), states=tuple(other.states()))
    if not held.notes:
        raise CouldNotCheck(f"{other.directory} holds no checkpoint")
    return held


def _size_of(note: bytes) -> str:
    try:
        return str(parse_checkpoint(parse_note(note).text).size)
    except ProtocolError:
        return "unknown size"


def _is_answered(accusation: Accusation, accuser: LogAudit, shown: Iterable[tuple[LogAudit, Source]]) -> bool:
    """Return whether what the accused received shows the accuser to have signed that the word was not applied."""
    evidence, proved = accusation
    record = accuser.replay.ledger
    assert record is not None, "a whole log says whose it is"
    keys = PartnerKeys(ledger=record.ledger, network=None, keys=record.keys)
    return any(
        answer_to(evidence, fences_of(pages_of(source), record.ledger), keys) is not None
        for log, source in shown
        if log.ledger == proved.accused
    )


def pages_of(source: Source) -> Iterator[MessagesPage]:
    """Yield the pages of received messages at `source`, up to the first that cannot be read; none is verified."""
    page = 0
    while (data := source.fetch(messages_path(page))) is not None:
        try:
            found = decode_messages_page(data)
        except ProtocolError:
            return  # The audit says what is wrong with it.
        yield found
        if len(found.messages) < PAGE_MESSAGES_MAX:
            return
        page += 1
