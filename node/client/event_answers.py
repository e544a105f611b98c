"""What a node answers about events, webhooks and appeals."""

from collections.abc import Mapping

import msgspec


class _Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A part of an answer."""


class EventRow(_Answer, frozen=True, kw_only=True):
    """Something that happened; `id` is the same whenever it is told."""

    id: str
    type: str
    time: str
    seq: int | None
    account: str | None
    partner: str | None
    data: Mapping[str, object]


class EventPage(_Answer, frozen=True, kw_only=True):
    """Events in their order, and the place after the last one that was looked at."""

    events: tuple[EventRow, ...]
    next: str
    more: bool


class WebhookRow(_Answer, frozen=True, kw_only=True):
    """An endpoint, and how delivery to it goes."""

    id: str
    url: str
    types: tuple[str, ...]
    state: str
    after: str
    waiting: int
    delivered: int
    failing_since: str | None
    last_error: str | None


class WebhookAdded(_Answer, frozen=True, kw_only=True):
    """A new endpoint with its secret, which is shown this once."""

    webhook: WebhookRow
    secret: str


class WebhookList(_Answer, frozen=True, kw_only=True):
    """All endpoints."""

    webhooks: tuple[WebhookRow, ...]


class Waiting(_Answer, frozen=True, kw_only=True):
    """An event that waits for an endpoint."""

    event: str
    type: str
    lane: str
    attempts: int
    retry_at: str
    last_error: str | None


class Attempt(_Answer, frozen=True, kw_only=True):
    """One attempt to deliver."""

    event: str
    type: str
    at: str
    outcome: str
    milliseconds: int


class Deliveries(_Answer, frozen=True, kw_only=True):
    """What waits for an endpoint, and what was tried last."""

    waiting: tuple[Waiting, ...]
    attempts: tuple[Attempt, ...]


class WebhookTried(_Answer, frozen=True, kw_only=True):
    """What came of a test event."""

    event: str
    outcome: str


class AppealRow(_Answer, frozen=True, kw_only=True):
    """An appeal in a list."""

    id: str
    account: str
    state: str
    overdue: bool
    reason: str
    about: str | None
    deadline: str
    opened_at: str


class AppealList(_Answer, frozen=True, kw_only=True):
    """A page of appeals."""

    appeals: tuple[AppealRow, ...]
    next: int | None


class AppealSaid(_Answer, frozen=True, kw_only=True):
    """One thing that was said about an appeal."""

    at: str
    kind: str
    by: str
    asks: bool
    text: str | None


class AppealState(AppealRow, frozen=True, kw_only=True):
    """An appeal with all that was said."""

    decided_at: str | None
    outcome_reason: str | None
    adjustment: str | None
    waiting_for: str | None
    messages: tuple[AppealSaid, ...]


class TraceStep(_Answer, frozen=True, kw_only=True):
    """One step of a conversion."""

    at: str
    side: str
    what: str
    entry: int | None


class TraceMessage(_Answer, frozen=True, kw_only=True):
    """A message about a conversion."""

    way: str
    kind: str
    digest: str
    waits: bool
    said: str


class TraceCounterpart(_Answer, frozen=True, kw_only=True):
    """What the partner's log has shown of an entry that its word names."""

    entry: int
    outcome: str
    detail: str


class TraceSettled(_Answer, frozen=True, kw_only=True):
    """Where a conversion is billed."""

    window: int
    dec_seq: int
    state: str
    statement: str | None
    billed: int | None
    currency: str
    dispute: str | None


class TraceAnswer(_Answer, frozen=True, kw_only=True):
    """The whole path of a conversion, and the file that proves it."""

    conversion: str
    direction: str
    state: str
    source: str
    destination: str
    account: str | None
    steps: tuple[TraceStep, ...]
    messages: tuple[TraceMessage, ...]
    partner_log: tuple[TraceCounterpart, ...]
    settlement: TraceSettled | None
    last_contact: str | None
    last_failure: str | None
    waiting_for: str | None
    to_do: str | None
    evidence: Mapping[str, object]
