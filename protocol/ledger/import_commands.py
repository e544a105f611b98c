"""The commands by which balances of another system come in."""

from typing import TypeAlias

from protocol.identifiers import Account, Digest
from protocol.ledger.command import Command


class BeginImport(Command, frozen=True, kw_only=True):
    """Begin to take in the file of that digest, which has `rows` balances, together `points`."""

    file: Digest
    rows: int
    points: int


class ImportBalance(Command, frozen=True, kw_only=True):
    """Take in a row of the file; without points it opens the account alone."""

    file: Digest
    row: int
    account: Account
    points: int
    origin: str
    earned_on: str
    expires_on: str | None = None


class FinishImport(Command, frozen=True, kw_only=True):
    """Make usable what the file has brought."""

    file: Digest


ImportCommand: TypeAlias = BeginImport | ImportBalance | FinishImport
