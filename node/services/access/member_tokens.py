"""Members' tokens: short-lived, made by the brand's own identity provider, and verified by its published keys.

A token is a JWT (RFC 7519) whose header names one of the issuer's keys. A claim of it says whose account it is for:
the account's own name, or the brand's name for the member, which the node looks up. Nothing of a token is kept.
"""

from dataclasses import dataclass
from typing import Final

import jwt
from jwt.exceptions import PyJWTError

from node.services.access.credentials import Caller, CallerRole
from node.services.access.issuer_keys import ALGORITHMS, KEY_ID_CHARACTERS_MAX, IssuerKey, IssuerKeys, KeySets
from node.services.access.tokens import unknown
from node.services.context import Context
from node.services.refusals import NodeCode, NodeRefusal
from protocol.errors import IdentifierInvalid
from protocol.identifiers import HOLDER_KINDS, Account, parse_holder
from protocol.ledger.state import ACCOUNTS, AccountStatus

TOKEN_CHARACTERS_MAX: Final = 8_192
LIFETIME_SECONDS_MAX: Final = 3_600
SKEW_SECONDS: Final = 30
"""How far the issuer's clock may be ahead or behind."""

REFERENCE_CHARACTERS_MAX: Final = 256
_ALIVE: Final = {AccountStatus.OPEN, AccountStatus.FROZEN}
_REQUIRED: Final = ("exp", "iat", "nbf", "iss", "aud")


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """Whose tokens are members': `account_claim` says whose account a token is for."""

    name: str
    audience: str
    account_claim: str
    keys: KeySets


class MemberTokens:
    """Recognises members by tokens of the brand's issuer."""

    def __init__(self, context: Context, issuer: Issuer) -> None:
        self._context = context
        self._issuer = issuer
        self._keys = IssuerKeys(issuer.keys, context.clock)

    def recognise(self, token: str) -> Caller:
        """Return the member whose `token` it is.

        Raises `unauthorized` for a token that does not hold, `forbidden` for one whose member has no account here, and
        `issuer_unavailable` while the issuer's keys cannot be read.
        """
        account = self._account(self._claims(token))
        record = None if account is None else self._context.reader.record(ACCOUNTS, account)
        if account is None or record is None or record.status not in _ALIVE:
            raise NodeRefusal(NodeCode.FORBIDDEN, "the member of this token has no account here")
        return Caller(account, CallerRole.MEMBER, account=account)

    def _claims(self, token: str) -> dict[str, object]:
        if len(token) > TOKEN_CHARACTERS_MAX:
            raise unknown()
        try:
            key = self._key(jwt.get_unverified_header(token))
            claims: dict[str, object] = jwt.decode(
                token,
                key.key,
                algorithms=[key.algorithm],
                audience=self._issuer.audience,
                issuer=self._issuer.name,
                # Times are compared with the node's own clock, below.
                options={
                    "require": list(_REQUIRED),
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                    "verify_sub": False,
                },
            )
        except (PyJWTError, ValueError, TypeError, RecursionError) as error:
            raise unknown() from error
        self._check_times(claims)
        return claims

    def _key(self, header: dict[str, object]) -> IssuerKey:
        key_id, algorithm = header.get("kid"), header.get("alg")
        if algorithm not in ALGORITHMS or not isinstance(key_id, str) or len(key_id) > KEY_ID_CHARACTERS_MAX:
            raise unknown()
        if "crit" in header:
            # What must be understood (RFC 7515 §4.1.11) is not.
            raise unknown()
        key = self._keys.find(key_id)
        if key is None or key.algorithm != algorithm:
            raise unknown()
        return key

    def _check_times(self, claims: dict[str, object]) -> None:
        now = self._context.clock.now().timestamp()
        begins, issued, ends = (_seconds(claims[name]) for name in ("nbf", "iat", "exp"))
        if not max(begins, issued) - SKEW_SECONDS <= now < ends + SKEW_SECONDS:
            raise unknown()
        if ends - min(begins, issued) > LIFETIME_SECONDS_MAX:
            raise unknown()

    def _account(self, claims: dict[str, object]) -> Account | None:
        value = claims.get(self._issuer.account_claim)
        if not isinstance(value, str) or not 1 <= len(value) <= REFERENCE_CHARACTERS_MAX:
            return None
        if value.partition("/")[0] not in HOLDER_KINDS:
            return self._context.reader.account_of_reference(value)
        try:
            return parse_holder(value)
        except IdentifierInvalid:
            return None


def _seconds(value: object) -> float:
    """Return a NumericDate (RFC 7519 §2), or raise `unauthorized`."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 2**40:
        raise unknown()
    return float(value)
