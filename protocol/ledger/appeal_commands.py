"""What can be asked of a ledger about appeals."""

from typing import TypeAlias

from protocol.appeal_entries import AppealOutcome, AppealParty
from protocol.identifiers import Account, Digest, Id
from protocol.ledger.command import Command


class OpenAppeal(Command, frozen=True, kw_only=True):
    """Appeal for a holder; the program is to decide by the end of the day `deadline`."""

    account: Account
    reason: str
    deadline: str
    by: AppealParty
    about: Id | None = None
    metadata: Digest | None = None


class SayToAppeal(Command, frozen=True, kw_only=True):
    """Say something about an appeal; with `asks`, the program waits for an answer."""

    appeal: Id
    by: AppealParty
    metadata: Digest
    asks: bool = False


class DecideAppeal(Command, frozen=True, kw_only=True):
    """End an appeal without moving points."""

    appeal: Id
    outcome: AppealOutcome
    reason: str
    metadata: Digest | None = None


AppealCommand: TypeAlias = OpenAppeal | SayToAppeal | DecideAppeal
