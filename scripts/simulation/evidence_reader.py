"""The reader of the fake store, the part about evidence: accusations, and the partners' words they are made of."""

from hashlib import sha256

from node.store.rows import EvidenceHead, ReceivedMessage, StoreCounts, StoredPartnerCheckpoint
from node.store.rows_accusations import StoredAccusation
from protocol.identifiers import Digest, Ledger
from protocol.ledger.state import ACCOUNTS
from scripts.simulation.settlement_reader import SettlementReader

_DECISIONS = ("fulfil", "reject")
_ORDER = "prepare"


class EvidenceReader(SettlementReader):
    """Reads what was committed last."""

    def accusations(self, before_number: int | None = None, limit: int = 100) -> list[StoredAccusation]:
        """Return files of evidence, the newest first, those before `before_number`."""
        kept = self._disk.state.accusations
        return [each for each in reversed(kept) if before_number is None or each.number < before_number][:limit]

    def accusation(self, digest: Digest) -> StoredAccusation | None:
        """Return one file of evidence, or None."""
        return next((each for each in self._disk.state.accusations if each.digest == digest), None)

    def is_accused(self, partner: Ledger, subject: str, name: str) -> bool:
        """Return whether there is evidence against `partner` about this very thing."""
        thing = (partner, subject, name)
        return any((each.partner, each.subject, each.name) == thing for each in self._disk.state.accusations)

    def received_places(
        self, partner: Ledger, *, epoch: int, epoch_nonce: str, first_seq: int, last_seq: int
    ) -> dict[int, Digest]:
        """Return which bodies were first received in these frames of the partner's stream, by the frames' `seq`."""
        kept = self._disk.state.frames
        places = ((seq, kept.get((partner, epoch, epoch_nonce, seq))) for seq in range(first_seq, last_seq + 1))
        return {seq: digest for seq, digest in places if digest is not None}

    def received_in(self, partner: Ledger, *, epoch: int, epoch_nonce: str, seq: int) -> ReceivedMessage | None:
        """Return the body that was first received in a frame of the partner's stream, with its envelope, or None."""
        wanted = (partner, epoch, epoch_nonce, seq)
        words = self._disk.state.words
        return next((each for each in words if _frame(each) == wanted), None)

    def received_numbered(self, number: int) -> ReceivedMessage | None:
        """Return the received body `number` with its envelope, or None."""
        words = self._disk.state.words
        return words[number] if 0 <= number < len(words) else None

    def messages_received(self, from_number: int = 0, limit: int = 100) -> list[ReceivedMessage]:
        """Return partners' bodies with their envelopes in the order of receipt, from `from_number` on."""
        return self._disk.state.words[from_number : from_number + limit]

    def words_twice(self, *, from_number: int, before_number: int, limit: int) -> list[tuple[int, int]]:
        """Return pairs of received bodies, the later and an earlier one, that may not both be true."""
        words = self._disk.state.words
        pairs = (
            (later.number, earlier.number)
            for later in words[from_number:before_number]
            if later.conversion is not None and (later.kind in _DECISIONS or later.kind == _ORDER)
            for earlier in words[: later.number]
            if (earlier.conversion, earlier.partner) == (later.conversion, later.partner) and _alike(later, earlier)
        )
        return [pair for pair, _ in zip(pairs, range(limit), strict=False)]

    def checkpoints_twice(self, from_number: int) -> list[tuple[StoredPartnerCheckpoint, StoredPartnerCheckpoint]]:
        """Return pairs of different notes of one log and size, the later of them numbered `from_number` or higher."""
        kept = self._disk.state.partner_checkpoints
        return [
            (older, newer)
            for newer in kept[from_number:]
            for older in kept[: newer.number]
            if (older.ledger, older.generation, older.size) == (newer.ledger, newer.generation, newer.size)
            and older.note != newer.note
        ]

    def witnessed(self, origin: str) -> None:
        """Return that nothing was cosigned: there are no witnesses here."""

    def proved(self, origin: str) -> None:
        """Return that nothing was proved to a witness."""

    def evidence_heads(self) -> list[EvidenceHead]:
        """Return how many rows each evidence table has had; their running digests are not kept here."""
        state = self._disk.state
        counts = {"messages_received": len(state.words), "partner_checkpoints": len(state.partner_checkpoints)}
        nothing = Digest(sha256().hexdigest())
        return [EvidenceHead(name=name, count=count, chain=nothing) for name, count in counts.items() if count]

    def counts(self) -> StoreCounts:
        """Return how much the store holds."""
        state = self._disk.state
        return StoreCounts(
            entries=state.entries[-1].entry.seq + 1 if state.entries else 0,
            accounts=len(state.table(ACCOUNTS)),
            messages_sent=len(state.sent),
            messages_received=len(state.words),
            outbox=len(state.outbox),
        )


def _frame(word: ReceivedMessage) -> tuple[Ledger, int, str, int]:
    return word.partner, word.epoch, word.epoch_nonce, word.frame_seq


def _alike(later: ReceivedMessage, earlier: ReceivedMessage) -> bool:
    return (later.kind in _DECISIONS and earlier.kind in _DECISIONS) or later.kind == earlier.kind == _ORDER
