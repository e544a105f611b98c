"""A ledger put back to an old copy that goes on as a successor, and the partner who gives its words back in order."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec

from protocol.entries import Sealed, body_of, unseal
from protocol.identifiers import Digest, Id, Ledger, successor_of
from protocol.ledger import commands, names, rules, settling
from protocol.ledger.recovery import recover_command
from protocol.ledger.state import AGREEMENTS, ALIASES, IDS, ISSUED_LINKS, LEDGER, LINES, ONLY, OUT, LedgerRecord
from protocol.merkle import Hash, root_of
from protocol.messages import (
    Cancel,
    EntryBody,
    Fulfil,
    Predecessor,
    Prepare,
    Reject,
    StatementSigned,
    Succeeded,
    Unlink,
    receiver_of,
)
from protocol.recovery_entries import SeenCheckpoint
from protocol.statement import Line
from protocol.window_entries import LinesDisputed
from tests.support.documents import digest_of_body, uuid
from tests.support.ledger import MemoryLedger, NeedsLedger, command_of, genesis_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """A body that a partner has: one of ours that it gives back, or one of its own that it says again.

    `tick` is when our lost entry was made, so that the one that recovers it can be lost again.
    """

    body: EntryBody
    digest: Digest
    ours: bool
    tick: int | None = None
    prepare: Prepare | None = None
    entered: tuple[Line, ...] = ()


def ledger_of(ledger: MemoryLedger) -> LedgerRecord:
    """Return what a ledger knows of itself."""
    record = ledger.state.get(LEDGER, ONLY)
    assert record is not None
    return record


def root_after(entries: Sequence[Sealed]) -> Digest:
    """Return the root over `entries`."""
    return Digest(root_of(Hash(bytes.fromhex(sealed.leaf)) for sealed in entries).hex())


def restored(ledger: MemoryLedger, size: int) -> MemoryLedger:
    """Return the ledger as its first `size` entries left it."""
    old = NeedsLedger(ledger.side, seed=size, time=ledger.wall)
    for sealed in ledger.sealed[:size]:
        rules.apply(old.state, unseal(sealed.data))
        old.sealed.append(sealed)
    old.state.take_changes()
    return old


def predecessor_of(lost: MemoryLedger, old: MemoryLedger) -> Predecessor:
    """Return what a successor of `old` says of the log that went on as `lost`."""
    record = ledger_of(old)
    whole = [sealed for sealed in lost.sealed if sealed.entry.seq >= record.first_seq]
    kept = [sealed for sealed in old.sealed if sealed.entry.seq >= record.first_seq]
    return Predecessor(
        ledger=record.log,
        first_seq=record.first_seq,
        size=len(whole),
        root=root_after(whole),
        restored_size=len(kept),
        restored_root=root_after(kept),
    )


def successor_command(old: MemoryLedger, before: Predecessor) -> commands.CreateLedger:
    """Return the command that begins the log after `before`."""
    log = successor_of(before.ledger)
    command = msgspec.structs.replace(genesis_of(old.side), ledger=log, predecessor=before)
    return msgspec.structs.replace(command, id=names.genesis_id(log))


def succeed(lost: MemoryLedger, size: int) -> MemoryLedger:
    """Return a successor of the ledger `lost`, of which `size` entries were restored; all partners are to be asked."""
    old = restored(lost, size)
    old.execute(successor_command(old, predecessor_of(lost, old)))
    return old


def begin(ledger: MemoryLedger, partner: Ledger, *, words: int = 0, seen: SeenCheckpoint | None = None) -> Sealed:
    """Ask a partner for its words."""
    identifier = names.recovery_id(ledger_of(ledger).log, partner)
    return ledger.execute(commands.BeginRecovery(id=identifier, partner=partner, seen=seen, words=words))


def end(ledger: MemoryLedger, partner: Ledger, *, words: int = 0) -> Sealed:
    """Note that a partner has given back all it holds."""
    identifier = names.recovery_ended_id(ledger_of(ledger).log, partner)
    return ledger.execute(commands.EndRecovery(id=identifier, partner=partner, words=words))


def waive(ledger: MemoryLedger, partner: Ledger, *, reason: str = "partner_gone") -> Sealed:
    """Go on without a partner's words."""
    return ledger.execute(commands.WaiveRecovery(id=uuid(f"waive {partner}"), partner=partner, reason=reason))


def take_succession(ledger: MemoryLedger, succeeded: Succeeded) -> Sealed:
    """Let a partner know of a succession."""
    cited = digest_of_body(succeeded)
    identifier = names.succession_id(succeeded.log)
    return ledger.execute(commands.TakeSuccession(id=identifier, request=cited, succeeded=succeeded, digest=cited))


def _said(ledger: MemoryLedger, partner: MemoryLedger) -> Iterator[tuple[Sealed, EntryBody, Digest]]:
    """Yield the entries of `ledger` that made a body for `partner`, in order, with that body."""
    for sealed in ledger.sealed:
        body = body_of(sealed, ledger=ledger.name)
        if body is not None and receiver_of(body, ledger.name) == partner.name:
            yield sealed, body, digest_of_body(body)


def _is_proposal(body: EntryBody) -> bool:
    return isinstance(body, StatementSigned) and len(body.signed.signatures) == 1


def give_back(lost: MemoryLedger, size: int, partner: MemoryLedger) -> list[Word]:
    """Return what was lost with all but `size` entries, in the order in which `partner` came to know it.

    What a ledger enters because of a body carries the body's digest as `request`. What led to no entry counts as heard
    at once, but a PREPARE that was not even cancelled has never arrived.
    """
    heard = {sealed.entry.request: partner.ticks[sealed.entry.seq] for sealed in partner.sealed}
    cancelled = {body.prepare for _, body, _ in _said(lost, partner) if isinstance(body, Cancel)}
    kept = {sealed.entry.request for sealed in lost.sealed[:size]}
    first = lost.sealed[size].entry.seq
    prepares = {digest: body for _, body, digest in _said(partner, lost) if isinstance(body, Prepare)}
    found: list[tuple[int, Word]] = []
    for sealed, body, digest in _said(lost, partner):
        arrived = not isinstance(body, Prepare) or digest in heard or digest in cancelled
        if sealed.entry.seq < first or not arrived:
            continue
        own = lost.ticks[sealed.entry.seq]
        tick = own if digest in cancelled else heard.get(digest, own)
        entered = sealed.entry.entered if isinstance(sealed.entry, LinesDisputed) else ()
        prepare = prepares.get(body.prepare) if isinstance(body, Fulfil | Reject) else None
        word = Word(body=body, digest=digest, ours=True, tick=own, prepare=prepare, entered=entered)
        found.append((tick, word))
    for sealed, body, digest in _said(partner, lost):
        if digest not in kept:
            found.append((partner.ticks[sealed.entry.seq], Word(body=body, digest=digest, ours=False)))
    return [word for _, word in sorted(found, key=lambda each: each[0])]


def _is_linked(ledger: MemoryLedger, unlink: Unlink) -> bool:
    key = (unlink.sender, unlink.alias)
    if unlink.issuer == ledger.name:
        return ledger.state.get(ISSUED_LINKS, key) is not None
    return ledger.state.get(ALIASES, key) is not None


def take_back(ledger: MemoryLedger, partner: MemoryLedger, words: Sequence[Word]) -> list[EntryBody]:
    """Let a successor take in what `partner` gives back, and return what it may decide only when all have done so."""
    waiting: list[EntryBody] = []
    for word in words:
        if word.ours:
            recover(ledger, partner, word)
        elif isinstance(word.body, Prepare | Cancel) or _is_proposal(word.body):
            waiting.append(word.body)
        elif isinstance(word.body, Fulfil) and _concluded(ledger, word.body.id):
            continue  # The partner has refused, too, what it credited: the first word heard counts.
        elif isinstance(word.body, Unlink) and not _is_linked(ledger, word.body):
            continue  # The gap took the link with it: a node refuses the word, and goes on.
        else:
            ledger.execute(settling.command_for(word.body, word.digest) or command_of(word.body))
    return waiting


def _concluded(ledger: MemoryLedger, conversion: Id) -> bool:
    return ledger.state.get(IDS, names.conclusion_id(conversion)) is not None


def recover(ledger: MemoryLedger, partner: MemoryLedger, word: Word, *, share: bool = True) -> Sealed:
    """Let a word of ours stand again; only lines of a dispute that are not here are entered."""
    rows = ((line, ledger.state.get(LINES, (partner.name, OUT, line.dec_seq))) for line in word.entered)
    entered = tuple(line for line, row in rows if row is None)
    command = recover_command(
        word.body, word.digest, partner=partner.name, prepare=word.prepare, entered=entered, share=share
    )
    sealed = ledger.execute(command)
    if word.tick is not None:
        ledger.ticks[sealed.entry.seq] = word.tick
    return sealed


def give_agreements(ledger: MemoryLedger, partner: MemoryLedger) -> None:
    """Let a successor enter the agreements that its partner has and it has not."""
    for digest, record in sorted(partner.state.rows(AGREEMENTS), key=lambda row: row[1].signed.agreement.number):
        if record.partner == ledger.name and ledger.state.get(AGREEMENTS, digest) is None:
            identifier = names.agreement_id(digest)
            ledger.execute(commands.EnterAgreement(id=identifier, signed=record.signed, forced=True))


def recovered(lost: MemoryLedger, size: int, partner: MemoryLedger) -> MemoryLedger:
    """Return the successor of `lost`, of which `size` entries were restored, once `partner` has given back all."""
    ledger = succeed(lost, size)
    ledger.wall = max(ledger.wall, partner.wall, lost.wall)
    begin(ledger, partner.name)
    give_agreements(ledger, partner)
    waiting = take_back(ledger, partner, give_back(lost, size, partner))
    end(ledger, partner.name)
    for body in waiting:
        if not _is_proposal(body):
            ledger.execute(command_of(body))
    return ledger
