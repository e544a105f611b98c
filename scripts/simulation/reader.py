"""The reader of the fake store: what services and workers of a running node read."""

from bisect import bisect_left
from collections.abc import Collection, Sequence

from node.store.rows import (
    ChannelState,
    Pending,
    Proposal,
    ReceivedMessage,
    SentMessage,
    SignedCheckpoint,
    StoredPartnerCheckpoint,
)
from protocol.conversion import SourceState
from protocol.identifiers import Account, Asset, Digest, Id, Ledger, Network
from protocol.ledger.state import (
    ACCOUNTS,
    AGREEMENTS,
    BALANCES,
    CURRENT,
    HOLDS,
    IDS,
    INCOMING,
    OUTGOING,
    PARTNERS,
    AccountRecord,
    AgreementRecord,
    IncomingRecord,
    Lot,
    OutgoingRecord,
    PartnerRecord,
)
from scripts.simulation.evidence_reader import EvidenceReader

_PAGE_ROWS = 100
_OF_THE_CHANNEL = ("hello", "returned", "returned_agreement")


class MemoryReader(EvidenceReader):
    """Reads what was committed last; the reads of operators and auditors are not here."""

    # --- The log.

    def entry(self, seq: int) -> bytes | None:
        """Return the bytes of entry `seq`, or None."""
        found = self._disk.state.entry(seq)
        return None if found is None else found.data

    def entries(self, start: int, count: int) -> list[bytes]:
        """Return the bytes of up to `count` entries from entry `start` on."""
        stored = self._disk.state.entries
        first = bisect_left(stored, start, key=lambda sealed: sealed.entry.seq)
        last = bisect_left(stored, start + count, key=lambda sealed: sealed.entry.seq)
        return [sealed.data for sealed in stored[first:last]]

    def entry_seq_of_id(self, entry_id: Id) -> int | None:
        """Return which entry has taken `entry_id`, or None."""
        found = self.record(IDS, entry_id)
        return None if found is None else found.seq

    def tile(self, level: int, index: int, *, generation: int = 1) -> bytes:
        """Return the hashes of a tile of one of the ledger's logs, or nothing where there is none."""
        return self._disk.state.tiles.get((generation, level, index), b"")

    def latest_checkpoint(self) -> SignedCheckpoint | None:
        """Return our last signed checkpoint, or None while the log is empty."""
        made = self._disk.state.checkpoints
        return made[-1] if made else None

    def checkpoint_covering(self, size: int, *, generation: int = 1) -> SignedCheckpoint | None:
        """Return our first checkpoint of at least `size` entries of one of our logs, or None."""
        made = self._disk.state.checkpoints
        return next((each for each in made if each.generation == generation and each.size >= size), None)

    def checkpoint_of(self, generation: int) -> SignedCheckpoint | None:
        """Return our last checkpoint of one of our logs, or None."""
        made = self._disk.state.checkpoints
        return next((each for each in reversed(made) if each.generation == generation), None)

    def published(self, origin: str) -> None:  # noqa: ARG002 - of a method that is replaced
        """Return that nothing was published with cosignatures: there are no witnesses here."""
        return

    def witnessed(self, origin: str) -> None:  # noqa: ARG002 - of a method that is replaced
        """Return that this node has cosigned nothing: there are no witnesses here."""
        return

    def proved(self, origin: str) -> None:  # noqa: ARG002 - of a method that is replaced
        """Return that nothing is proved of partners' logs: the worker that does so is not here."""
        return

    # --- The ledger's state.

    def accounts(self, after: Account | None = None, limit: int = _PAGE_ROWS) -> list[tuple[Account, AccountRecord]]:
        """Return holders' accounts in the order of their names, those after `after`."""
        found = sorted(self._disk.state.table(ACCOUNTS).items(), key=_first)
        return [row for row in found if after is None or row[0] > after][:limit]

    def lots(self, account: Account) -> list[Lot]:
        """Return the open lots of `account` in the order in which they are consumed."""
        return self._disk.state.lots(account)

    def holds_expired(self, now: str, limit: int = _PAGE_ROWS) -> list[Id]:
        """Return holds whose time has passed at `now`, longest ago first; never those of conversions."""
        due = [
            (hold.expires_at, key)
            for key, hold in self._disk.state.table(HOLDS).items()
            if hold.remaining and not hold.conversion and hold.expires_at is not None and hold.expires_at <= now
        ]
        return [key for _, key in sorted(due)][:limit]

    def balances(self) -> list[tuple[Account, Asset, int]]:
        """Return the balances of all structural and money accounts."""
        found = sorted(self._disk.state.table(BALANCES).items(), key=lambda row: row[0])
        return [(account, asset, record.amount) for (account, asset), record in found]

    def partners(self) -> list[tuple[Ledger, PartnerRecord]]:
        """Return all partners in the order of their names."""
        return sorted(self._disk.state.table(PARTNERS).items(), key=_first)

    def agreements(self, partner: Ledger | None = None) -> list[tuple[Digest, AgreementRecord]]:
        """Return the agreements with one partner, or with all, newest first."""
        found = [row for row in self._disk.state.table(AGREEMENTS).items() if partner in {None, row[1].partner}]
        return sorted(found, key=lambda row: -row[1].entered_seq)

    def current_agreement(self, partner: Ledger) -> tuple[Digest, AgreementRecord] | None:
        """Return the latest agreement with `partner`, or None."""
        current = self.record(CURRENT, partner)
        record = None if current is None else self.record(AGREEMENTS, current.digest)
        return None if current is None or record is None else (current.digest, record)

    def outgoing_page(
        self,
        *,
        state: SourceState | None = None,
        states: Collection[SourceState] | None = None,
        account: Account | None = None,
        partner: Ledger | None = None,
        before_seq: int | None = None,
        limit: int = _PAGE_ROWS,
    ) -> list[tuple[Id, OutgoingRecord]]:
        """Return conversions whose source we are, newest first by `held_seq`, those before `before_seq`."""
        found = [
            (key, row)
            for key, row in self._disk.state.table(OUTGOING).items()
            if state in {None, row.state}
            and (states is None or row.state in states)
            and account in {None, row.account}
            and partner in {None, row.destination}
            and (before_seq is None or row.held_seq < before_seq)
        ]
        return sorted(found, key=lambda each: -each[1].held_seq)[:limit]

    def incoming_page(
        self, *, partner: Ledger | None = None, before_seq: int | None = None, limit: int = _PAGE_ROWS
    ) -> list[tuple[tuple[Network, Ledger, Id], IncomingRecord]]:
        """Return conversions that we have decided, newest first by `decided_seq`, those before `before_seq`."""
        found = [
            (key, row)
            for key, row in self._disk.state.table(INCOMING).items()
            if partner in {None, key[1]} and (before_seq is None or row.decided_seq < before_seq)
        ]
        return sorted(found, key=lambda each: -each[1].decided_seq)[:limit]

    # --- What was said, and what is still to be sent.

    def pending_outbox(self, partner: Ledger, after_number: int = -1, limit: int = _PAGE_ROWS) -> list[Pending]:
        """Return bodies that still want an answer from `partner`, oldest first, those after `after_number`."""
        state = self._disk.state
        waiting = sorted(number for number, to in state.outbox.items() if to == partner and number > after_number)
        return [Pending(number, state.sent[number].digest, state.sent[number].body) for number in waiting[:limit]]

    def outbox_partners(self) -> list[Ledger]:
        """Return the partners from whom an answer is still wanted, in the order of their names."""
        return sorted(set(self._disk.state.outbox.values()))

    def message_sent(self, digest: Digest) -> SentMessage | None:
        """Return a body of ours, or None."""
        number = self._disk.state.sent_numbers.get(digest)
        return None if number is None else self._disk.state.sent[number]

    def sent_count(self, partner: Ledger) -> int:
        """Return how many bodies we have made for `partner`."""
        return sum(each.partner == partner for each in self._disk.state.sent)

    def sent_kinds(self, digests: Sequence[Digest]) -> dict[Digest, str]:
        """Return the kinds of those of `digests` that are bodies of ours."""
        found = ((digest, self.message_sent(digest)) for digest in digests)
        return {digest: message.kind for digest, message in found if message is not None}

    def received_digests(self, partner: Ledger, digests: Sequence[Digest]) -> set[Digest]:
        """Return those of `digests` that are bodies which `partner` has sent us."""
        received = self._disk.state.received
        return {digest for digest in digests if (partner, digest) in received}

    def is_forked(self, partner: Ledger, log: Ledger) -> bool:  # noqa: ARG002 - of a method that is replaced
        """Return that no log is known to be forked: no evidence is kept here."""
        return False

    def partner_checkpoint(self, ledger: Ledger, size: int, *, generation: int = 1) -> StoredPartnerCheckpoint | None:
        """Return the first checkpoint that we have of a partner's log when it had `size` entries, or None."""
        wanted = (ledger, size, generation)
        kept = self._disk.state.partner_checkpoints
        return next((each for each in kept if (each.ledger, each.size, each.generation) == wanted), None)

    def latest_partner_checkpoint(
        self, ledger: Ledger, *, generation: int | None = None
    ) -> StoredPartnerCheckpoint | None:
        """Return the largest checkpoint that we have of a partner's log, or None: of one generation, or of its last."""
        latest = self._disk.state.latest.get(ledger)
        if generation is None or latest is None or latest.generation == generation:
            return latest
        kept = [each for each in self._disk.state.partner_checkpoints if each.ledger == ledger]
        return max((each for each in kept if each.generation == generation), key=lambda each: each.size, default=None)

    # --- Words by their places.

    def sent_place(self, partner: Ledger, digest: Digest) -> int | None:
        """Return the place of a body of ours among all to `partner`, or None for one that we have not made."""
        made = (each.digest for each in self._sent_to(partner))
        return next((place for place, each in enumerate(made) if each == digest), None)

    def sent_number(self, partner: Ledger, place: int) -> int | None:
        """Return the number under which the body of ours at `place` is kept, or None where we have made no so many."""
        return next((each.number for each in self._sent_to(partner)[place:]), None)

    def sent_numbers(self, digests: list[Digest]) -> dict[Digest, int]:
        """Return the numbers of those of `digests` that are bodies of ours."""
        known = self._disk.state.sent_numbers
        return {digest: known[digest] for digest in digests if digest in known}

    def sent_since(self, partner: Ledger, number: int, limit: int) -> list[SentMessage]:
        """Return our bodies to `partner` from `number` on, whether they still stand or not, in their order."""
        return [each for each in self._sent_to(partner) if each.number >= number][:limit]

    def stands_no_more(self, partner: Ledger, number: int) -> bool:
        """Return whether any of our bodies to `partner` from `number` on is not in the outbox."""
        standing = self._disk.state.outbox
        return any(each.number >= number and each.number not in standing for each in self._sent_to(partner))

    def words_received(self, partner: Ledger, place: int, limit: int) -> list[ReceivedMessage]:
        """Return the words of `partner` from `place` on, with their envelopes, in the order of receipt."""
        return self._words_of(partner)[place : place + limit]

    def words_received_after(self, partner: Ledger, number: int, limit: int) -> list[ReceivedMessage]:
        """Return the words of `partner` that were kept after the message `number`, with their envelopes."""
        return [each for each in self._words_of(partner) if each.number > number][:limit]

    def _sent_to(self, partner: Ledger) -> list[SentMessage]:
        return [each for each in self._disk.state.sent if each.partner == partner]

    def _words_of(self, partner: Ledger) -> list[ReceivedMessage]:
        words = self._disk.state.words
        return [each for each in words if each.partner == partner and each.kind not in _OF_THE_CHANNEL]

    def channel(self, partner: Ledger) -> ChannelState | None:
        """Return where the streams with `partner` stand, or None before the first epoch."""
        return self._disk.state.channels.get(partner)

    def channels(self) -> list[ChannelState]:
        """Return where the streams with all partners stand, in the order of their names."""
        return [state for _, state in sorted(self._disk.state.channels.items())]

    # --- What operators keep.

    def partner_url(self, partner: Ledger) -> str | None:
        """Return where a partner's node listens, or None."""
        return self._disk.state.urls.get(partner)

    def partner_urls(self) -> dict[Ledger, str]:
        """Return where partners' nodes listen, in the order of their names."""
        return dict(sorted(self._disk.state.urls.items()))

    def setting(self, name: str) -> str | None:
        """Return a named text, or None."""
        return self._disk.state.settings.get(name)

    def proposals(self) -> list[Proposal]:
        """Return the agreements that are proposed and not yet entered, oldest first."""
        return sorted(self._disk.state.proposals.values(), key=lambda each: (each.received_at, each.digest))

    def proposal(self, digest: Digest) -> Proposal | None:
        """Return a proposed agreement, or None."""
        return self._disk.state.proposals.get(digest)


def _first(row: tuple[str, object]) -> str:
    return row[0]
