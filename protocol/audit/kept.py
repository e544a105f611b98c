"""What an auditor keeps of a verified log, so that the next audit reads only what is new (specs/audit.md §10).

The state is everything that the replay and its books know after a prefix of the log which a signed checkpoint was shown
to lead to. It is derived: whoever loses it replays the log from its first entry and comes to the same.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated, Final, TypeVar

import msgspec
from msgspec import Meta

from protocol.audit.books import Books
from protocol.audit.citations import Citation
from protocol.audit.conversions import Decided, Name, Sent
from protocol.audit.days import Day, Late
from protocol.audit.findings import Finding, FindingCode, Findings
from protocol.audit.kept_rows import KeptRows, rows_of, view_of
from protocol.audit.messages import HeldCheckpoint, MessageMemory, Promise, WaitingMessage
from protocol.audit.registers import RegisterRow
from protocol.audit.replay import LogReplay, LostEnd, PastLog
from protocol.audit.settlements import Claim, Notice, NoticeName, WindowBook
from protocol.audit.successions import KeptSuccessions
from protocol.audit.tree import RecomputedTree
from protocol.checkpoint import parse_checkpoint
from protocol.errors import CouldNotCheck, ProtocolError
from protocol.identifiers import Asset, Digest, Ledger
from protocol.ledger.state import HEAD
from protocol.messages import EntryReference
from protocol.note import parse_note

FORMAT: Final = "tallystick audit state 3"
"""The first words of a state; the number rises with whatever changes its meaning."""

_ENCODER: Final = msgspec.json.Encoder()
_K = TypeVar("_K")
_V = TypeVar("_V")
_Key = tuple[str, Asset]


class StateInvalid(CouldNotCheck):
    """What an auditor kept is damaged, of another format, or does not belong together."""

    code = FindingCode.STATE_INVALID.value


class KeptLog(msgspec.Struct, frozen=True, kw_only=True):
    """A log of the ledger by its leaves' hashes, one after the other; its entries begin at `first_seq`."""

    log: Ledger
    first_seq: int
    leaves: bytes


class _KeptDay(msgspec.Struct, frozen=True, kw_only=True):
    day: str
    end_seq: int
    entries: int
    moves: list[tuple[_Key, int]]


class _KeptMessages(msgspec.Struct, frozen=True, kw_only=True):
    count: int
    held: list[tuple[tuple[Ledger, int], HeldCheckpoint]]
    origins: dict[Digest, EntryReference]
    promises: list[tuple[tuple[Ledger, int], Promise]]
    found: list[Digest]
    frames: dict[Ledger, tuple[int, int]]
    forks: list[Finding]
    waiting: list[WaitingMessage]


class _KeptBooks(msgspec.Struct, frozen=True, kw_only=True):
    tally: list[tuple[_Key, int]]
    sent: list[tuple[Ledger, list[tuple[Name, Sent]]]]
    decided: list[tuple[Ledger, list[tuple[Name, Decided]]]]
    windows: list[tuple[Ledger, list[tuple[int, WindowBook]]]]
    claims: dict[Ledger, list[Claim]]
    notices: list[tuple[Ledger, list[tuple[NoticeName, Notice]]]]
    successions: KeptSuccessions
    citations: dict[Digest, list[Citation]]
    days: list[_KeptDay]
    late: list[tuple[tuple[str, str, str], Late]]
    registers: list[RegisterRow]


class _Kept(msgspec.Struct, frozen=True, kw_only=True):
    v: Annotated[int, Meta(ge=1, le=1)] = 1
    note: bytes
    logs: list[KeptLog]
    lost: dict[Ledger, LostEnd]
    rows: KeptRows
    books: _KeptBooks
    messages: _KeptMessages


_DECODER: Final = msgspec.json.Decoder(_Kept)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogState:
    """A log as far as it was verified: `note` is the signed checkpoint that its entries were shown to lead to."""

    note: bytes
    replay: LogReplay
    books: Books
    memory: MessageMemory


def encode_state(state: LogState) -> bytes:
    """Return the bytes of a state: a line with its format and digest, then JSON."""
    replay = state.replay
    record = replay.ledger
    assert record is not None, "a verified log has its genesis"
    past = [KeptLog(log=log.ledger, first_seq=log.first_seq, leaves=log.tree.leaves()) for log in replay.past]
    own = KeptLog(log=record.log, first_seq=replay.first_seq, leaves=replay.tree.leaves())
    body = _ENCODER.encode(
        _Kept(
            note=state.note,
            logs=[*past, own],
            lost=replay.lost,
            rows=rows_of(replay.view),
            books=_kept_books(state.books),
            messages=_kept_messages(state.memory),
        )
    )
    return _head(body) + body


def decode_state(data: bytes) -> LogState:
    """Return the state in `data`, or raise `StateInvalid`: nothing in it is believed that does not fit together."""
    head, _, body = data.partition(b"\n")
    if not head.startswith(FORMAT.encode()):
        raise StateInvalid("it is no state of this version's auditor")
    if head + b"\n" != _head(body):
        raise StateInvalid("it is damaged: its digest is another one")
    try:
        kept = _DECODER.decode(body)
        return _restored(kept)
    except (msgspec.MsgspecError, ProtocolError, ValueError, LookupError, RecursionError) as error:
        raise StateInvalid(f"it does not hold what a state holds: {error}") from error


def _head(body: bytes) -> bytes:
    return f"{FORMAT} {sha256(body).hexdigest()}\n".encode()


def _restored(kept: _Kept) -> LogState:
    books = _books_of(kept.books)
    replay = LogReplay(findings=Findings(), follower=books, view=view_of(kept.rows))
    *past, own = ((each, RecomputedTree.of(each.leaves)) for each in kept.logs)
    replay.past += [PastLog(log.log, log.first_seq, tree) for log, tree in past]
    replay.tree, replay.applied, replay.first_seq = own[1], own[1].size, own[0].first_seq
    replay.lost.update(kept.lost)
    head = replay.view.get(HEAD, "only")
    if head is None or not replay.size or (head.size, head.leaf) != (replay.end_seq, replay.leaf_of(head.size - 1)):
        raise StateInvalid("its rows are not those after its last entry")
    stated = parse_checkpoint(parse_note(kept.note).text)
    if stated.size < replay.size or (stated.size == replay.size and stated.root != replay.tree.root()):
        raise StateInvalid("its entries do not lead to its checkpoint")
    return LogState(note=kept.note, replay=replay, books=books, memory=_memory_of(kept.messages))


def _kept_books(books: Books) -> _KeptBooks:
    conversions, settlements = books.conversions, books.settlements
    return _KeptBooks(
        tally=list(books.tally.totals.items()),
        sent=_pairs(conversions.sent),
        decided=_pairs(conversions.decided),
        windows=_pairs(settlements.windows),
        claims=settlements.claims,
        notices=_pairs(settlements.notices),
        successions=books.successions.kept(),
        citations=books.citations.by_digest,
        days=[
            _KeptDay(day=day, end_seq=each.end_seq, entries=each.entries, moves=list(each.moves.items()))
            for day, each in books.days.days.items()
        ],
        late=list(books.days.late.items()),
        registers=books.registers.rows,
    )


def _books_of(kept: _KeptBooks) -> Books:
    books = Books()
    for ledger, sent in kept.sent:
        books.conversions.sent[ledger] = dict(sent)
    for ledger, decided in kept.decided:
        books.conversions.decided[ledger] = dict(decided)
    for ledger, windows in kept.windows:
        books.settlements.windows[ledger] = defaultdict(WindowBook, windows)
    books.settlements.claims.update(kept.claims)
    for ledger, notices in kept.notices:
        books.settlements.notices[ledger] = dict(notices)
    books.successions.restore(kept.successions)
    books.citations.by_digest.update(kept.citations)
    for each in kept.days:
        books.days.days[each.day] = Day(end_seq=each.end_seq, entries=each.entries, moves=dict(each.moves))
    books.days.late.update(kept.late)
    if books.tally.totals != dict(kept.tally):
        raise StateInvalid("its totals are not those of its days")
    books.registers.rows += kept.registers
    return books


def _pairs(nested: Mapping[Ledger, Mapping[_K, _V]]) -> list[tuple[Ledger, list[tuple[_K, _V]]]]:
    return [(ledger, list(each.items())) for ledger, each in nested.items()]


def _kept_messages(memory: MessageMemory) -> _KeptMessages:
    return _KeptMessages(
        count=memory.count,
        held=list(memory.held.items()),
        origins=memory.origins,
        promises=list(memory.promises.items()),
        found=sorted(memory.found),
        frames=memory.frames,
        forks=memory.forks,
        waiting=[memory.waiting[number] for number in sorted(memory.waiting)],
    )


def _memory_of(kept: _KeptMessages) -> MessageMemory:
    return MessageMemory(
        count=kept.count,
        held=dict(kept.held),
        origins=kept.origins,
        promises=dict(kept.promises),
        found=set(kept.found),
        frames=kept.frames,
        forks=kept.forks,
        waiting={each.number: each for each in kept.waiting},
    )
