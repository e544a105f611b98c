"""What is kept, erasably, of the clients behind orders: enough for screens to see many accounts behind one device."""

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientTrace:
    """An order of an account at a time, and as far as the backend said so, from which address, device and agent."""

    id: str
    account: str
    activity: str
    seen_at: str
    address: str | None
    device: str | None
    agent: str | None


@dataclass(frozen=True, slots=True)
class DropTrace:
    """Forget a trace, if it is still there."""

    id: str


ProgramWrite: TypeAlias = ClientTrace | DropTrace
