"""One ledger's log as an outsider follows it: chain, tree, balances, points outstanding, conversions.

Everything is reckoned anew from the entries and compared with what the store's derived rows say.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from protocol import entries
from protocol.conversion import DestinationState, SourceState
from protocol.encoding import ZERO_DIGEST
from protocol.entries import AnyEntry, Sealed, unseal
from protocol.identifiers import Account, Asset, Id, Ledger
from protocol.ledger.postings import is_holder
from protocol.ledger.state import ACCOUNTS, BALANCES, HEAD, HOLDS, LOTS, ONLY, Head
from protocol.merkle import CompactRange, Hash
from scripts.simulation.store import State
from scripts.simulation.world import Invariant, Violation

Key: TypeAlias = tuple[Ledger, Id]
_ENDED: Final = (SourceState.CAPTURED, SourceState.RELEASED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What is to be converted, as both ledgers must have it."""

    source_points: int
    destination_points: int
    fee_points: int
    value: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A conversion at its source."""

    state: SourceState
    destination: Ledger
    terms: Terms


@dataclass(frozen=True, slots=True, kw_only=True)
class Credit:
    """A conversion at its destination; a refused one has no terms."""

    state: DestinationState
    at: Ledger
    terms: Terms | None


class Book:
    """Follows one ledger, entry by entry; `moves` counts the decisions and conclusions about each partner's."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.outgoing: dict[Id, Held] = {}
        self.incoming: dict[Key, Credit] = {}
        self.moves: Counter[Ledger] = Counter()
        self._roots: list[Hash] = []
        self._tree = CompactRange()
        self._head = Head(leaf=ZERO_DIGEST)
        self._balances: Counter[tuple[Account, Asset]] = Counter()
        self._outstanding = 0

    @property
    def size(self) -> int:
        """Return how many entries were followed."""
        return self._head.size

    def root_at(self, size: int) -> Hash | None:
        """Return the root over the first `size` entries, or None where the log does not reach."""
        return self._roots[size - 1] if 1 <= size <= len(self._roots) else None

    def follow(self, state: State) -> list[Key]:
        """Take in what is new and return the conversions that it is about, or raise `Violation`."""
        new = state.entries[self.size :]
        touched = [key for sealed in new for key in self._take(sealed)]
        if new:
            self._compare(state)
        return touched

    def _take(self, sealed: Sealed) -> Iterator[Key]:
        entry = sealed.entry
        self._require(unseal(sealed.data) == sealed, Invariant.CHAIN, f"entry {entry.seq} is not what its bytes say")
        place = (entry.seq, entry.prev)
        self._require(
            place == (self._head.size, self._head.leaf), Invariant.CHAIN, f"entry {entry.seq} breaks the chain"
        )
        self._require(
            entry.time > self._head.time, Invariant.CHAIN, f"entry {entry.seq} is not later than the one before"
        )
        self._head = Head(size=entry.seq + 1, leaf=sealed.leaf, time=entry.time)
        self._tree.append(Hash(bytes.fromhex(sealed.leaf)))
        self._roots.append(self._tree.root())
        self._post(entry)
        self._outstanding += _points_made(entry, self.outgoing)
        yield from self._convert(entry)

    def _post(self, entry: AnyEntry) -> None:
        sums: Counter[Asset] = Counter()
        for posting in getattr(entry, "postings", ()):
            sums[posting.asset] += posting.amount
            self._balances[posting.account, posting.asset] += posting.amount
        self._require(
            not any(sums.values()), Invariant.ZERO_SUM, f"the postings of entry {entry.seq} do not sum to zero"
        )

    def _convert(self, entry: AnyEntry) -> Iterator[Key]:
        match entry:
            case entries.ConversionHeld():
                held = Held(state=SourceState.HELD, destination=entry.destination, terms=_terms(entry))
                self.outgoing[Id(entry.conversion)] = held
                yield self.ledger, Id(entry.conversion)
            case entries.ConversionCaptured() | entries.ConversionReleased():
                captured = isinstance(entry, entries.ConversionCaptured)
                before = self.outgoing[Id(entry.conversion)]
                self._require(
                    before.state not in _ENDED, Invariant.CONCLUDED_TWICE, f"{entry.conversion} was concluded before"
                )
                after = SourceState.CAPTURED if captured else SourceState.RELEASED
                self.outgoing[Id(entry.conversion)] = replace(before, state=after)
                self.moves[before.destination] += 1
                yield self.ledger, Id(entry.conversion)
            case entries.ConversionCredited() | entries.ConversionRefused():
                key = (entry.source, Id(entry.conversion))
                self._require(
                    key not in self.incoming, Invariant.DECIDED_TWICE, f"{entry.conversion} was decided before"
                )
                if isinstance(entry, entries.ConversionCredited):
                    credit = Credit(state=DestinationState.CREDITED, at=self.ledger, terms=_terms(entry))
                else:
                    credit = Credit(state=DestinationState.REFUSED, at=self.ledger, terms=None)
                self.incoming[key] = credit
                self.moves[entry.source] += 1
                yield key
            case _:
                return

    def _compare(self, state: State) -> None:
        made = state.checkpoints[-1]
        self._require(
            state.row(HEAD, ONLY) == self._head, Invariant.CHAIN, "the head row is not that of the last entry"
        )
        root = self._roots[-1].hex()
        self._require(
            (made.size, made.root) == (self.size, root), Invariant.ROOT, "the checkpoint is not that of the entries"
        )
        self._compare_holders(state)
        found = {key: row.amount for key, row in state.table(BALANCES).items()}
        other = {key: amount for key, amount in self._balances.items() if not is_holder(key[0])}
        self._require(
            found == {key: other.get(key, 0) for key in found} and other.keys() <= found.keys(),
            Invariant.BALANCES,
            "a balance is not the sum of its postings",
        )

    def _compare_holders(self, state: State) -> None:
        held: Counter[Account] = Counter()
        for key, hold in state.table(HOLDS).items():
            held[hold.account] += hold.remaining
            if hold.conversion:
                self._check_hold(key, hold.remaining)
        lots: Counter[Account] = Counter()
        for (account, _, _), lot in state.table(LOTS).items():
            lots[account] += lot.remaining
        accounts = state.table(ACCOUNTS)
        points = next((asset for account, asset in self._balances if is_holder(account)), None)
        for account, record in accounts.items():
            posted = 0 if points is None else self._balances[account, points]
            fits = posted == record.posted and record.held == held[account] and record.available == lots[account]
            self._require(fits, Invariant.BALANCES, f"{account} is not what its postings, holds and lots say")
            self._require(0 <= record.held <= record.posted, Invariant.NEGATIVE_HOLDER, f"{account} is below zero")
        total = sum(record.posted for record in accounts.values())
        self._require(
            total == self._outstanding,
            Invariant.OUTSTANDING,
            f"holders have {total} points; issued, redeemed and converted make {self._outstanding}",
        )

    def _check_hold(self, conversion: Id, remaining: int) -> None:
        held = self.outgoing[conversion]
        wanted = held.terms.source_points + held.terms.fee_points if held.state is SourceState.HELD else 0
        self._require(
            remaining == wanted, Invariant.HOLD_MOVED, f"the hold of {conversion} has {remaining} of {wanted} points"
        )

    def _require(self, condition: object, invariant: Invariant, detail: str) -> None:
        if not condition:
            raise Violation(invariant, f"{self.ledger}: {detail}")


def _terms(entry: entries.ConversionHeld | entries.ConversionCredited) -> Terms:
    return Terms(
        source_points=entry.source_points,
        destination_points=entry.destination_points,
        fee_points=entry.fee_points,
        value=entry.value,
    )


def _points_made(entry: AnyEntry, outgoing: dict[Id, Held]) -> int:
    """Return by how much `entry` changes what holders have, as its kind and not its postings say."""
    match entry:
        case entries.PointsIssued():
            return entry.postings[1].amount
        case entries.PointsRedeemed() | entries.HoldCaptured():
            return -entry.postings[1].amount
        case entries.ConversionCaptured():
            terms = outgoing[Id(entry.conversion)].terms
            return -(terms.source_points + terms.fee_points)
        case entries.ConversionCredited():
            return entry.destination_points
        case _:
            return 0
