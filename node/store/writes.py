"""What a commit's writes come to: evidence in its order, and the last state of everything operational."""

from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Final

from sqlalchemy import Table, Update, bindparam, case, func, select, update

from node.store import schema
from node.store.codec import Row, encode_json
from node.store.erasing import erase
from node.store.errors import StoreFailed
from node.store.evidence import EVIDENCE_TABLES, chain_all
from node.store.rows import (
    Answered,
    ChannelState,
    DeleteProposal,
    EraseMetadata,
    PartnerCheckpoint,
    PartnerUrl,
    PutMetadata,
    PutProposal,
    PutSetting,
    ReceivedBody,
    ReceivedEnvelope,
    Requeue,
    SentBody,
    Write,
)
from node.store.rows_access import ExpireCredential, PutCredential, RevokeCredential
from node.store.rows_accusations import Accusation
from node.store.rows_members import DropConsent, DropRequest, ErasePerson, LinkConsent, LinkPages, LinkRequest, Personal
from node.store.rows_program import ClientTrace, DropTrace
from node.store.rows_webhooks import (
    DropAttempt,
    DropDelivery,
    DropWebhook,
    ExpiryNotice,
    Webhook,
    WebhookAttempt,
    WebhookDelivery,
)
from node.store.rows_witness import ProvedLog, PutPublished, PutWitnessed
from node.store.schema_accusations import ACCUSATIONS
from node.store.schema_members import LINK_CONSENTS, LINK_PAGES, LINK_REQUESTS, PERSONAL
from node.store.schema_program import CLIENT_TRACES
from node.store.schema_webhooks import EXPIRY_NOTICES, WEBHOOK_ATTEMPTS, WEBHOOK_DELIVERIES, WEBHOOKS
from node.store.schema_witness import PROVED, PUBLISHED, WITNESSED
from node.store.session import Session
from protocol.encoding import ZERO_DIGEST
from protocol.identifiers import Digest

_HEADS: Final = select(schema.EVIDENCE_HEADS)
_ENDS: Final[dict[type[Write], Update]] = {
    RevokeCredential: update(schema.CREDENTIALS)
    .where(schema.CREDENTIALS.c.id == bindparam("credential"))
    .values(revoked_at=func.coalesce(schema.CREDENTIALS.c.revoked_at, bindparam("at"))),
    ExpireCredential: update(schema.CREDENTIALS)
    .where(schema.CREDENTIALS.c.id == bindparam("credential"))
    .values(
        expires_at=case(
            (schema.CREDENTIALS.c.expires_at < bindparam("at"), schema.CREDENTIALS.c.expires_at),
            else_=bindparam("at"),
        )
    ),
}
"""How a credential ends, now or later; never later than it would have."""
_OPERATIONAL: Final[dict[type[Write], Table]] = {
    ChannelState: schema.CHANNELS,
    PartnerUrl: schema.PARTNER_URLS,
    PutProposal: schema.PROPOSALS,
    PutSetting: schema.SETTINGS,
    PutMetadata: schema.METADATA_ROWS,
    PutWitnessed: WITNESSED,
    PutPublished: PUBLISHED,
    ProvedLog: PROVED,
    Personal: PERSONAL,
    LinkPages: LINK_PAGES,
    LinkConsent: LINK_CONSENTS,
    LinkRequest: LINK_REQUESTS,
    ExpiryNotice: EXPIRY_NOTICES,
    Webhook: WEBHOOKS,
    ClientTrace: CLIENT_TRACES,
    WebhookDelivery: WEBHOOK_DELIVERIES,
    WebhookAttempt: WEBHOOK_ATTEMPTS,
}
"""Writes whose fields are the columns of a table."""
_FIELDS: Final = {kind: attrgetter(*table.columns.keys()) for kind, table in _OPERATIONAL.items()}
_ACCUSED: Final = attrgetter(*ACCUSATIONS.columns.keys()[1:])
_DELETED: Final[dict[type[Write], Table]] = {
    DeleteProposal: schema.PROPOSALS,
    EraseMetadata: schema.METADATA_ROWS,
    DropConsent: LINK_CONSENTS,
    DropRequest: LINK_REQUESTS,
    DropWebhook: WEBHOOKS,
    DropTrace: CLIENT_TRACES,
    DropDelivery: WEBHOOK_DELIVERIES,
    DropAttempt: WEBHOOK_ATTEMPTS,
}


def apply_writes(session: Session, writes: Sequence[Write]) -> None:
    """Make all `writes`, in their order, inside the open transaction; raise a `StoreFailed` if one cannot be made."""
    if writes:
        staging = _Staging(session, writes)
        for write in writes:
            if not isinstance(write, ErasePerson):
                staging.stage(write)
        staging.flush()
        # Last, so that a row that came in the same commit goes too.
        erase(session, [write.account for write in writes if isinstance(write, ErasePerson)])


def _issued(write: PutCredential) -> Row:
    """Return the row of a new credential, which is not revoked."""
    named = (write.id, write.role, write.name, write.prefix, write.hash, write.created_at, None)
    return (*named, write.expires_at, write.issued_by, write.partner, write.per_minute)


class _Staging:
    """Writes gathered by table, so that each table takes one bulk statement."""

    def __init__(self, session: Session, writes: Iterable[Write]) -> None:
        self._session = session
        heads = {str(name): (count, chain) for name, count, chain in session.query(_HEADS)}
        self._heads = {table.name: heads.get(table.name, (0, ZERO_DIGEST)) for table in EVIDENCE_TABLES}
        self._counts = {name: int(str(count)) for name, (count, _) in self._heads.items()}
        self._evidence: dict[str, list[Row]] = {table.name: [] for table in EVIDENCE_TABLES}
        self._sent = self._known_bodies(writes)
        self._outbox: dict[int, Row | None] = {}
        self._envelope: int | None = None
        self._rows: dict[Table, dict[str, Row | None]] = {}
        self._credentials: list[Row] = []
        self._ended: list[RevokeCredential | ExpireCredential] = []

    def stage(self, write: Write) -> None:
        """Take one write in."""
        match write:
            case ReceivedEnvelope():
                self._envelope = self._append(schema.ENVELOPES_RECEIVED, (write.partner, write.envelope))
            case ReceivedBody():
                self._stage_received(write)
            case SentBody():
                self._stage_sent(write)
            case PartnerCheckpoint():
                self._append(schema.PARTNER_CHECKPOINTS, (write.ledger, write.generation, write.size, write.note))
            case Accusation():
                self._append(ACCUSATIONS, _ACCUSED(write))
            case Answered():
                self._stage_answered(write)
            case Requeue():
                self._queue(write.digest)
            case PutCredential():
                self._credentials.append(_issued(write))
            case RevokeCredential() | ExpireCredential():
                self._ended.append(write)
            case DeleteProposal() | EraseMetadata() | DropConsent() | DropRequest():
                self._rows.setdefault(_DELETED[type(write)], {})[write.digest] = None
            case DropWebhook() | DropDelivery() | DropAttempt() | DropTrace():
                self._rows.setdefault(_DELETED[type(write)], {})[write.id] = None
            case _:
                row = _FIELDS[type(write)](write)
                self._rows.setdefault(_OPERATIONAL[type(write)], {})[str(row[0])] = row

    def flush(self) -> None:
        """Write all that was taken in."""
        self._flush_evidence()
        self._flush_outbox()
        for table, rows in self._rows.items():
            self._session.upsert(table, [row for row in rows.values() if row is not None])
            self._session.delete(table, [(key,) for key, row in rows.items() if row is None])
        self._session.insert(schema.CREDENTIALS, self._credentials)
        for ended in self._ended:
            at = ended.revoked_at if isinstance(ended, RevokeCredential) else ended.expires_at
            if self._session.run(_ENDS[type(ended)], {"credential": ended.id, "at": at}) != 1:
                raise StoreFailed(f"there is no credential {ended.id}")

    def _stage_received(self, write: ReceivedBody) -> None:
        if self._envelope is None:
            raise StoreFailed("a received body comes after the envelope that carried it")
        self._append(
            schema.MESSAGES_RECEIVED,
            (
                write.digest,
                write.partner,
                write.kind,
                write.conversion,
                write.body,
                write.epoch,
                write.epoch_nonce,
                write.frame_seq,
                encode_json(write.path),
                write.log_size,
                self._envelope,
            ),
        )

    def _stage_sent(self, write: SentBody) -> None:
        if write.digest not in self._sent:
            row = (write.digest, write.partner, write.kind, write.conversion, write.body, write.entry_seq)
            self._sent[write.digest] = (self._append(schema.MESSAGES_SENT, row), write.partner)
        if write.wants_answer:
            self._queue(write.digest)

    def _stage_answered(self, write: Answered) -> None:
        for digest in write.digests:
            if digest in self._sent:
                self._outbox[self._sent[digest][0]] = None

    def _queue(self, digest: Digest) -> None:
        if digest not in self._sent:
            raise StoreFailed(f"no body {digest} was ever sent")
        row = self._sent[digest]
        self._outbox[row[0]] = row

    def _append(self, table: Table, row: Row) -> int:
        number = self._counts[table.name]
        self._counts[table.name] = number + 1
        self._evidence[table.name].append((number, *row))
        return number

    def _known_bodies(self, writes: Iterable[Write]) -> dict[Digest, tuple[int, str]]:
        """Return number and partner of the stored bodies that `writes` name by their digests."""
        digests: dict[Digest, None] = {}
        for write in writes:
            if isinstance(write, SentBody | Requeue):
                digests[write.digest] = None
            elif isinstance(write, Answered):
                digests.update(dict.fromkeys(write.digests))
        rows = self._session.select(schema.MESSAGES_SENT, ("digest",), [(digest,) for digest in digests])
        return {Digest(str(row[1])): (int(str(row[0])), str(row[2])) for row in rows}

    def _flush_evidence(self) -> None:
        heads: list[Row] = []
        for table in EVIDENCE_TABLES:
            rows = self._evidence[table.name]
            if rows:
                before = Digest(str(self._heads[table.name][1]))
                self._session.insert(table, rows)
                heads.append((table.name, self._counts[table.name], chain_all(before, table.columns.keys(), rows)))
        self._session.upsert(schema.EVIDENCE_HEADS, heads)

    def _flush_outbox(self) -> None:
        self._session.upsert(schema.OUTBOX, [row for row in self._outbox.values() if row is not None])
        self._session.delete(schema.OUTBOX, [(number,) for number, row in self._outbox.items() if row is None])
