"""Evidence against partners: gathered from what they signed, listed, and handed out as files (specs/audit.md §9)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from node.engine.work import Desk
from node.services.channel.misconduct import accuse, keys_of
from node.services.context import Context
from node.services.logs.pages import sighting_of
from node.services.refusals import NodeCode, NodeRefusal
from node.store.reader import StoreReader
from node.store.rows import PutSetting
from protocol.audit.evidence import Contradiction, Evidence, Fork
from protocol.audit.known import PartnerKeys
from protocol.checkpoint import parse_checkpoint
from protocol.identifiers import Digest, Ledger
from protocol.ledger.state import PARTNERS
from protocol.ledger.view import Need, Overlay
from protocol.note import parse_note

CURSOR_SETTING: Final = "evidence_cursor"
MESSAGES_MAX: Final = 10_000
"""Received bodies that are compared at a time with earlier ones."""

PAIRS_MAX: Final = 1_000
_MESSAGES: Final = "messages_received"
_CHECKPOINTS: Final = "partner_checkpoints"

Found: TypeAlias = tuple[Ledger, Evidence]


@dataclass(frozen=True, slots=True, kw_only=True)
class AccusationView:
    """A file of evidence against a partner: `digest` is its SHA-256, by which it can be had.

    `subject` and `name` say what it is about (specs/http.md), `kind` which kind of file it is (specs/audit.md).
    """

    digest: str
    partner: str
    kind: str
    subject: str
    name: str
    conversion: str | None
    found_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AccusationPage:
    """Files of evidence, the newest first; `next` is the cursor of the page after, if there is one."""

    evidence: tuple[AccusationView, ...]
    next: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """How many received bodies, and how many checkpoints of partners, have been compared with all before them."""

    messages: int = 0
    checkpoints: int = 0

    @property
    def text(self) -> str:
        """Return the cursor as the store keeps it."""
        return f"{self.messages} {self.checkpoints}"


class AccuseWork:
    """Keeps evidence, and how far the search for it has come."""

    def __init__(self, reader: StoreReader, found: Sequence[tuple[PartnerKeys, Evidence]], cursor: Cursor) -> None:
        """Keep what is `found` unless there is evidence about the same thing."""
        self._reader = reader
        self._found = found
        self._cursor = cursor

    def needs(self, _view: Overlay) -> Iterator[Need]:
        """Need nothing."""
        return iter(())

    def run(self, desk: Desk) -> int:
        """Return how much was kept."""
        desk.stage(PutSetting(CURSOR_SETTING, self._cursor.text))
        return sum(accuse(desk, self._reader, evidence, keys=keys) for keys, evidence in self._found)


class AccusationsService:
    """What partners have signed that proves misconduct."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._reader = context.reader
        self._saved: Cursor | None = None
        self._cursor = Cursor()

    def gather(self) -> int:
        """Compare what came since the last call with all before it, keep what contradicts, and return how much."""
        if self._saved is None:
            self._saved = self._cursor = self._saved_cursor()
        end, found = self._look(self._cursor)
        kept = 0
        # What a node forgets at a restart it only looks at again, so not every step needs a commit.
        if found or end.messages - self._saved.messages >= MESSAGES_MAX:
            kept = self._context.writer.submit(AccuseWork(self._reader, self._with_keys(found), end)).result()
            self._saved = end
        self._cursor = end
        return kept

    def page(self, *, before: int | None, limit: int) -> AccusationPage:
        """Return up to `limit` files of evidence, the newest first, those before the cursor."""
        rows = self._reader.accusations(before, limit + 1)
        views = tuple(
            AccusationView(
                digest=row.digest,
                partner=row.partner,
                kind=row.kind,
                subject=row.subject,
                name=row.name,
                conversion=row.conversion,
                found_at=row.found_at,
            )
            for row in rows[:limit]
        )
        return AccusationPage(evidence=views, next=rows[limit - 1].number if len(rows) > limit else None)

    def file(self, digest: Digest) -> bytes:
        """Return a file of evidence, or raise `not_found`."""
        found = self._reader.accusation(digest)
        if found is None:
            raise NodeRefusal(NodeCode.NOT_FOUND, f"there is no evidence {digest}")
        return found.evidence

    def _saved_cursor(self) -> Cursor:
        kept = self._reader.setting(CURSOR_SETTING)
        if kept is None:
            return Cursor()
        messages, checkpoints = map(int, kept.split())
        return Cursor(messages=messages, checkpoints=checkpoints)

    def _look(self, begin: Cursor) -> tuple[Cursor, list[Found]]:
        """Return how far was looked, and what was found."""
        heads = {head.name: head.count for head in self._reader.evidence_heads()}
        end = min(heads.get(_MESSAGES, 0), begin.messages + MESSAGES_MAX)
        found = list(self._forks(begin.checkpoints)) if heads.get(_CHECKPOINTS, 0) > begin.checkpoints else []
        pairs: list[tuple[int, int]] = []
        if end > begin.messages:
            pairs = self._reader.words_twice(from_number=begin.messages, before_number=end, limit=PAIRS_MAX)
            found += self._contradictions(pairs)
        if len(pairs) == PAIRS_MAX:
            # Of one body that contradicts as many as this, the rest proves nothing new.
            end = max(pairs[-1][0], begin.messages + 1)
        return Cursor(messages=end, checkpoints=heads.get(_CHECKPOINTS, 0)), found

    def _contradictions(self, pairs: Sequence[tuple[int, int]]) -> Iterator[Found]:
        for later, earlier in pairs:
            first, second = self._reader.received_numbered(earlier), self._reader.received_numbered(later)
            if first is not None and second is not None:
                yield first.partner, Contradiction(first=sighting_of(first), second=sighting_of(second))

    def _forks(self, from_number: int) -> Iterator[Found]:
        for older, newer in self._reader.checkpoints_twice(from_number):
            root = parse_checkpoint(parse_note(newer.note).text).root
            yield (
                older.ledger,
                Fork(earlier=older.note.decode(), later=newer.note.decode(), root=Digest(root.hex()), proof=()),
            )

    def _with_keys(self, found: Sequence[Found]) -> list[tuple[PartnerKeys, Evidence]]:
        partners = ((ledger, self._reader.record(PARTNERS, ledger), evidence) for ledger, evidence in found)
        return [(keys_of(ledger, record), evidence) for ledger, record, evidence in partners if record is not None]
