"""Evidence that an auditor makes of what a ledger received and of the logs of those who said it (specs/audit.md §9).

An audit says what is wrong; this makes the files that show strangers who did it. Every file is proved before it is
handed out, and there is one for each thing that somebody did.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from protocol.audit.evidence import BrokenPromise, Contradiction, Evidence, Fork, MissingEntry, Proved, prove
from protocol.audit.known import PartnerKeys
from protocol.audit.messages import is_addressed, reference_of
from protocol.audit.outcome import LogAudit
from protocol.audit.pages import MessagesPage
from protocol.audit.tree import RecomputedTree
from protocol.checkpoint import Checkpoint, parse_checkpoint
from protocol.envelope import Header, Sighting
from protocol.errors import CouldNotCheck, ProtocolError
from protocol.identifiers import Digest, Ledger
from protocol.ledger.state import PARTNERS
from protocol.merkle import consistency_proof, inclusion_proof
from protocol.messages import Body, ConversionKey, Fulfil, Prepare, Reject, decode_body
from protocol.note import parse_note
from protocol.proof import Receipt, format_receipt
from protocol.tiles import TileReader

Accusation = tuple[Evidence, Proved]
_Word = tuple[str, ConversionKey, Digest | None]

_ORDER: Final = "order"
_DECISION: Final = "decision"


def accusations(
    holder: LogAudit, pages: Iterable[MessagesPage], audits: Mapping[Ledger, LogAudit]
) -> Iterator[Accusation]:
    """Yield what the messages in `pages`, which `holder` received, prove of their senders.

    `audits` are the logs that were audited with it, by their ledgers' names: what they show is held against the words.
    """
    witness = _Witness(holder, audits)
    for page in pages:
        headers = [envelope.header() for envelope in page.envelopes]
        for message in page.messages:
            sighting = Sighting(
                body=message.body, frame=message.frame, path=message.path, envelope=page.envelopes[message.envelope]
            )
            yield from witness.hear(sighting, headers[message.envelope])


def forks(audit: LogAudit, notes: Iterable[bytes]) -> Iterator[Accusation]:
    """Yield what `notes`, checkpoints that were seen before, prove against the log that is shown now."""
    record = audit.replay.ledger
    if record is None:
        return
    # An auditor knows no network: what a log signs of itself is the same in all.
    keys = PartnerKeys(ledger=record.ledger, network=None, keys=record.keys)
    for note in notes:
        fork = fork_of(note, audit)
        if fork is not None:
            yield from _proved(fork, keys)


def fork_of(note: bytes, audit: LogAudit) -> Fork | None:
    """Return the evidence that a log once signed `note` and now shows another history, or None."""
    checkpoint = _parsed(note)
    shown, tree = audit.checkpoint, audit.replay.tree
    if checkpoint is None or shown is None or audit.note is None or checkpoint.origin != shown.origin:
        return None
    if not 0 < checkpoint.size <= tree.size or tree.root_at(checkpoint.size) == checkpoint.root:
        return None
    proof = consistency_proof(old_size=checkpoint.size, size=tree.size, read=_reader(tree).read)
    return Fork(
        earlier=note.decode(),
        later=audit.note.decode(),
        root=Digest(tree.root_at(checkpoint.size).hex()),
        proof=tuple(Digest(node.hex()) for node in proof),
    )


class _Witness:
    """Hears every message in turn, and remembers what another one may contradict."""

    def __init__(self, holder: LogAudit, audits: Mapping[Ledger, LogAudit]) -> None:
        self._holder = holder
        self._audits = audits
        self._words: dict[_Word, Sighting] = {}
        self._notes: dict[tuple[str, int], str] = {}
        self._known: set[tuple[Ledger, str, str]] = set()
        self._last_note: str | None = None
        self._shown: Checkpoint | None = None

    def hear(self, sighting: Sighting, header: Header) -> Iterator[Accusation]:
        """Yield what this message proves, beside those before it."""
        record = self._holder.replay.view.get(PARTNERS, header.sender)
        if record is None:
            return
        keys = PartnerKeys(ledger=header.sender, network=record.network, keys=record.keys)
        for evidence in self._evidence(sighting, header):
            for found, proved in _proved(evidence, keys):
                thing = (proved.accused, proved.subject.value, proved.name)
                if thing not in self._known:
                    self._known.add(thing)
                    yield found, proved

    def _evidence(self, sighting: Sighting, header: Header) -> Iterator[Evidence]:
        if header.checkpoint != self._last_note:
            self._last_note = header.checkpoint
            self._shown = None if header.checkpoint is None else _parsed(header.checkpoint.encode())
            if header.checkpoint is not None and self._shown is not None:
                yield from self._forks(header.checkpoint, self._shown, header.sender)
        try:
            body = decode_body(sighting.body_bytes)
        except ProtocolError:
            return
        word = _word(body)
        if word is not None:
            first = self._words.setdefault(word, sighting)
            if first.frame.body != sighting.frame.body:
                yield Contradiction(first=first, second=sighting)
        if is_addressed(body, header):
            yield from self._promise(body, sighting, header)

    def _forks(self, note: str, checkpoint: Checkpoint, sender: Ledger) -> Iterator[Fork]:
        first = self._notes.setdefault((checkpoint.origin, checkpoint.size), note)
        before = _parsed(first.encode())
        if before is not None and before.root != checkpoint.root:
            yield Fork(earlier=first, later=note, root=Digest(checkpoint.root.hex()), proof=())
        audit = self._audits.get(sender)
        fork = None if audit is None else fork_of(note.encode(), audit)
        if fork is not None:
            yield fork

    def _promise(self, body: Body, sighting: Sighting, header: Header) -> Iterator[Evidence]:
        named = reference_of(body)
        if named is None:
            return
        if self._shown is not None and self._shown.size <= named.seq:
            yield MissingEntry(promise=sighting, later=sighting)
        audit = self._audits.get(header.sender)
        if audit is None or audit.note is None or audit.replay.first_seq or named.seq >= audit.replay.tree.size:
            return
        tree = audit.replay.tree
        if tree.leaf(named.seq) != named.leaf:
            yield _broken(sighting, named.seq, tree, audit.note)


def _broken(promise: Sighting, seq: int, tree: RecomputedTree, note: bytes) -> BrokenPromise:
    proof = inclusion_proof(index=seq, size=tree.size, read=_reader(tree).read)
    receipt = format_receipt(Receipt(extra=None, index=seq, proof=proof, checkpoint=note))
    return BrokenPromise(promise=promise, leaf=tree.leaf(seq), receipt=receipt.decode())


def _word(body: Body) -> _Word | None:
    """Return what a partner may say only once: which conversion it orders, and how it decides a PREPARE."""
    if isinstance(body, Prepare):
        return _ORDER, body.key, None
    if isinstance(body, Fulfil | Reject):
        return _DECISION, body.key, body.prepare
    return None


def _proved(evidence: Evidence, keys: PartnerKeys) -> Iterator[Accusation]:
    try:
        yield evidence, prove(evidence, keys)
    except (ProtocolError, CouldNotCheck):
        return


def _parsed(note: bytes) -> Checkpoint | None:
    try:
        return parse_checkpoint(parse_note(note).text)
    except ProtocolError:
        return None


def _reader(tree: RecomputedTree) -> TileReader:
    return TileReader(size=tree.size, fetch=tree.tile)
