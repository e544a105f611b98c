"""What a node answers about credentials and approvals, as far as the command line reads it."""

from collections.abc import Mapping

import msgspec


class KeyRow(msgspec.Struct, frozen=True, kw_only=True):
    """A key of a credential."""

    id: str
    role: str
    name: str
    state: str
    created_at: str
    expires_at: str | None
    partner: str | None


class KeyRows(msgspec.Struct, frozen=True, kw_only=True):
    """Every key."""

    credentials: tuple[KeyRow, ...]


class IssuedKeyState(msgspec.Struct, frozen=True, kw_only=True):
    """A new key; `token` is shown this once."""

    id: str
    role: str
    name: str
    token: str
    old_until: str | None


class ApprovalState(msgspec.Struct, frozen=True, kw_only=True):
    """What was proposed, and how far it has come."""

    proposal: str
    entry: str
    state: str
    action: Mapping[str, object]
    proposed_by: str
    proposed_at: str
    expires_at: str
    expired: bool
    decided_by: str | None
    decided_seq: int | None

    @property
    def said(self) -> str:
        """Return where it stands, as a person reads it."""
        return "expired" if self.expired else self.state


class ApprovalRows(msgspec.Struct, frozen=True, kw_only=True):
    """A page of proposals."""

    approvals: tuple[ApprovalState, ...]
