"""The entry kinds of acts that two people answer for: one proposes, another approves (specs/access.md §5).

What is proposed stands in the log as a document, so that the second person, and an auditor later, sees all of it. It
names the id that the entry by which it is carried out will have: the rules let that entry in once, as it was approved.
"""

from typing import Annotated, Final, TypeAlias

import msgspec
from msgspec import Meta

from protocol.agreement import Agreement
from protocol.entry import Entry, EntryId, Postings
from protocol.fields import DateField, DigestField, HolderField, ReasonField, TimeField, UuidField
from protocol.points import Signed
from protocol.program import ProgramTerms

PERSON_PATTERN: Final = r"^[0-9a-f]{8}\Z"
PersonField = Annotated[str, Meta(pattern=PERSON_PATTERN)]
"""The id of a credential: whose it is, the program knows."""

APPROVE_WITHIN_SECONDS_MAX: Final = 30 * 86_400


class _Action(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type"):
    """What is proposed, in full."""


class Adjustment(_Action, frozen=True, kw_only=True, tag="adjustment"):
    """Give a holder points at the program's cost, or with a negative `amount` take some away.

    `appeal` is the appeal that this decides; what is given expires at the end of `expires_on`, or never.
    """

    account: HolderField
    amount: Signed
    expires_on: DateField | None = None
    reason: ReasonField
    appeal: UuidField | None = None


class AgreementSigning(_Action, frozen=True, kw_only=True, tag="agreement"):
    """Sign an agreement, and let it bind once the partner has signed; `forced` allows a loop that multiplies points."""

    agreement: Agreement
    forced: bool


class ConversionForcing(_Action, frozen=True, kw_only=True, tag="forced_release"):
    """Give the held points of a conversion back without the partner's word."""

    conversion: UuidField
    reason: ReasonField


class TermsSetting(_Action, frozen=True, kw_only=True, tag="program"):
    """Let the program have these terms."""

    terms: ProgramTerms
    reason: ReasonField


Action: TypeAlias = Adjustment | AgreementSigning | ConversionForcing | TermsSetting


class ActionProposed(Entry, frozen=True, kw_only=True, tag="action_proposed"):
    """The person `by` proposes that the entry `entry` be written; another may approve it before `expires_at`.

    `metadata` is the digest of an erasable text that says more.
    """

    entry: EntryId
    action: Action
    by: PersonField
    expires_at: TimeField
    metadata: DigestField | None


class _Decision(Entry, frozen=True, kw_only=True):
    proposal: UuidField
    entry: EntryId
    by: PersonField


class ActionApproved(_Decision, frozen=True, kw_only=True, tag="action_approved"):
    """Another person than the one who proposed it approves: it is carried out in the same commit."""


class ActionRefused(_Decision, frozen=True, kw_only=True, tag="action_refused"):
    """What was proposed is not done; whoever proposed it may take it back so."""

    reason: ReasonField


class PointsAdjusted(Entry, frozen=True, kw_only=True, tag="points_adjusted"):
    """A holder is given points at the program's cost, or loses some, as `proposal` says and two people wanted."""

    proposal: UuidField
    postings: Postings
    expires_on: DateField | None
    reason: ReasonField
    appeal: UuidField | None


ApprovalEntry: TypeAlias = ActionProposed | ActionApproved | ActionRefused | PointsAdjusted
