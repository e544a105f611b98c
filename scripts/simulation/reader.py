"""The reader of the fake store: what services and workers of a running node read."""

from collections.abc import Collection, Sequence
from typing import TypeVar

from node.store.reader import StoreReader
from node.store.rows import ChannelState, Pending, SentMessage, SignedCheckpoint, StoredPartnerCheckpoint
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
    HoldRecord,
    IncomingRecord,
    Lot,
    OutgoingRecord,
    PartnerRecord,
    Table,
)
from scripts.simulation.store import Disk

_K = TypeVar("_K")
_R = TypeVar("_R")
_PAGE_ROWS = 100


class MemoryReader(StoreReader):
    """Reads what was committed last; the reads of operators and auditors are not here."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk

    def record(self, table: Table[_K, _R], key: _K) -> _R | None:
        """Return one row of the ledger's state, or None."""
        return self._disk.state.row(table, key)

    # --- The log.

    def entry(self, seq: int) -> bytes | None:
        """Return the bytes of entry `seq`, or None."""
        found = self.entries(seq, 1)
        return found[0] if found else None

    def entries(self, start: int, count: int) -> list[bytes]:
        """Return the bytes of up to `count` entries from entry `start` on."""
        return [sealed.data for sealed in self._disk.state.entries[start : start + count]]

    def entry_seq_of_id(self, entry_id: Id) -> int | None:
        """Return which entry has taken `entry_id`, or None."""
        found = self.record(IDS, entry_id)
        return None if found is None else found.seq

    def tile(self, level: int, index: int) -> bytes:
        """Return the hashes of a tile, or nothing where there is none."""
        return self._disk.state.tiles.get((level, index), b"")

    def latest_checkpoint(self) -> SignedCheckpoint | None:
        """Return our last signed checkpoint, or None while the log is empty."""
        made = self._disk.state.checkpoints
        return made[-1] if made else None

    # --- The ledger's state.

    def accounts(self, after: Account | None = None, limit: int = _PAGE_ROWS) -> list[tuple[Account, AccountRecord]]:
        """Return holders' accounts in the order of their names, those after `after`."""
        found = sorted(self._disk.state.table(ACCOUNTS).items(), key=_first)
        return [row for row in found if after is None or row[0] > after][:limit]

    def lots(self, account: Account) -> list[Lot]:
        """Return the open lots of `account` in the order in which they are consumed."""
        return self._disk.state.lots(account)

    def open_holds(
        self, account: Account, after: Id | None = None, limit: int = _PAGE_ROWS
    ) -> list[tuple[Id, HoldRecord]]:
        """Return the holds on `account` that still keep points, in the order of their ids, those after `after`."""
        held = sorted(self._disk.state.table(HOLDS).items(), key=_first)
        mine = [(key, hold) for key, hold in held if hold.account == account and hold.remaining]
        return [row for row in mine if after is None or row[0] > after][:limit]

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

    def latest_partner_checkpoint(self, ledger: Ledger) -> StoredPartnerCheckpoint | None:
        """Return the largest checkpoint that we have of a partner's log, or None."""
        return self._disk.state.latest.get(ledger)

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


def _first(row: tuple[str, object]) -> str:
    return row[0]
