"""The program's terms: what is in force, and how they are set anew."""

from dataclasses import dataclass

import msgspec

from node.services.answers import Document, EntryAnswer
from node.services.context import Context
from node.services.pending import Pending
from node.services.program.time_zones import offsets_of
from node.services.render import document_of
from protocol.identifiers import Id
from protocol.ledger.program_commands import SetProgram
from protocol.ledger.program_state import PROGRAM
from protocol.ledger.state import ONLY
from protocol.program import DEFAULT_TERMS, ProgramTerms, check_terms, day_of


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramRequest:
    """Set the program's terms, for a reason in one word; the node completes their offsets by itself."""

    id: Id
    terms: ProgramTerms
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramView:
    """The terms in force, the entry that set them, if any has, and the program's calendar day."""

    terms: Document
    entered_seq: int | None
    today: str


class ProgramService:
    """Shows and sets a program's terms."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @property
    def terms(self) -> ProgramTerms:
        """Return the terms in force."""
        record = self._context.reader.record(PROGRAM, ONLY)
        return DEFAULT_TERMS if record is None else record.terms

    @property
    def today(self) -> str:
        """Return the program's calendar day."""
        return day_of(self.terms, self._context.now)

    def show(self) -> ProgramView:
        """Return the terms in force."""
        record = self._context.reader.record(PROGRAM, ONLY)
        terms = DEFAULT_TERMS if record is None else record.terms
        return ProgramView(
            terms=document_of(terms),
            entered_seq=None if record is None else record.entered_seq,
            today=day_of(terms, self._context.now),
        )

    def set(self, request: ProgramRequest) -> Pending[EntryAnswer]:
        """Let the program have these terms, or raise `ProgramInvalid`."""
        return self._context.execute(self.command(request))

    def completed(self, asked: ProgramTerms) -> ProgramTerms:
        """Return `asked` with the offsets of its time zone from now on, checked, or raise `ProgramInvalid`."""
        offsets = offsets_of(asked.time_zone, since=self._context.clock.now())
        terms = msgspec.structs.replace(asked, offsets=offsets)
        check_terms(terms)
        return terms

    def command(self, request: ProgramRequest) -> SetProgram:
        """Return what sets these terms, complete and checked, or raise `ProgramInvalid`."""
        asked = msgspec.structs.replace(request.terms, offsets=())
        terms = self.completed(asked)
        # What was asked for has no offsets: a repeat of it, a year later, is still the same request.
        fields = {"id": request.id, "terms": msgspec.json.encode(asked).decode(), "reason": request.reason}
        digest = self._context.digests.digest("program", fields)
        return SetProgram(id=request.id, request=digest, terms=terms, reason=request.reason)
