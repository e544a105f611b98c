"""Reading what webhooks need: endpoints, what waits for them, what was tried, and warnings of expiry."""

from collections.abc import Sequence
from typing import Final, cast

from sqlalchemy import ColumnElement, exists, func, select, tuple_

from node.store import schema
from node.store.numbers import number_of
from node.store.reads import Reads
from node.store.rows_webhooks import ExpiringPoints, ExpiryNotice, Webhook, WebhookAttempt, WebhookDelivery
from node.store.schema_webhooks import EXPIRY_NOTICES, WEBHOOK_ATTEMPTS, WEBHOOK_DELIVERIES, WEBHOOKS
from protocol.identifiers import Account

_NOTICES: Final = EXPIRY_NOTICES.c
_DELIVERIES: Final = WEBHOOK_DELIVERIES.c
_ATTEMPTS: Final = WEBHOOK_ATTEMPTS.c
_LOTS: Final = schema.LOTS.c
_ACCOUNTS: Final = schema.ACCOUNTS.c


class WebhookReads(Reads):
    """Operational rows of events."""

    def webhooks(self) -> list[Webhook]:
        """Return all endpoints, oldest first."""
        return self._objects(Webhook, select(WEBHOOKS).order_by(WEBHOOKS.c.created_at, WEBHOOKS.c.id))

    def webhook(self, webhook: str) -> Webhook | None:
        """Return an endpoint, or None."""
        return next(iter(self._objects(Webhook, select(WEBHOOKS).where(WEBHOOKS.c.id == webhook))), None)

    def webhook_deliveries(self, webhook: str, *, after: int = -1, limit: int) -> list[WebhookDelivery]:
        """Return what waits for an endpoint in the order in which it began to wait, those after number `after`."""
        wanted = select(WEBHOOK_DELIVERIES).where(_DELIVERIES.webhook == webhook, _DELIVERIES.number > after)
        return self._objects(WebhookDelivery, wanted.order_by(_DELIVERIES.number).limit(limit))

    def webhook_waiting(self, webhook: str) -> int:
        """Return how many deliveries wait for an endpoint."""
        counted = select(func.count()).select_from(WEBHOOK_DELIVERIES).where(_DELIVERIES.webhook == webhook)
        return cast("int", self._rows(counted)[0][0])

    def webhook_attempts(self, webhook: str, *, before: int | None = None, limit: int) -> list[WebhookAttempt]:
        """Return the last attempts to deliver to an endpoint, newest first, those before number `before`."""
        wanted = select(WEBHOOK_ATTEMPTS).where(_ATTEMPTS.webhook == webhook)
        if before is not None:
            wanted = wanted.where(_ATTEMPTS.number < before)
        return self._objects(WebhookAttempt, wanted.order_by(_ATTEMPTS.number.desc()).limit(limit))

    def expiry_notices(self, after: int, *, account: Account | None = None, limit: int) -> list[ExpiryNotice]:
        """Return warnings of expiry in the order in which they were made, those after number `after`."""
        conditions: list[ColumnElement[bool]] = [_NOTICES.number > after]
        if account is not None:
            conditions.append(_NOTICES.account == account)
        wanted = select(EXPIRY_NOTICES).where(*conditions).order_by(_NOTICES.number).limit(limit)
        return self._objects(ExpiryNotice, wanted)

    def expiry_notice(self, number: int) -> ExpiryNotice | None:
        """Return a warning of expiry, or None."""
        wanted = select(EXPIRY_NOTICES).where(_NOTICES.number == number)
        return next(iter(self._objects(ExpiryNotice, wanted)), None)

    def last_notice(self, *, after_seq: int | None = None) -> int:
        """Return the number of the last warning of all, or of those made before entry `after_seq + 1`; -1 for none."""
        wanted = select(func.max(_NOTICES.number))
        if after_seq is not None:
            wanted = wanted.where(_NOTICES.after_seq < after_seq)
        found = self._rows(wanted)[0][0]
        return -1 if found is None else cast("int", found)

    def warned(self, accounts: Sequence[Account], *, days: int) -> set[tuple[Account, str]]:
        """Return of which last days those of `accounts` have been warned, `days` ahead."""
        wanted = select(_NOTICES.account, _NOTICES.expires_on)
        rows = self._rows(wanted.where(_NOTICES.account.in_(accounts), _NOTICES.days == days))
        return {(cast("Account", account), cast("str", day)) for account, day in rows}

    def unwarned(
        self, *, first: str, last: str, days: int, after: ExpiringPoints | None = None, limit: int
    ) -> list[ExpiringPoints]:
        """Return points whose last day lies from `first` to `last` and whose holders have no warning of `days` yet.

        They come by day and the age of the account, those behind `after`.
        """
        warned = exists().where(
            _NOTICES.account == _ACCOUNTS.account, _NOTICES.expires_on == _LOTS.expires_on, _NOTICES.days == days
        )
        keys = (_LOTS.expires_on, _LOTS.account_seq)
        wanted = select(func.min(_ACCOUNTS.account), _LOTS.expires_on, func.sum(_LOTS.remaining))
        wanted = wanted.join_from(schema.LOTS, schema.ACCOUNTS, _LOTS.account_seq == _ACCOUNTS.opened_seq)
        wanted = wanted.where(_LOTS.expires_on >= first, _LOTS.expires_on <= last, ~warned)
        if after is not None:
            wanted = wanted.where(tuple_(*keys) > tuple_(after.expires_on, number_of(after.account)))
        rows = self._rows(wanted.group_by(*keys).order_by(*keys).limit(limit))
        return [
            ExpiringPoints(cast("Account", account), cast("str", day), int(cast("int", amount)))
            for account, day, amount in rows
        ]
