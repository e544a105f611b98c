"""The entry kinds of appeals: what a holder does not accept, what was said, and the decision (specs/appeals.md).

What people write is personal: it stands in an erasable row beside the ledger, the entry keeps a salted digest of it.
"""

from enum import StrEnum, unique
from typing import Final, TypeAlias

from protocol.entry import Entry, EntryId
from protocol.fields import DateField, DigestField, HolderField, ReasonField, UuidField

APPEAL_DAYS_MAX: Final = 366
"""How many days after it was opened an appeal's deadline lies at most."""

APPEAL_MESSAGES_MAX: Final = 256
"""Messages about one appeal, its opening and its decision apart."""


@unique
class AppealParty(StrEnum):
    """Whose word it is: the holder's, whoever typed it in, or the program's."""

    HOLDER = "holder"
    PROGRAM = "program"


@unique
class AppealOutcome(StrEnum):
    """How an appeal ends."""

    UPHELD = "upheld"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"


class AppealOpened(Entry, frozen=True, kw_only=True, tag="appeal_opened"):
    """A holder does not accept something, which the program is to decide by the end of the day `deadline` (UTC).

    `about` is the id of the entry that it is about, if there is one; `by` tells whether the holder opened it, or the
    program for the holder.
    """

    account: HolderField
    reason: ReasonField
    about: EntryId | None
    deadline: DateField
    by: AppealParty
    metadata: DigestField | None


class AppealMessage(Entry, frozen=True, kw_only=True, tag="appeal_message"):
    """Something was said about an appeal; with `asks`, the program waits for the holder's answer."""

    appeal: UuidField
    account: HolderField
    by: AppealParty
    asks: bool
    metadata: DigestField


class AppealDecided(Entry, frozen=True, kw_only=True, tag="appeal_decided"):
    """An appeal ends without moving points; one that moves points ends by the adjustment that names it."""

    appeal: UuidField
    account: HolderField
    outcome: AppealOutcome
    reason: ReasonField
    metadata: DigestField | None


AppealEntry: TypeAlias = AppealOpened | AppealMessage | AppealDecided
