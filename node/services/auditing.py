"""Audits of logs wherever they are kept, and what an auditor remembers from one audit to the next."""

import os
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Final

from protocol.audit.accuse import Accusation, accusations, forks
from protocol.audit.evidence import Subject
from protocol.audit.findings import Verdict
from protocol.audit.log import LogAudit, Progress, Source, audit_log
from protocol.audit.pages import PAGE_MESSAGES_MAX, MessagesPage, decode_messages_page, messages_path
from protocol.audit.report import Report, make_report
from protocol.checkpoint import Checkpoint, parse_checkpoint
from protocol.errors import CouldNotCheck, ProtocolError
from protocol.identifiers import Ledger
from protocol.note import Verifier, parse_note
from protocol.policy import Policy

_SUFFIX: Final = ".checkpoint"


def audit(
    sources: Sequence[Source],
    *,
    vkeys: Sequence[Verifier] = (),
    seen: "SeenCheckpoints | None" = None,
    policy: Policy | None = None,
    progress: Progress | None = None,
    accuse: Callable[[Accusation], None] | None = None,
) -> Report:
    """Return what is found by replaying every log of `sources` and matching each pair of partners among them.

    `vkeys` are the logs' keys as they are known from elsewhere. With `seen`, each log must lead to what it showed to
    an earlier audit, and what it shows now is remembered if it held. With `policy`, its logs are known too, and as many
    witnesses as it asks for must have cosigned each checkpoint. With `accuse`, every file of evidence that can be made
    of these logs is handed to it.
    """
    known = list(seen.checkpoints()) if seen else []
    audits = [_audited(source, vkeys, known, policy=policy, progress=progress) for source in sources]
    report = make_report(audits)
    if accuse:
        for accusation in _accusations(list(zip(sources, audits, strict=True)), seen):
            accuse(accusation)
    if seen:
        for each in audits:
            if each.findings.verdict is Verdict.HELD and each.checkpoint is not None and each.note is not None:
                seen.remember(each.checkpoint, each.note)
    return report


def _audited(
    source: Source,
    vkeys: Sequence[Verifier],
    known: Sequence[Checkpoint],
    *,
    policy: Policy | None,
    progress: Callable[..., None] | None,
) -> LogAudit:
    if progress is None:
        return audit_log(source, verifiers=vkeys, known=known, policy=policy)
    return audit_log(source, verifiers=vkeys, known=known, policy=policy, progress=progress)


def _accusations(audited: Sequence[tuple[Source, LogAudit]], seen: "SeenCheckpoints | None") -> Iterator[Accusation]:
    """Yield what the logs, and what was seen of them before, prove against those who signed it; each thing once."""
    logs = {each.ledger: each for _, each in audited if each.ledger is not None and each.is_whole}
    notes = list(seen.notes()) if seen else []
    known: set[tuple[Ledger, Subject, str]] = set()
    for source, log in audited:
        if not log.is_whole:
            continue
        for evidence, proved in (*forks(log, notes), *accusations(log, _pages(source), logs)):
            thing = (proved.accused, proved.subject, proved.name)
            if thing not in known:
                known.add(thing)
                yield evidence, proved


def _pages(source: Source) -> Iterator[MessagesPage]:
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


class SeenCheckpoints:
    """The largest checkpoint of each log that an audit found to hold, in a directory of the auditor's own."""

    def __init__(self, directory: Path) -> None:
        """Remember in `directory`, which is made when there is something to remember."""
        self._directory = directory

    def checkpoints(self) -> Iterator[Checkpoint]:
        """Yield what is remembered; raise `CouldNotCheck` when it cannot be read."""
        try:
            for note in self.notes():
                yield parse_checkpoint(parse_note(note).text)
        except ProtocolError as error:
            raise CouldNotCheck(f"{self._directory}: a checkpoint that was seen before cannot be read") from error

    def notes(self) -> Iterator[bytes]:
        """Yield the signed notes that are remembered; raise `CouldNotCheck` when one cannot be read."""
        try:
            for path in sorted(self._directory.glob(f"*{_SUFFIX}")):
                yield path.read_bytes()
        except OSError as error:
            raise CouldNotCheck(f"{self._directory}: a checkpoint that was seen before cannot be read") from error

    def remember(self, checkpoint: Checkpoint, note: bytes) -> None:
        """Keep a checkpoint that held unless a larger one of its log is kept, durably and in one step."""
        path = self._directory / (sha256(checkpoint.origin.encode()).hexdigest() + _SUFFIX)
        if any(kept.origin == checkpoint.origin and kept.size > checkpoint.size for kept in self.checkpoints()):
            return
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            beside = path.with_suffix(".new")
            with beside.open("wb") as file:
                file.write(note)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
        except OSError as error:
            raise CouldNotCheck(f"{path} cannot be written: {error.strerror}") from error
