"""Who calls: an API key of this node, or a member's token; and how often each may."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from node.services.access.api_keys import CredentialsService
from node.services.access.credentials import Caller, CallerRole
from node.services.access.member_tokens import Issuer, MemberTokens
from node.services.access.rates import STRANGER_PER_MINUTE, RateLimiter
from node.services.access.tokens import PREFIX, unknown
from node.services.context import Context
from node.services.refusals import NodeCode, NodeRefusal


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What the configuration says about callers: whose tokens are members', and how often who may ask."""

    issuer: Issuer | None = None
    per_minute: Mapping[CallerRole, int] = field(default_factory=dict)
    stranger_per_minute: int = STRANGER_PER_MINUTE


class CallersService:
    """Recognises callers, and counts their requests."""

    def __init__(self, context: Context, credentials: CredentialsService, access: Access) -> None:
        self._credentials = credentials
        self._members = None if access.issuer is None else MemberTokens(context, access.issuer)
        self._limiter = RateLimiter(
            context.clock, per_minute=access.per_minute, stranger_per_minute=access.stranger_per_minute
        )

    def remembered(self, token: str) -> Caller | None:
        """Return the caller if nothing need be read, else None; raise `unauthorized` for what is no token."""
        return self._credentials.remembered(token) if token.startswith(PREFIX) else None

    def recognise(self, token: str, *, address: str) -> Caller:
        """Return who holds `token`; raise `unauthorized`, or `rate_limited` where an address has guessed too often.

        What a signature proves is not held up by what others at the same address have tried, and neither is a key that
        was recognised before.
        """
        if token.startswith(PREFIX):
            if not self._credentials.has_recognised(token):
                self._limiter.check_stranger(address)
            return self._credentials.recognise(token)
        if self._members is None:
            raise unknown()
        return self._members.recognise(token)

    def count(self, caller: Caller) -> None:
        """Take note of a request, or raise `rate_limited`."""
        self._limiter.count(caller)

    def refused(self, refusal: NodeRefusal, *, address: str) -> None:
        """Take note of a credential that nobody knows, or raise `rate_limited`."""
        if refusal.code == NodeCode.UNAUTHORIZED:
            self._limiter.count_stranger(address)
