"""Files of evidence against partners, as they go into the store and come out of it."""

from dataclasses import dataclass

from protocol.identifiers import Digest, Id, Ledger


@dataclass(frozen=True, slots=True, kw_only=True)
class Accusation:
    """Keep a file of evidence (specs/audit.md §9) for ever; there is one for each thing that a partner did.

    `digest` is the file's SHA-256 in hex; `subject` and `name` say which thing it is about.
    """

    digest: Digest
    partner: Ledger
    kind: str
    subject: str
    name: str
    conversion: Id | None
    found_at: str
    evidence: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAccusation(Accusation):
    """A file of evidence as it is kept; they are numbered from 0 without gaps."""

    number: int
