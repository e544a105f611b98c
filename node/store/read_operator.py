"""Reading what operators keep: credentials, settings, addresses, proposals, erasable data; and how much there is."""

from typing import Final, cast

from sqlalchemy import func, select

from node.store import schema
from node.store.reads import Reads
from node.store.rows import Metadata, Proposal, StoreCounts
from node.store.rows_access import Credential
from protocol.identifiers import Digest, Ledger

_CREDENTIALS: Final = schema.CREDENTIALS.c
_SETTINGS: Final = schema.SETTINGS.c
_URLS: Final = schema.PARTNER_URLS.c
_ALL_URLS: Final = select(schema.PARTNER_URLS).order_by(_URLS.partner)
_PROPOSALS: Final = schema.PROPOSALS.c
_METADATA: Final = schema.METADATA_ROWS.c


class OperatorReads(Reads):
    """Operational rows."""

    def credentials(self, prefix: str) -> list[Credential]:
        """Return the credentials, revoked ones too, that `prefix` finds."""
        wanted = select(schema.CREDENTIALS).where(_CREDENTIALS.prefix == prefix)
        return self._objects(Credential, wanted.order_by(_CREDENTIALS.id))

    def all_credentials(self) -> list[Credential]:
        """Return all credentials, revoked ones too, oldest first."""
        wanted = select(schema.CREDENTIALS).order_by(_CREDENTIALS.created_at, _CREDENTIALS.id)
        return self._objects(Credential, wanted)

    def setting(self, name: str) -> str | None:
        """Return a named text, or None."""
        rows = self._rows(select(_SETTINGS.value).where(_SETTINGS.name == name))
        return cast("str", rows[0][0]) if rows else None

    def settings(self) -> dict[str, str]:
        """Return all named texts."""
        return dict(cast("list[tuple[str, str]]", self._rows(select(schema.SETTINGS))))

    def partner_url(self, partner: Ledger) -> str | None:
        """Return where a partner's node listens, or None."""
        rows = self._rows(select(_URLS.url).where(_URLS.partner == partner))
        return cast("str", rows[0][0]) if rows else None

    def partner_urls(self) -> dict[Ledger, str]:
        """Return where partners' nodes listen, in the order of their names."""
        rows = self._ask(_ALL_URLS)
        return dict(cast("list[tuple[Ledger, str]]", rows))

    def proposals(self) -> list[Proposal]:
        """Return the agreements that are proposed and not yet entered, oldest first."""
        wanted = select(schema.PROPOSALS).order_by(_PROPOSALS.received_at, _PROPOSALS.digest)
        return self._objects(Proposal, wanted)

    def proposal(self, digest: Digest) -> Proposal | None:
        """Return a proposed agreement, or None."""
        wanted = select(schema.PROPOSALS).where(_PROPOSALS.digest == digest)
        return next(iter(self._objects(Proposal, wanted)), None)

    def metadata(self, digest: Digest) -> Metadata | None:
        """Return the row behind a metadata digest, or None once it is erased."""
        wanted = select(_METADATA.salt, _METADATA.data).where(_METADATA.digest == digest)
        return next(iter(self._objects(Metadata, wanted)), None)

    def counts(self) -> StoreCounts:
        """Return how much the store holds."""
        last_seq = func.coalesce(func.max(schema.ENTRIES.c.seq), -1)
        sent = func.coalesce(func.max(schema.MESSAGES_SENT.c.number), -1)
        received = func.coalesce(func.max(schema.MESSAGES_RECEIVED.c.number), -1)
        wanted = select(
            select(last_seq + 1).scalar_subquery().label("entries"),
            select(func.count()).select_from(schema.ACCOUNTS).scalar_subquery().label("accounts"),
            select(sent + 1).scalar_subquery().label("messages_sent"),
            select(received + 1).scalar_subquery().label("messages_received"),
            select(func.count()).select_from(schema.OUTBOX).scalar_subquery().label("outbox"),
        )
        return self._objects(StoreCounts, wanted)[0]
