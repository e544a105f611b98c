"""What goes into the store and comes out of it beside the ledger's own records: a commit, its writes, stored rows."""

from dataclasses import dataclass, field
from typing import TypeAlias

from node.store.rows_access import AccessWrite
from node.store.rows_accusations import Accusation
from node.store.rows_members import MemberWrite
from node.store.rows_program import ProgramWrite
from node.store.rows_webhooks import WebhookWrite
from node.store.rows_witness import ProvedLog, PutPublished, PutWitnessed
from protocol.checkpoint import Checkpoint
from protocol.encoding import ZERO_DIGEST
from protocol.entries import Sealed
from protocol.identifiers import Account, Digest, Id, Ledger
from protocol.ledger.view import Changes

# --- Writes: evidence. Each is one row that stays for ever.


@dataclass(frozen=True, slots=True)
class ReceivedEnvelope:
    """Keep a partner's verified envelope (`encode_envelope`); the bodies after it in the same commit refer to it."""

    partner: Ledger
    envelope: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedBody:
    """Keep a received body with its frame's place and its path to the last `ReceivedEnvelope` of the same commit.

    `log_size` is the seq that our next entry had when the body was handled: it comes before what that entry says.
    """

    partner: Ledger
    digest: Digest
    kind: str
    conversion: Id | None
    body: bytes
    epoch: int
    epoch_nonce: str
    frame_seq: int
    path: tuple[Digest, ...]
    log_size: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SentBody:
    """Keep a body of ours and put it into the outbox; one that is kept already is only put back there.

    Without `wants_answer` the outbox is left as it is.
    """

    partner: Ledger
    digest: Digest
    kind: str
    conversion: Id | None
    body: bytes
    entry_seq: int | None
    wants_answer: bool = True


@dataclass(frozen=True, slots=True)
class PartnerCheckpoint:
    """Keep a signed checkpoint of the partner `ledger`, of its log of that generation."""

    ledger: Ledger
    size: int
    note: bytes
    generation: int = 1


# --- Writes: operational. What they change moves no points.


@dataclass(frozen=True, slots=True)
class Answered:
    """Take bodies of ours out of the outbox; those that are not there are passed over."""

    digests: tuple[Digest, ...]


@dataclass(frozen=True, slots=True)
class Requeue:
    """Put a body of ours back into the outbox; it must have been kept before."""

    digest: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelState:
    """Where both streams with a partner stand; 0, empty text and None stand for what has not happened yet.

    `out_*` is our present epoch; `in_*` the partner's as we have applied it; `fence_*` what we had applied of the
    partner's older epochs when its present one was accepted; `answered_epoch` our latest epoch that it has answered.
    `in_bodies_sent` is how many words of its own the partner knew when it opened its present epoch. `back_next` is the
    number, from 0, of the next word of ours that the partner is to give back; None while none is known to be lost.
    """

    partner: Ledger
    out_epoch: int = 0
    out_nonce: str = ""
    in_epoch: int = 0
    in_nonce: str = ""
    in_next_seq: int = 0
    in_bodies: int = 0
    in_last_body: Digest | None = None
    fence_epoch: int = 0
    fence_next_seq: int = 0
    fence_bodies: int = 0
    fence_last_body: Digest | None = None
    answered_epoch: int = 0
    in_bodies_sent: int = 0
    back_next: int | None = None


@dataclass(frozen=True, slots=True)
class PartnerUrl:
    """Set where a partner's node listens."""

    partner: Ledger
    url: str


@dataclass(frozen=True, slots=True)
class PutProposal:
    """Keep an agreement that is proposed and not yet entered (`encode_signed_agreement`), until it is deleted."""

    digest: Digest
    partner: Ledger
    document: bytes
    received_at: str


@dataclass(frozen=True, slots=True)
class DeleteProposal:
    """Forget a proposal, if it is still there."""

    digest: Digest


@dataclass(frozen=True, slots=True)
class PutSetting:
    """Set one named text."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class PutMetadata:
    """Keep the erasable row behind a metadata digest of an entry."""

    digest: Digest
    salt: bytes
    data: bytes


@dataclass(frozen=True, slots=True)
class EraseMetadata:
    """Erase the row behind a metadata digest, if it is still there; the entry and its digest stay."""

    digest: Digest


Write: TypeAlias = (
    ReceivedEnvelope
    | ReceivedBody
    | SentBody
    | PartnerCheckpoint
    | Accusation
    | Answered
    | Requeue
    | ChannelState
    | PartnerUrl
    | PutProposal
    | DeleteProposal
    | AccessWrite
    | PutSetting
    | PutMetadata
    | EraseMetadata
    | PutWitnessed
    | PutPublished
    | ProvedLog
    | MemberWrite
    | ProgramWrite
    | WebhookWrite
)
"""A change beside the ledger's own, made in the transaction of its commit."""


# --- A commit.


@dataclass(frozen=True, slots=True)
class TileRow:
    """A tile as wide as it now is: up to 256 hashes of 32 bytes."""

    level: int
    index: int
    hashes: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedCheckpoint:
    """A checkpoint of ours, numbered from 0 without gaps over all generations of our log.

    `size` counts the entries of its generation alone; `root` is in hex, `note` is the signed note.
    """

    number: int
    generation: int = 1
    size: int
    root: Digest
    note: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitRecord:
    """All that one transaction writes, on top of a log `old_generation` of `old_size` entries.

    `sealed` follow that size without gaps, or begin the log of another `generation`, whose first entry has the seq
    `first_seq`; with them comes `checkpoint` over all of that log, and without them none. `changes` are what
    `Overlay.take_changes` returned; `history` names for each entry the holders it belongs to.
    """

    old_size: int
    old_generation: int = 1
    generation: int = 1
    first_seq: int = 0
    sealed: tuple[Sealed, ...] = ()
    tiles: tuple[TileRow, ...] = ()
    checkpoint: SignedCheckpoint | None = None
    changes: Changes = field(default_factory=dict)
    history: tuple[tuple[Account, int], ...] = ()
    writes: tuple[Write, ...] = ()

    @property
    def begin(self) -> int:
        """Return how many entries the log that is written has before `sealed`."""
        return self.old_size if self.generation == self.old_generation else 0


# --- What is read back.


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredHead:
    """The end of the log that is written now; `checkpoint_number` is -1, and `time` empty, while there is no entry.

    `size` counts the entries of this log, the first of which has the seq `first_seq`.
    """

    size: int = 0
    generation: int = 1
    first_seq: int = 0
    checkpoint: Checkpoint | None = None
    checkpoint_number: int = -1
    note: bytes | None = None
    leaf: Digest = ZERO_DIGEST
    time: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SentMessage:
    """A body of ours as it is kept."""

    number: int
    digest: Digest
    partner: Ledger
    kind: str
    conversion: Id | None
    body: bytes
    entry_seq: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedMessage:
    """A partner's body as it is kept, with the signed envelope that its path leads to."""

    number: int
    digest: Digest
    partner: Ledger
    kind: str
    conversion: Id | None
    body: bytes
    epoch: int
    epoch_nonce: str
    frame_seq: int
    path: tuple[Digest, ...]
    log_size: int
    envelope_number: int
    envelope: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPartnerCheckpoint:
    """A partner's signed checkpoint as it is kept: of the log of that generation."""

    number: int
    ledger: Ledger
    generation: int = 1
    size: int
    note: bytes


@dataclass(frozen=True, slots=True)
class Pending:
    """A body of ours that still wants an answer or an acknowledgement."""

    number: int
    digest: Digest
    body: bytes


@dataclass(frozen=True, slots=True)
class Proposal:
    """An agreement that is proposed and not yet entered."""

    digest: Digest
    partner: Ledger
    document: bytes
    received_at: str


@dataclass(frozen=True, slots=True)
class Metadata:
    """The erasable row behind a metadata digest."""

    salt: bytes
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceHead:
    """How many rows an evidence table has had, and their running digest."""

    name: str
    count: int
    chain: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreCounts:
    """How much the store holds."""

    entries: int
    accounts: int
    messages_sent: int
    messages_received: int
    outbox: int
