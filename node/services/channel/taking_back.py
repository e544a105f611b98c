"""Words of our own that a partner gives back, since our store has lost them: each stands again, or is kept again.

A word is proved by our own signature, in the envelope that carried it. One that an entry had made is entered anew
while the ledger waits for its words from that partner; one that no entry made is only kept again.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, Protocol

import structlog

from node.engine.gate import Gate
from node.engine.work import Desk, Foremost
from node.services.channel.channel_rows import ChannelRows, present_channel
from node.services.channel.peer import Peer
from node.store.rows import Answered, SentBody
from protocol.agreement import agreement_digest, verify_agreement
from protocol.envelope import decode_sighting, verify_sighting
from protocol.errors import Code, ProtocolError, Refusal
from protocol.identifiers import Digest, Ledger
from protocol.keys import PublicKey
from protocol.ledger import rules
from protocol.ledger.commands import BeginRecovery, EndRecovery, EnterAgreement, Recover
from protocol.ledger.names import agreement_id, recovery_ended_id, recovery_id
from protocol.ledger.recovery import recover_command
from protocol.ledger.state import AGREEMENTS, IDS, LEDGER, LINES, ONLY, OUT, LedgerRecord
from protocol.ledger.view import Need, Overlay, need
from protocol.messages import (
    Body,
    Dispute,
    EntryBody,
    Lines,
    Prepare,
    Returned,
    ReturnedAgreement,
    conversion_of,
    decode_body,
    kind_of,
    may_send,
    receiver_of,
)
from protocol.recovery_entries import SeenCheckpoint
from protocol.statement import Line

_ASKS: Final = frozenset({"prepare", "cancel"})
"""Our words that want the partner's answer; all others are done with, since the partner has applied them."""

_LINES_MAX: Final = 4_096
"""Bodies with a partner's lines that are looked through for those of a dispute of ours."""

_LOG: Final = structlog.get_logger()


class Outcome(Enum):
    """What became of a word that was given back."""

    STANDS = auto()
    WAITS = auto()
    """Its account lacks points that other partners' words may bring."""
    STUCK = auto()
    """No rule lets it stand again: an operator must go on without."""


class OwnWords(Protocol):
    """What the store tells about our own words."""

    def sent_kinds(self, digests: Sequence[Digest]) -> dict[Digest, str]:
        """Return the kinds of those of `digests` that are bodies of ours."""

    def bodies_received(self, partner: Ledger, kind: str, *, from_number: int, limit: int) -> list[bytes]:
        """Return bodies of a kind that `partner` has sent us, from the message `from_number` on."""


@dataclass(frozen=True, slots=True)
class OwnWord:
    """A body that we have signed; `prepare` is the partner's own that it answers, if it was given with it."""

    digest: Digest
    data: bytes
    body: Body
    prepare: Prepare | None


def open_word(returned: Returned, *, ledger: Ledger, partner: Ledger, key: PublicKey) -> OwnWord | None:
    """Return the word of ours to `partner` that is given back, or None unless our `key` signed for it."""
    try:
        sighting = decode_sighting(bytes(returned.sighting))
        header, body = verify_sighting(sighting, key=key)
    except ProtocolError as error:
        _LOG.error("returned_word_unproved", partner=partner, code=error.code, detail=str(error))
        return None
    stream = (header.network, header.sender, header.receiver)
    if stream != (returned.network, ledger, partner) or body.network != header.network:
        return None
    if not may_send(body, ledger) or receiver_of(body, ledger) != partner:
        return None
    return OwnWord(sighting.frame.body, sighting.body_bytes, body, returned.prepare)


class TakingBack:
    """Takes in what one parcel gives back of our words, in its order."""

    def __init__(
        self,
        peer: Peer,
        bodies: Sequence[Body],
        *,
        ledger: Ledger,
        key: PublicKey,
        store: OwnWords,
        gate: Gate,
        waits: Callable[[], Mapping[Ledger, int | None]],
    ) -> None:
        """Verify what is returned; `waits` tells for each partner which lost entry its next word waits for."""
        self._peer = peer
        self._ledger = ledger
        self._store = store
        self._gate = gate
        self._waits = waits
        self._agreements = [body for body in bodies if isinstance(body, ReturnedAgreement)]
        self._words = {
            id(body): open_word(body, ledger=ledger, partner=peer.ledger, key=key)
            for body in bodies
            if isinstance(body, Returned)
        }
        self._entered = {
            key: self._lines_of(word.body)
            for key, word in self._words.items()
            if word is not None and isinstance(word.body, Dispute)
        }

    # --- What is read.

    def needs(self, view: Overlay) -> Iterator[Need]:
        """Name what the words move, and what begins and ends a recovery."""
        record = view.peek(LEDGER, ONLY)
        if record is None:
            return
        if self._words:
            yield need(IDS, recovery_id(record.log, self._peer.ledger))
        if record.predecessor is None:
            return
        # Whether the ledger waits for this partner's words may change until the work runs, in its very commit, too.
        yield from rules.needs(view, self._beginning(record))
        yield from rules.needs(view, self._ending(record))
        for body in self._agreements:
            yield need(AGREEMENTS, agreement_digest(body.signed.agreement))
            yield from rules.needs(view, _entering(body, forced=False))
        for key, word in self._words.items():
            if word is not None and isinstance(word.body, EntryBody):
                entered = self._entered.get(key, ())
                yield from (need(LINES, (self._peer.ledger, OUT, line.dec_seq)) for line in entered)
                yield from rules.needs(view, self._command(word, word.body, entered=entered))

    def is_recovering(self, desk: Desk) -> bool:
        """Return whether the ledger waits for words from this partner."""
        return self._peer.ledger in self._record(desk).recovering

    def _record(self, desk: Desk) -> LedgerRecord:
        record = desk.find(LEDGER, ONLY)
        assert record is not None, "a ledger with partners has its genesis"
        return record

    # --- Beginning and end.

    def begin(self, desk: Desk) -> None:
        """Ask a partner for words that was gone when the successor began, and has come back."""
        record = self._record(desk)
        if self._peer.late and not self.is_recovering(desk):
            desk.execute(self._beginning(record))

    def end(self, desk: Desk) -> None:
        """Note that all words are back, if the ledger waits for them."""
        if self.is_recovering(desk):
            desk.execute(self._ending(self._record(desk)))

    def _beginning(self, record: LedgerRecord) -> BeginRecovery:
        return beginning_of(self._peer, record)

    def _ending(self, record: LedgerRecord) -> EndRecovery:
        return ending_of(self._peer, record)

    # --- The words.

    def take(self, desk: Desk, returned: Returned) -> Outcome:
        """Let a word stand again."""
        word = self._words[id(returned)]
        if word is None or self._is_known(desk, word.digest):
            return Outcome.STANDS
        if not isinstance(word.body, EntryBody):
            self._keep(desk, word)
            return Outcome.STANDS
        record = self._record(desk)
        if self._peer.ledger in record.recovering:
            shown = self._entered.get(id(returned), ())
            # Lines that this ledger has as well were not entered by the dispute.
            entered = tuple(one for one in shown if desk.find(LINES, (self._peer.ledger, OUT, one.dec_seq)) is None)
            return self._recover(desk, word, word.body, entered=entered)
        if desk.find(IDS, recovery_id(record.log, self._peer.ledger)) is not None:
            # An operator has gone on without it: it is kept so that both sides count the same words.
            self._keep(desk, word)
            return Outcome.STANDS
        self._gate.found_behind(f"{self._peer.ledger} has a word of entry {word.body.entry.seq}, which the store lacks")
        return Outcome.STUCK

    def take_agreement(self, desk: Desk, returned: ReturnedAgreement) -> None:
        """Let an agreement bind that the store has lost; one that it knows, or that is not one, changes nothing."""
        digest = agreement_digest(returned.signed.agreement)
        if not self.is_recovering(desk) or desk.find(AGREEMENTS, digest) is not None:
            return
        try:
            verify_agreement(returned.signed, complete=True)
            try:
                desk.execute(_entering(returned, forced=False))
            except Refusal as refusal:
                if refusal.code != Code.AGREEMENT_LOOP.value:
                    raise
                desk.execute(_entering(returned, forced=True))
        except (ProtocolError, Refusal) as error:
            _LOG.error("returned_agreement_refused", partner=self._peer.ledger, agreement=digest, code=error.code)

    def _recover(self, desk: Desk, word: OwnWord, body: EntryBody, *, entered: tuple[Line, ...]) -> Outcome:
        try:
            desk.execute(self._command(word, body, entered=entered, share=self._shares(desk, body.entry.seq)))
        except Refusal as refusal:
            if refusal.code == Code.INSUFFICIENT_POINTS.value:
                self._peer.waits_since = body.entry.seq
                return Outcome.WAITS
            if self._peer.stuck != refusal.code:
                _LOG.error("word_cannot_stand_again", partner=self._peer.ledger, body=word.digest, code=refusal.code,
                           detail=refusal.detail)  # fmt: skip
            self._peer.stuck = refusal.code
            return Outcome.STUCK
        self._peer.waits_since = self._peer.stuck = None
        if kind_of(body) not in _ASKS:
            desk.stage(Answered((word.digest,)))
        return Outcome.STANDS

    def _shares(self, desk: Desk, seq: int) -> bool:
        """Return whether the word of the lost entry `seq` may take points that its account lacks.

        It may once no other partner's words can bring any before: each waits as well, for a later entry.
        """
        others = set(self._record(desk).recovering) - {self._peer.ledger}
        waits = self._waits()
        return all((other := waits.get(each)) is not None and other > seq for each in others)

    def _is_known(self, desk: Desk, digest: Digest) -> bool:
        staged = (write.digest for write in desk.staged() if isinstance(write, SentBody))
        return digest in staged or bool(self._store.sent_kinds([digest]))

    def _keep(self, desk: Desk, word: OwnWord) -> None:
        desk.stage(
            SentBody(
                partner=self._peer.ledger,
                digest=word.digest,
                kind=kind_of(word.body),
                conversion=conversion_of(word.body),
                body=word.data,
                entry_seq=None,
                wants_answer=False,
            )
        )

    def _command(self, word: OwnWord, body: EntryBody, *, entered: tuple[Line, ...], share: bool = False) -> Recover:
        return recover_command(
            body, word.digest, partner=self._peer.ledger, prepare=word.prepare, entered=entered, share=share
        )

    def _lines_of(self, dispute: Dispute) -> tuple[Line, ...]:
        """Return the lines of a dispute of ours that the partner alone had, as it showed them."""
        wanted = {(line.dec_seq, line.id, line.value) for line in dispute.lines}
        found: dict[int, Line] = {}
        if dispute.source != self._ledger:
            return ()
        for data in self._store.bodies_received(self._peer.ledger, "lines", from_number=0, limit=_LINES_MAX):
            shown = decode_body(data)
            if isinstance(shown, Lines) and shown.window == dispute.window:
                found |= {each.dec_seq: each for each in shown.lines if (each.dec_seq, each.id, each.value) in wanted}
        return tuple(found[number] for number in sorted(found))


class AskWork(Foremost):
    """Asks a partner for our words that has answered while others were still waited for, and may say nothing more."""

    def __init__(self, peer: Peer, store: ChannelRows) -> None:
        """Ask `peer`."""
        self._peer = peer
        self._store = store

    def needs(self, view: Overlay) -> Iterator[Need]:
        """Name what the question reads, and the end of the recovery."""
        record = view.peek(LEDGER, ONLY)
        if record is not None:
            yield from rules.needs(view, beginning_of(self._peer, record))
            yield from rules.needs(view, ending_of(self._peer, record))

    def run(self, desk: Desk) -> None:
        """Ask, unless this partner is waited for already; one that has nothing to give back is not."""
        record = desk.find(LEDGER, ONLY)
        assert record is not None, "a ledger with partners has its genesis"
        if self._peer.ledger in record.recovering:
            return
        desk.execute(beginning_of(self._peer, record))
        row = present_channel(desk, self._store, self._peer.ledger)
        if row.answered_epoch == self._peer.outgoing.epoch and row.back_next is None:
            desk.execute(ending_of(self._peer, record))


def beginning_of(peer: Peer, record: LedgerRecord) -> BeginRecovery:
    """Return the command that asks `peer` for our words, as the successor that `record` tells of."""
    before, shown = record.predecessor, peer.shown
    seen = None
    if before is not None and shown is not None and shown.origin == before.ledger:
        seen = SeenCheckpoint(size=shown.size, root=Digest(shown.root.hex()))
    return BeginRecovery(
        id=recovery_id(record.log, peer.ledger), partner=peer.ledger, seen=seen, words=peer.outgoing.fence.bodies
    )


def ending_of(peer: Peer, record: LedgerRecord) -> EndRecovery:
    """Return the command that notes that `peer` has given back all our words."""
    return EndRecovery(
        id=recovery_ended_id(record.log, peer.ledger), partner=peer.ledger, words=peer.outgoing.fence.bodies
    )


def _entering(returned: ReturnedAgreement, *, forced: bool) -> EnterAgreement:
    digest = agreement_digest(returned.signed.agreement)
    return EnterAgreement(id=agreement_id(digest), signed=returned.signed, forced=forced)
