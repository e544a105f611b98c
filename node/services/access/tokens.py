"""Tokens of API keys: how one is made, kept and recognised.

A token is `ts_<role>_<id>_<secret>`: the prefix lets scanners find a leaked one, the id finds the row, and the secret
is 256 random bits. At rest there is only SHA-256 of the secret. That is enough here, and a password hash would be
wrong: nobody can try 2^256 secrets however fast the hash, and every request pays for it.
"""

import base64
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from node.ports import Randomness
from node.services.access.credentials import Caller, CallerRole
from node.services.refusals import NodeCode, NodeRefusal
from node.store.rows_access import Credential, PutCredential
from protocol.identifiers import Ledger, id_from_random

ID_BYTES: Final = 4
SECRET_BYTES: Final = 32
PREFIX: Final = "ts_"
FIRST: Final = "operator"
"""What the administrator's role was called while it was the only operator's: its older tokens go on saying so."""

_TOKEN: Final = re.compile(r"ts_([a-z]{1,16})_([0-9a-f]{8})_([A-Za-z0-9_-]{43})")
_ROLES: Final[Mapping[str, CallerRole]] = {
    **{role.value: role for role in CallerRole if role is not CallerRole.MEMBER},
    FIRST: CallerRole.ADMINISTRATOR,
}
"""The roles that have tokens of ours; a member's is its brand's."""


@dataclass(frozen=True, slots=True, repr=False)
class Issued:
    """A new credential: the row to keep, and the token that is shown once."""

    row: PutCredential
    token: str


@dataclass(frozen=True, slots=True, repr=False)
class Token:
    """A token taken apart."""

    role: CallerRole
    id: str
    secret: str


def issue_credential(
    role: CallerRole,
    *,
    name: str,
    now: str,
    randomness: Randomness,
    credential_id: str | None = None,
    expires_at: str | None = None,
    issued_by: str | None = None,
    partner: str | None = None,
    per_minute: int | None = None,
) -> Issued:
    """Return a new credential for `role`, or with a `credential_id` another secret of that credential."""
    credential_id = credential_id or randomness.token(ID_BYTES).hex()
    secret = base64.urlsafe_b64encode(randomness.token(SECRET_BYTES)).decode("ascii").rstrip("=")
    row = PutCredential(
        id=id_from_random(randomness.token(16)),
        role=role,
        name=name,
        prefix=credential_id,
        hash=_hash(secret),
        created_at=now,
        expires_at=expires_at,
        issued_by=issued_by,
        partner=partner,
        per_minute=per_minute,
    )
    return Issued(row, f"{PREFIX}{role}_{credential_id}_{secret}")


def adopt_token(token: str, *, name: str, now: str, randomness: Randomness) -> Issued:
    """Return the credential of a token that was made before and not kept yet, or raise `unauthorized`."""
    parts = parse_token(token)
    row = PutCredential(
        id=id_from_random(randomness.token(16)),
        role=parts.role,
        name=name,
        prefix=parts.id,
        hash=_hash(parts.secret),
        created_at=now,
    )
    return Issued(row, token)


def parse_token(token: str) -> Token:
    """Return the parts of a token, or raise `unauthorized`."""
    match = _TOKEN.fullmatch(token)
    role = None if match is None else _ROLES.get(match[1])
    if match is None or role is None:
        raise unknown()
    return Token(role, match[2], match[3])


def recognise_token(rows: Sequence[Credential], token: Token, *, now: str) -> Caller:
    """Return whose `token` it is, of those in `rows` that still hold at `now`, or raise `unauthorized`."""
    offered = _hash(token.secret)
    found: Caller | None = None
    for row in rows:
        # Every row is compared to its end, so that time tells nothing about a hash.
        if hmac.compare_digest(row.hash, offered) and row.role == token.role and row.holds(now):
            partner = None if row.partner is None else Ledger(row.partner)
            found = Caller(row.prefix, token.role, partner=partner, per_minute=row.per_minute)
    if found is None:
        raise unknown()
    return found


def unknown() -> NodeRefusal:
    """Return the refusal of whoever shows nothing that this node knows, whatever is wrong with it."""
    return NodeRefusal(NodeCode.UNAUTHORIZED, "the request carries no credential that this node knows")


def _hash(secret: str) -> str:
    return sha256(secret.encode("ascii")).hexdigest()
