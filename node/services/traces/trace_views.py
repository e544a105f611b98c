"""What a trace of a conversion tells: each step in words, the messages, the partner's log, settlement, what waits."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from node.services.answers import Document

Outcome: TypeAlias = Literal["shown", "unreachable", "contradicted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceStep:
    """One step: when, on whose side, in words. `entry` is one of this ledger, or of the partner's where it did it."""

    at: str
    side: Literal["us", "partner"]
    what: str
    kind: str
    entry: int | None
    message: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceMessage:
    """A message about the conversion: `waits` while one of ours has no answer; `said` is it in words."""

    way: Literal["sent", "received"]
    kind: str
    digest: str
    waits: bool
    said: str
    body: Document


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceCounterpart:
    """What the partner's log, asked for the entry that its word names, has shown: the entry is in it, or why not."""

    entry: int
    leaf: str
    outcome: Outcome
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceSettlement:
    """Where the conversion is billed: line `dec_seq` of a window; `billed` in millionths, null while nothing is."""

    window: int
    dec_seq: int
    state: str
    statement: str | None
    billed: int | None
    currency: str
    dispute: str | None
    paid: str | None
    confirmed_at: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceView:
    """The whole path of a conversion; `evidence` is the file that proves it (`tallystick verify`)."""

    conversion: str
    direction: Literal["out", "in"]
    state: Literal["pending", "completed", "returned"]
    network: str
    source: str
    destination: str
    account: str | None
    steps: tuple[TraceStep, ...]
    messages: tuple[TraceMessage, ...]
    partner_log: tuple[TraceCounterpart, ...]
    settlement: TraceSettlement | None
    last_contact: str | None
    last_failure: str | None
    waiting_for: str | None
    to_do: str | None
    evidence: Document
