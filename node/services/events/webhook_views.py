"""What is asked of webhooks, and what is told of them and of their deliveries."""

from dataclasses import dataclass

from protocol.identifiers import Id


@dataclass(frozen=True, slots=True, kw_only=True)
class AddWebhookRequest:
    """Send events to `url` from now on, or those after a place in the feed; no `types` are all."""

    id: Id
    url: str
    types: tuple[str, ...] = ()
    after: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookView:
    """An endpoint; all up to `after` in the feed was taken or waits. It takes nothing since `failing_since`, if set."""

    id: str
    url: str
    types: tuple[str, ...]
    state: str
    created_at: str
    after: str
    waiting: int
    delivered: int
    failing_since: str | None
    retry_at: str | None
    last_error: str | None
    last_delivered_at: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewWebhook:
    """An endpoint with a new secret that signs what is sent to it, which is shown this once."""

    webhook: WebhookView
    secret: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookList:
    """All endpoints, oldest first."""

    webhooks: tuple[WebhookView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptView:
    """One attempt to deliver an event: `outcome` is `delivered`, or why not."""

    number: int
    event: str
    type: str
    at: str
    outcome: str
    milliseconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingView:
    """An event that waits: it failed itself, or an earlier one of its account did."""

    event: str
    type: str
    lane: str
    attempts: int
    waits_since: str
    retry_at: str
    last_error: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveriesView:
    """The first events that wait for an endpoint, and the last attempts, newest first."""

    waiting: tuple[WaitingView, ...]
    attempts: tuple[AttemptView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookTested:
    """What came of a test event."""

    event: str
    outcome: str
