"""Received messages held against the log that received them: every decision rests on a body that the partner signed."""

from dataclasses import dataclass, field
from typing import Final

from protocol.agreement import key_of
from protocol.audit.citations import Citation, Citations
from protocol.audit.findings import Finding, FindingCode, Findings, Verdict
from protocol.audit.framed import stated_checkpoint, verify_framed
from protocol.audit.pages import PAGE_MESSAGES_MAX, MessagesPage
from protocol.checkpoint import Checkpoint
from protocol.conversion import SourceState
from protocol.envelope import (
    Envelope,
    Frame,
    Header,
    decode_sighting,
    verify_envelope,
    verify_sighting,
)
from protocol.errors import EnvelopeInvalid, ProtocolError
from protocol.identifiers import Digest, Ledger
from protocol.keys import Role
from protocol.ledger.postings import ledger_record
from protocol.ledger.state import OUTGOING, PARTNERS
from protocol.ledger.view import Overlay
from protocol.messages import (
    Body,
    Cancel,
    Close,
    Dispute,
    End,
    EntryReference,
    Fulfil,
    PaymentAdvice,
    Prepare,
    Receipt,
    Reject,
    Returned,
    StatementSigned,
    Succeeded,
    Unlink,
    body_digest,
    decode_known_body,
    encode_body,
    kind_of,
    may_send,
    receiver_of,
)

_UNDECIDED: Final = frozenset({SourceState.HELD, SourceState.FORCED})
_CITABLE: Final = (
    Prepare, Fulfil, Reject, Cancel, End, Unlink, Close, Dispute, StatementSigned, PaymentAdvice, Receipt, Succeeded,
    Returned,
)  # fmt: skip
"""Bodies on which an entry may come to rest later than it was received."""


class Misaddressed(ProtocolError):
    """An envelope is not for its receiver, or a body is not for its sender to say."""

    code = FindingCode.MESSAGE_MISADDRESSED.value


class SenderUnknown(ProtocolError):
    """A message is by nobody whose keys the ledger's entries name."""

    code = FindingCode.SENDER_UNKNOWN.value


@dataclass(frozen=True, slots=True)
class HeldCheckpoint:
    """A partner's checkpoint that came with a received message, its signature verified."""

    checkpoint: Checkpoint
    number: int


@dataclass(frozen=True, slots=True)
class Promise:
    """A leaf of its own log that a partner named in the received message `number`."""

    leaf: Digest
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingMessage:
    """A received message, its envelope verified, on which no entry rests yet."""

    number: int
    digest: Digest
    header: Header
    body: Body


@dataclass(slots=True, kw_only=True)
class MessageMemory:
    """What a check of messages must know to go on with later ones: what it counted, saw, and still waits for.

    `held` are checkpoints of partners by log and size, `promises` the leaves that they named, `origins` the entries
    that cited bodies named, `found` the cited bodies, `frames` each sender's last epoch and `seq`, `forks` what was
    found of partners.
    """

    count: int = 0
    held: dict[tuple[Ledger, int], HeldCheckpoint] = field(default_factory=dict)
    origins: dict[Digest, EntryReference] = field(default_factory=dict)
    promises: dict[tuple[Ledger, int], Promise] = field(default_factory=dict)
    found: set[Digest] = field(default_factory=set)
    frames: dict[Ledger, tuple[int, int]] = field(default_factory=dict)
    forks: list[Finding] = field(default_factory=list)
    waiting: dict[int, WaitingMessage] = field(default_factory=dict)


class MessageCheck:
    """Reads received messages page by page against a replayed log.

    What is wrong with the messages as they are kept goes to `findings`; what they prove of the partners who signed
    them goes to `accusations`, for it is no fault of the ledger that received them.
    """

    def __init__(
        self,
        view: Overlay,
        *,
        ledger: Ledger,
        citations: Citations,
        findings: Findings,
        memory: MessageMemory | None = None,
    ) -> None:
        """Check messages to `ledger`, whose state is `view` and whose entries cite `citations`.

        With `memory`, those that it counts were checked before; what waited is held against the entries since.
        """
        self.memory = memory or MessageMemory()
        self.accusations = Findings()
        self._view = view
        self._ledger = ledger
        self._citations = citations.by_digest
        self._findings = findings
        self._last_checkpoint: str | None = None
        waiting, self.memory.waiting = self.memory.waiting, {}
        for number in sorted(waiting):
            self._take(waiting[number])

    @property
    def count(self) -> int:
        """Return how many messages were received."""
        return self.memory.count

    @property
    def held(self) -> dict[tuple[Ledger, int], HeldCheckpoint]:
        """Return the checkpoints that came with messages, by log and size."""
        return self.memory.held

    @property
    def origins(self) -> dict[Digest, EntryReference]:
        """Return the entry of its sender's log that each cited body named."""
        return self.memory.origins

    @property
    def promises(self) -> dict[tuple[Ledger, int], Promise]:
        """Return the leaves that partners named of their logs."""
        return self.memory.promises

    def add(self, page: MessagesPage, *, is_signed: bool = False) -> bool:
        """Check what is new of the next page, and return whether it is the next one.

        With `is_signed`, `check_page` has accepted it, by the keys that the ledger's entries name.
        """
        known = self.count - page.first
        if known != self.count % PAGE_MESSAGES_MAX or known > len(page.messages):
            place = f"message {self.count}"
            text = f"the page begins at message {page.first} and has {len(page.messages)}"
            self._findings.broken(FindingCode.PAGE_INVALID, place, text)
            return False
        headers: dict[int, Header] = {}
        for message in page.messages[known:]:
            try:
                header = headers.get(message.envelope)
                if header is None:
                    header = self._opened(page.envelopes[message.envelope], message.number, is_signed=is_signed)
                    headers[message.envelope] = header
                self._check_order(header, message.frame)
                body = decode_known_body(message.body) if is_signed else verify_framed(message, header)
            except ProtocolError as error:
                self._findings.broken(error.code, f"message {message.number}", str(error))
            else:
                digest = message.frame.body
                self._take(WaitingMessage(number=message.number, digest=digest, header=header, body=body))
        self.memory.count = page.first + len(page.messages)
        return True

    def _opened(self, envelope: Envelope, number: int, *, is_signed: bool) -> Header:
        header = envelope.header()
        partner = self._view.get(PARTNERS, header.sender)
        if partner is None:
            raise SenderUnknown(f"no entry names the keys of {header.sender}")
        if header.receiver != self._ledger or header.network != partner.network:
            raise Misaddressed(f"the envelope is for {header.receiver}")
        if not is_signed:
            verify_envelope(envelope, key=key_of(partner.keys, Role.CHANNEL))
        if header.checkpoint is not None and header.checkpoint != self._last_checkpoint:
            keys = None if is_signed else partner.keys
            self._hold(stated_checkpoint(header.checkpoint, header.sender, keys=keys), number)
            self._last_checkpoint = header.checkpoint
        return header

    def _hold(self, checkpoint: Checkpoint, number: int) -> None:
        origin = Ledger(checkpoint.origin)
        place = (origin, checkpoint.size)
        known = self.held.setdefault(place, HeldCheckpoint(checkpoint, number))
        if known.checkpoint.root != checkpoint.root:
            text = f"{origin} signed two roots of {checkpoint.size} entries, here and with message {known.number}"
            place_of = f"message {number}"
            fork = Finding(verdict=Verdict.BROKEN, code=FindingCode.FORKED, place=place_of, detail=text)
            self.memory.forks.append(fork)

    def _check_order(self, header: Header, frame: Frame) -> None:
        place = (header.epoch, frame.seq)
        if place <= self.memory.frames.get(header.sender, (0, -1)):
            raise EnvelopeInvalid(f"the frame {frame.seq} of {header.sender} stands after a later one, or twice")
        self.memory.frames[header.sender] = place

    def _take(self, message: WaitingMessage) -> None:
        header, body, digest = message.header, message.body, message.digest
        if isinstance(body, Returned):
            self.memory.waiting[message.number] = message
            self._take_returned(header, body)
            return
        named = reference_of(body)
        if named is not None and is_addressed(body, header):
            self.promises.setdefault((header.sender, named.seq), Promise(named.leaf, message.number))
        citations = self._citations.get(digest)
        if citations is None:
            if isinstance(body, _CITABLE):
                self.memory.waiting[message.number] = message
            return
        self.memory.found.add(digest)
        for citation in citations:
            self._check_cited(citation, header, body)
        if named is not None:
            self.origins[digest] = named

    def _take_returned(self, header: Header, body: Returned) -> None:
        """Note a word of this ledger's own that its partner gave back, and the partner's PREPARE that it answers."""
        try:
            sighting = decode_sighting(bytes(body.sighting))
            own, _ = verify_sighting(sighting, key=key_of(ledger_record(self._view).keys, Role.CHANNEL))
        except ProtocolError:
            return  # It was no word of ours, so no entry may rest on it.
        if (own.network, own.sender, own.receiver) != (header.network, self._ledger, header.sender):
            return
        self._mark(sighting.frame.body, header, body)
        if body.prepare is not None:
            self._mark(body_digest(encode_body(body.prepare)), header, body.prepare)

    def _mark(self, digest: Digest, header: Header, body: Body) -> None:
        for citation in self._citations.get(digest, ()):
            self.memory.found.add(digest)
            self._check_cited(citation, header, body)

    def _check_cited(self, citation: Citation, header: Header, body: Body) -> None:
        place = f"entry {citation.seq}"
        if kind_of(body) != citation.kind or header.sender != citation.sender:
            text = f"the message it cites is no {citation.name} by {citation.sender}"
            self._findings.broken(FindingCode.TERMS_DIFFER, place, text)
            return
        names = citation.differences(body)
        if names:
            text = f"the {citation.name} that it cites states another {', '.join(names)}"
            self._findings.broken(FindingCode.TERMS_DIFFER, place, text)

    def _check_uncited(self, number: int, body: Fulfil | Reject) -> None:
        record = self._view.get(OUTGOING, body.id)
        if record is None or (record.destination, record.prepare) != (body.destination, body.prepare):
            return
        if record.state not in _UNDECIDED:
            text = f"{body.destination} signed two different decisions about the conversion {body.id}"
            self.accusations.broken(FindingCode.DECISIONS_CONTRADICT, f"message {number}", text)

    def finish(self) -> None:
        """Note every cited message that was on no page, and what messages that nothing rests on prove of partners."""
        for fork in self.memory.forks:
            self.accusations.add(fork)
        for number, waiting in sorted(self.memory.waiting.items()):
            if isinstance(waiting.body, Fulfil | Reject):
                self._check_uncited(number, waiting.body)
        for digest, citations in self._citations.items():
            if digest in self.memory.found:
                continue
            for citation in citations:
                text = f"the {citation.name} by {citation.sender} that it cites is not among the messages"
                self._findings.incomplete(FindingCode.MESSAGE_MISSING, f"entry {citation.seq}", text)


def is_addressed(body: Body, header: Header) -> bool:
    """Return whether the sender of an envelope may say `body` to its receiver."""
    if body.network != header.network or not may_send(body, header.sender):
        return False
    return receiver_of(body, header.sender) == header.receiver


def reference_of(body: Body) -> EntryReference | None:
    """Return the entry of its sender's log that `body` names, or None for one that names none."""
    found = getattr(body, "entry", None)
    return found if isinstance(found, EntryReference) else None
