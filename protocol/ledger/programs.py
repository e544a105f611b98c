"""The program's terms: how they are set, and which are in force (specs/program.md)."""

from collections.abc import Iterator

from protocol.errors import Code, ProgramInvalid, Refusal
from protocol.ledger.approvals import check_terms_approved, needs_approval
from protocol.ledger.moment import Moment, occurred
from protocol.ledger.postings import ledger_record
from protocol.ledger.program_commands import SetProgram
from protocol.ledger.program_state import PROGRAM, ProgramRecord
from protocol.ledger.state import ONLY
from protocol.ledger.view import Need, Overlay, View
from protocol.program import DEFAULT_TERMS, ProgramTerms, check_terms
from protocol.program_entries import ProgramSet


def terms_of(view: View) -> ProgramTerms:
    """Return the terms in force."""
    record = view.get(PROGRAM, ONLY)
    return DEFAULT_TERMS if record is None else record.terms


def needs_set(_view: Overlay, command: SetProgram) -> Iterator[Need]:
    """Name the approval; the terms in force are loaded with every command."""
    yield needs_approval(command.id)


def decide_set(_view: View, command: SetProgram, moment: Moment) -> ProgramSet:
    """Propose other terms."""
    return ProgramSet(
        id=command.id,
        request=command.request,
        occurred_on=occurred(command, moment),
        terms=command.terms,
        reason=command.reason,
    )


def apply_set(view: View, entry: ProgramSet) -> None:
    """Let other terms, which make sense together, be in force from here on."""
    ledger_record(view)
    try:
        check_terms(entry.terms)
    except ProgramInvalid as error:
        raise Refusal(Code.PROGRAM_INVALID, str(error)) from error
    if entry.terms == terms_of(view):
        raise Refusal(Code.PROGRAM_UNCHANGED, "the program has these terms already")
    check_terms_approved(view, entry)
    view.put(PROGRAM, ONLY, ProgramRecord(terms=entry.terms, entered_seq=entry.seq))
