"""Webhooks and warnings of expiry as they go into the store and come out of it."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from protocol.identifiers import Account

WebhookState: TypeAlias = Literal["active", "disabled"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpiryNotice:
    """A warning, made when the log ended at entry `after_seq`: `amount` points expire at the end of `expires_on`.

    There is one for each account, last day and number of `days` ahead of it.
    """

    number: int
    account: Account
    expires_on: str
    days: int
    amount: int
    after_seq: int
    made_at: str


@dataclass(frozen=True, slots=True)
class ExpiringPoints:
    """Points of an account with one last day."""

    account: Account
    expires_on: str
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """Where events are sent, and how far: all up to entry `after_seq` and notice `after_notice` are sent or waiting.

    `types` is a JSON array, empty for all; `numbered` deliveries have waited and `attempted` been tried so far.
    Since `failing_since` nothing was taken; `failures` in a row have followed, and `retry_at` is when to try again.
    """

    id: str
    url: str
    secret: str
    types: str
    state: WebhookState
    created_at: str
    after_seq: int
    after_notice: int
    numbered: int = 0
    attempted: int = 0
    delivered: int = 0
    failures: int = 0
    failing_since: str | None = None
    retry_at: str | None = None
    last_error: str | None = None
    last_delivered_at: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookDelivery:
    """An event that waits, by itself or behind an earlier one of its `lane`.

    It is part `part` of what entry `seq` says, or the warning numbered `notice`.
    """

    id: str
    webhook: str
    number: int
    lane: str
    event: str
    type: str
    seq: int | None
    part: int
    notice: int | None
    attempts: int
    waits_since: str
    retry_at: str
    last_error: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookAttempt:
    """One attempt to deliver; the newest take the places of the oldest."""

    id: str
    webhook: str
    number: int
    event: str
    type: str
    at: str
    outcome: str
    milliseconds: int


@dataclass(frozen=True, slots=True)
class DropWebhook:
    """Forget an endpoint, if it is still there; what waits for it is dropped one by one."""

    id: str


@dataclass(frozen=True, slots=True)
class DropDelivery:
    """Forget a waiting delivery, if it is still there."""

    id: str


@dataclass(frozen=True, slots=True)
class DropAttempt:
    """Forget an attempt, if it is still there."""

    id: str


WebhookWrite: TypeAlias = (
    ExpiryNotice | Webhook | WebhookDelivery | WebhookAttempt | DropWebhook | DropDelivery | DropAttempt
)
