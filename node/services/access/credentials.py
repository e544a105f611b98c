"""Who calls a node, and what each may do: the roles, their scopes, and the caller that a token was recognised as."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum, unique
from typing import Final

from node.services.refusals import NodeCode, NodeRefusal
from protocol.identifiers import Account, Ledger


@unique
class CallerRole(StrEnum):
    """Who calls a node: a programme's systems, a member, a partner, an auditor, or one of four kinds of operator."""

    VIEWER = "viewer"
    SUPPORT = "support"
    MANAGER = "manager"
    ADMINISTRATOR = "administrator"
    BACKEND = "backend"
    AUDITOR = "auditor"
    PARTNER = "partner"
    MEMBER = "member"


OPERATORS: Final = (CallerRole.VIEWER, CallerRole.SUPPORT, CallerRole.MANAGER, CallerRole.ADMINISTRATOR)
"""The people of a programme: each may do all that the one before may."""


@unique
class Scope(StrEnum):
    """What a route asks its caller to be allowed."""

    ACCOUNTS_READ = "accounts:read"
    ACCOUNTS_WRITE = "accounts:write"
    APPROVALS_WRITE = "approvals:write"
    AGREEMENTS_WRITE = "agreements:write"
    APPEALS_READ = "appeals:read"
    APPEALS_WRITE = "appeals:write"
    APPEALS_DECIDE = "appeals:decide"
    APPROVALS_READ = "approvals:read"
    APPROVALS_DECIDE = "approvals:decide"
    CONVERSIONS_READ = "conversions:read"
    CONVERSIONS_WRITE = "conversions:write"
    CONVERSIONS_FORCE = "conversions:force"
    CREDENTIALS = "credentials"
    EVENTS_READ = "events:read"
    EXCEPTIONS_READ = "exceptions:read"
    EXCHANGE = "exchange"
    EXPIRY_RUN = "expiry:run"
    HOLDS_READ = "holds:read"
    HOLDS_WRITE = "holds:write"
    IMPORTS = "imports"
    INCOMING_READ = "incoming:read"
    LINKS_READ = "links:read"
    LINKS_WRITE = "links:write"
    LOG_HASHES = "log:hashes"
    LOG_READ = "log:read"
    ME = "me"
    METRICS = "metrics"
    NODE = "node"
    PARTNERS_READ = "partners:read"
    PARTNERS_WRITE = "partners:write"
    PERSONAL_ERASE = "personal:erase"
    PERSONAL_READ = "personal:read"
    PERSONAL_WRITE = "personal:write"
    PROGRAM_READ = "program:read"
    PROGRAM_WRITE = "program:write"
    RECEIPTS = "receipts"
    REPORTS_READ = "reports:read"
    REVIEWS_READ = "reviews:read"
    REVIEWS_DECIDE = "reviews:decide"
    SETTLEMENT_READ = "settlement:read"
    SETTLEMENT_WRITE = "settlement:write"
    TRACE = "trace"
    TRANSACTIONS_READ = "transactions:read"
    TRANSACTIONS_WRITE = "transactions:write"
    WEBHOOKS = "webhooks"


_VIEWER: Final = frozenset(
    {
        Scope.ACCOUNTS_READ,
        Scope.APPEALS_READ,
        Scope.APPROVALS_READ,
        Scope.CONVERSIONS_READ,
        Scope.EXCEPTIONS_READ,
        Scope.HOLDS_READ,
        Scope.INCOMING_READ,
        Scope.LINKS_READ,
        Scope.LOG_HASHES,
        Scope.METRICS,
        Scope.PARTNERS_READ,
        Scope.PROGRAM_READ,
        Scope.RECEIPTS,
        Scope.REPORTS_READ,
        Scope.REVIEWS_READ,
        Scope.SETTLEMENT_READ,
        Scope.TRANSACTIONS_READ,
    }
)
_SUPPORT: Final = _VIEWER | {
    Scope.APPROVALS_WRITE,
    Scope.APPEALS_WRITE,
    Scope.LINKS_WRITE,
    Scope.PERSONAL_ERASE,
    Scope.PERSONAL_READ,
    Scope.TRACE,
}
_MANAGER: Final = _SUPPORT | {
    Scope.ACCOUNTS_WRITE,
    Scope.AGREEMENTS_WRITE,
    Scope.APPEALS_DECIDE,
    Scope.APPROVALS_DECIDE,
    Scope.CONVERSIONS_FORCE,
    Scope.EVENTS_READ,
    Scope.EXCHANGE,
    Scope.EXPIRY_RUN,
    Scope.PERSONAL_WRITE,
    Scope.PROGRAM_WRITE,
    Scope.REVIEWS_DECIDE,
    Scope.SETTLEMENT_WRITE,
    Scope.WEBHOOKS,
}
_BACKEND: Final = frozenset(
    {
        Scope.ACCOUNTS_READ,
        Scope.ACCOUNTS_WRITE,
        Scope.APPEALS_READ,
        Scope.APPEALS_WRITE,
        Scope.CONVERSIONS_READ,
        Scope.CONVERSIONS_WRITE,
        Scope.EVENTS_READ,
        Scope.HOLDS_READ,
        Scope.HOLDS_WRITE,
        Scope.LINKS_READ,
        Scope.LINKS_WRITE,
        Scope.PARTNERS_READ,
        Scope.PERSONAL_ERASE,
        Scope.PERSONAL_READ,
        Scope.PERSONAL_WRITE,
        Scope.PROGRAM_READ,
        Scope.RECEIPTS,
        Scope.TRANSACTIONS_READ,
        Scope.TRANSACTIONS_WRITE,
        Scope.WEBHOOKS,
    }
)
_AUDITOR: Final = frozenset(
    {
        Scope.APPROVALS_READ,
        Scope.LOG_HASHES,
        Scope.LOG_READ,
        Scope.PARTNERS_READ,
        Scope.PROGRAM_READ,
        Scope.RECEIPTS,
        Scope.REPORTS_READ,
        Scope.SETTLEMENT_READ,
    }
)

SCOPES: Final[Mapping[CallerRole, frozenset[Scope]]] = {
    CallerRole.VIEWER: _VIEWER,
    CallerRole.SUPPORT: _SUPPORT,
    CallerRole.MANAGER: _MANAGER,
    CallerRole.ADMINISTRATOR: frozenset(Scope) - {Scope.ME},
    CallerRole.BACKEND: _BACKEND,
    CallerRole.AUDITOR: _AUDITOR,
    CallerRole.PARTNER: frozenset({Scope.LOG_HASHES}),
    CallerRole.MEMBER: frozenset({Scope.ME}),
}
"""What each role may do; what is not here is refused. `me` is a member's alone: it reaches what is the member's own."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who was recognised by a token: `id` is that of the credential, which stays when its secret is rotated.

    A member's caller has the `account` that is its own, a partner's its `partner`, and no other caller has one.
    `per_minute` says how many requests it may make, where that is not what its role may.
    """

    id: str
    role: CallerRole
    account: Account | None = None
    partner: Ledger | None = None
    per_minute: int | None = None

    def require(self, scope: Scope) -> None:
        """Raise `forbidden` unless the caller's role has `scope`."""
        if scope not in SCOPES[self.role]:
            raise NodeRefusal(NodeCode.FORBIDDEN, f"a credential of the role {self.role} may not do this")

    def own(self) -> Account:
        """Return the account that is the caller's own, or raise `forbidden` for whoever is no member."""
        if self.account is None:
            raise NodeRefusal(NodeCode.FORBIDDEN, f"a credential of the role {self.role} has no account of its own")
        return self.account
