"""Members' erasable rows as they go into the store and come out of it."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from protocol.identifiers import Account, Id, Ledger

Locale: TypeAlias = Literal["en", "zh"]
"""The languages in which members are told things."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Personal:
    """What is known of the person behind an account; replaced as a whole.

    `external_ref` is the brand's own name for the member, and no other account's.
    """

    account: Account
    external_ref: str | None
    display_name: str | None
    email: str | None
    locale: Locale
    created_at: str
    updated_at: str


@dataclass(frozen=True, slots=True)
class ErasePerson:
    """Erase every row that is kept of an account in the erasable tables; the ledger stays as it is."""

    account: Account


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkPages:
    """Where a partner asks its members for consent, and where it wants ours to be sent back to."""

    partner: Ledger
    consent_url: str | None
    redirect_url: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkConsent:
    """A member's consent to one link, until its code is exchanged or `expires_at`.

    `code` is a digest of the one-time code; `challenge` is that of the partner's node (RFC 7636), or null for a code
    that is typed; `spent_by` is the exchange that took it. The link itself holds until `link_until`.
    """

    code: str
    id: Id
    account: Account
    partner: Ledger
    challenge: str | None
    expires_at: str
    link_until: str | None
    link_conversions: int | None
    link_points: int | None
    spent_by: str | None


@dataclass(frozen=True, slots=True)
class DropConsent:
    """Forget a consent by its code's digest, if it is still there."""

    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkRequest:
    """A link of ours that a member has begun: `state` is a digest, `verifier` the secret that the partner is shown."""

    state: str
    id: Id
    account: Account
    partner: Ledger
    verifier: str
    expires_at: str


@dataclass(frozen=True, slots=True)
class DropRequest:
    """Forget a link that was begun by its state's digest, if it is still there."""

    digest: str


MemberWrite: TypeAlias = Personal | ErasePerson | LinkPages | LinkConsent | DropConsent | LinkRequest | DropRequest
