"""Credentials as they go into the store, change there, and come out of it."""

from dataclasses import dataclass
from typing import TypeAlias

from protocol.identifiers import Id


@dataclass(frozen=True, slots=True, kw_only=True)
class PutCredential:
    """Keep a new credential: `prefix` finds it, `hash` recognises it, the secret itself is nowhere.

    `issued_by` is the `prefix` of whoever issued it, `partner` the ledger that a partner's credential is for,
    `per_minute` how many requests it may make, where that is not what its role may.
    """

    id: Id
    role: str
    name: str
    prefix: str
    hash: str
    created_at: str
    expires_at: str | None = None
    issued_by: str | None = None
    partner: str | None = None
    per_minute: int | None = None


@dataclass(frozen=True, slots=True)
class RevokeCredential:
    """End a credential that exists; the first revocation's time stays."""

    id: Id
    revoked_at: str


@dataclass(frozen=True, slots=True)
class ExpireCredential:
    """Let a credential that exists end at `expires_at`, unless it ends before."""

    id: Id
    expires_at: str


@dataclass(frozen=True, slots=True)
class Credential:
    """A credential as it is kept; revoked ones stay listed."""

    id: Id
    role: str
    name: str
    prefix: str
    hash: str
    created_at: str
    revoked_at: str | None
    expires_at: str | None
    issued_by: str | None
    partner: str | None
    per_minute: int | None

    def holds(self, now: str) -> bool:
        """Return whether the credential is neither revoked nor at its end."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


AccessWrite: TypeAlias = PutCredential | RevokeCredential | ExpireCredential
