"""One ledger's log as an outsider follows it: chain, tree, balances, points outstanding, conversions, settlement.

Everything is reckoned anew from the entries and compared with what the store's derived rows say.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from protocol import entries
from protocol import recovery_entries as recovery
from protocol.conversion import DestinationState, SourceState
from protocol.encoding import ZERO_DIGEST
from protocol.entries import AnyEntry, ConversionCredited, ConversionHeld, Sealed, unseal
from protocol.identifiers import Account, Asset, Id, Ledger, generation_of
from protocol.ledger.postings import ADJUSTMENT, is_holder
from protocol.ledger.state import ACCOUNTS, BALANCES, HEAD, HOLDS, LOTS, ONLY, Head
from protocol.merkle import CompactRange, Hash
from protocol.messages import Fulfil, Prepare, Reject
from protocol.point_entries import PointsExpired, PointsReversed
from scripts.simulation.invariants import Invariant, Violation
from scripts.simulation.recovered import credited_again, held_again, is_borne
from scripts.simulation.relations import Relations
from scripts.simulation.stakes import Stakes
from scripts.simulation.store import State

Key: TypeAlias = tuple[Ledger, Id]
_UNDECIDED: Final = (SourceState.HELD, SourceState.FORCED)
_TERMS: Final = (
    "agreement", "promotion", "refund_of", "steps", "source_points", "destination_points", "fee_points", "value",
    "currency", "alias", "accept_by",
)  # fmt: skip
"""What both ledgers must have of a conversion in the same way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A conversion at its source."""

    state: SourceState
    entry: ConversionHeld

    @property
    def destination(self) -> Ledger:
        """Return who is asked to credit it."""
        return self.entry.destination

    @property
    def is_undecided(self) -> bool:
        """Return whether its destination's word is still waited for."""
        return self.state in _UNDECIDED


@dataclass(frozen=True, slots=True, kw_only=True)
class Credit:
    """A conversion at its destination; a refused one has no entry of terms."""

    state: DestinationState
    at: Ledger
    entry: ConversionCredited | None


@dataclass(slots=True)
class News:
    """What new entries are about: conversions by their keys, and partners."""

    conversions: list[Key] = field(default_factory=list)
    partners: set[Ledger] = field(default_factory=set)


def same_terms(held: Held, credit: Credit) -> bool:
    """Return whether what was credited is what the source asked for."""
    return held.destination == credit.at and all(
        getattr(held.entry, name) == getattr(credit.entry, name) for name in _TERMS
    )


class Book:
    """Follows one ledger, entry by entry; `moves` counts the decisions and conclusions about each partner's."""

    def __init__(self, ledger: Ledger, *, ignored: frozenset[Invariant] = frozenset()) -> None:
        """Begin before the first entry; look away from the invariants `ignored`."""
        self.ledger = ledger
        self._ignored = ignored
        self.outgoing: dict[Id, Held] = {}
        self.incoming: dict[Key, Credit] = {}
        self.agreements: dict[tuple[Ledger, int], str] = {}
        self.moves: Counter[Ledger] = Counter()
        self.stakes = Stakes(ledger, self._require)
        self.relations = Relations(ledger, self.stakes, self._require)
        self.generation = 1
        self.begun: dict[int, entries.Genesis] = {}
        self._taken = 0
        self._roots: dict[int, list[Hash]] = {1: []}
        self._tree = CompactRange()
        self._head = Head(leaf=ZERO_DIGEST)
        self._balances: Counter[tuple[Account, Asset]] = Counter()
        self._outstanding = 0

    @property
    def taken(self) -> int:
        """Return how many entries were followed, in all generations."""
        return self._taken

    @property
    def size(self) -> int:
        """Return how many entries the log has that is written now."""
        return len(self._roots[self.generation])

    def roots(self, generation: int) -> list[Hash]:
        """Return the roots over the first entries of a log, one for each size from 1 on; the list grows with it."""
        return self._roots.get(generation, [])

    def root_at(self, size: int, generation: int = 1) -> Hash | None:
        """Return the root over the first `size` entries of a log, or None where that does not reach."""
        roots = self.roots(generation)
        return roots[size - 1] if 1 <= size <= len(roots) else None

    def follow(self, state: State) -> News:
        """Take in what is new and return what it is about, or raise `Violation`."""
        news = News()
        if len(state.entries) == self._taken:
            return news
        for sealed in state.entries[self._taken :]:
            self._take(sealed, news)
        self._compare(state)
        return news

    def _take(self, sealed: Sealed, news: News) -> None:
        entry = sealed.entry
        self._require(unseal(sealed.data) == sealed, Invariant.CHAIN, f"entry {entry.seq} is not what its bytes say")
        place = (entry.seq, entry.prev)
        self._require(place == self._next_place(entry), Invariant.CHAIN, f"entry {entry.seq} breaks the chain")
        self._require(
            entry.time > self._head.time, Invariant.CHAIN, f"entry {entry.seq} is not later than the one before"
        )
        self._head = Head(size=entry.seq + 1, leaf=sealed.leaf, time=entry.time)
        self._tree.append(Hash(bytes.fromhex(sealed.leaf)))
        self._roots[self.generation].append(self._tree.root())
        self._taken += 1
        self._post(entry)
        self._outstanding += _points_made(entry, self.outgoing)
        self._convert(entry, news)

    def _next_place(self, entry: AnyEntry) -> tuple[int, str]:
        """Return seq and leaf before it that an entry must have; a successor's genesis begins another tree."""
        before = entry.predecessor if isinstance(entry, entries.Genesis) else None
        if before is None or not isinstance(entry, entries.Genesis):
            return self._head.size, self._head.leaf
        restored = (before.restored_size, before.restored_root)
        self._require(
            restored == (self.size, self._roots[self.generation][-1].hex()) and before.size >= before.restored_size,
            Invariant.GAP,
            f"{entry.ledger} does not say what was restored",
        )
        self.generation = generation_of(entry.ledger)
        self._roots[self.generation] = []
        self._tree = CompactRange()
        self.begun[self.generation] = entry
        return before.first_seq + before.size, ZERO_DIGEST

    def _post(self, entry: AnyEntry) -> None:
        sums: Counter[Asset] = Counter()
        for posting in getattr(entry, "postings", ()):
            sums[posting.asset] += posting.amount
            self._balances[posting.account, posting.asset] += posting.amount
        self._require(
            not any(sums.values()), Invariant.ZERO_SUM, f"the postings of entry {entry.seq} do not sum to zero"
        )

    def _convert(self, entry: AnyEntry, news: News) -> None:
        match entry:
            case entries.AgreementEntered():
                agreement = entry.signed.agreement
                other = agreement.other(self.ledger).ledger
                self.agreements[other, agreement.number] = entry.id
                self.stakes.agreed(entry)
                news.partners.add(other)
            case entries.ConversionHeld():
                self.outgoing[Id(entry.conversion)] = Held(state=SourceState.HELD, entry=entry)
                self.stakes.held(entry)
                news.conversions.append((self.ledger, Id(entry.conversion)))
                news.partners.add(entry.destination)
            case entries.ConversionCaptured() | entries.ConversionReleased() | entries.ConversionForced():
                self._conclude(entry, news)
            case entries.ConversionCredited() | entries.ConversionRefused():
                self._decide(entry, news)
            case recovery.Recovered():
                self._recover(entry, news)
            case _:
                if isinstance(partner := getattr(entry, "partner", None), str):
                    news.partners.add(Ledger(partner))
                self.relations.take(entry)

    def _recover(self, entry: recovery.Recovered, news: News) -> None:
        """Take a word that stands again as the entry that was lost; it was judged then."""
        body = entry.body
        news.partners.add(entry.partner)
        match body:
            case Prepare():
                held = held_again(entry, body)
                self.outgoing[body.id] = Held(state=SourceState.HELD, entry=held)
                self.stakes.held(held, again=True)
            case Fulfil():
                assert entry.prepare is not None, "a credit repeats what it answers"
                credit = credited_again(entry, body, entry.prepare)
                self.incoming[body.source, body.id] = Credit(
                    state=DestinationState.CREDITED, at=self.ledger, entry=credit
                )
                self.stakes.credited(credit, again=entry.account or ADJUSTMENT)
                self.relations.credited(credit)
            case Reject():
                self.incoming[body.source, body.id] = Credit(state=DestinationState.REFUSED, at=self.ledger, entry=None)
            case _:
                self.relations.recovered(entry)
        if isinstance(body, Prepare | Fulfil | Reject):
            news.conversions.append((body.source, body.id))

    def _conclude(
        self,
        entry: entries.ConversionCaptured | entries.ConversionReleased | entries.ConversionForced,
        news: News,
    ) -> None:
        conversion = Id(entry.conversion)
        before = self.outgoing[conversion]
        self._require(before.is_undecided, Invariant.CONCLUDED_TWICE, f"{conversion} was concluded before")
        forced = before.state is SourceState.FORCED
        if isinstance(entry, entries.ConversionForced):
            after = SourceState.FORCED
        elif isinstance(entry, entries.ConversionCaptured):
            after = SourceState.FORCED_OWED if forced else SourceState.CAPTURED
            self.relations.captured(entry, before.entry)
        else:
            after = SourceState.FORCED_CLEARED if forced else SourceState.RELEASED
        self.outgoing[conversion] = Held(state=after, entry=before.entry)
        self.stakes.concluded(before.entry, before.state, after)
        self.moves[before.destination] += 1
        news.conversions.append((self.ledger, conversion))
        news.partners.add(before.destination)

    def _decide(self, entry: ConversionCredited | entries.ConversionRefused, news: News) -> None:
        key = (entry.source, Id(entry.conversion))
        self._require(key not in self.incoming, Invariant.DECIDED_TWICE, f"{entry.conversion} was decided before")
        if isinstance(entry, ConversionCredited):
            self.incoming[key] = Credit(state=DestinationState.CREDITED, at=self.ledger, entry=entry)
            self.stakes.credited(entry)
            self.relations.credited(entry)
        else:
            self.incoming[key] = Credit(state=DestinationState.REFUSED, at=self.ledger, entry=None)
        self.moves[entry.source] += 1
        news.conversions.append(key)
        news.partners.add(entry.source)

    def _compare(self, state: State) -> None:
        made = state.checkpoints[-1]
        self._require(
            state.row(HEAD, ONLY) == self._head, Invariant.CHAIN, "the head row is not that of the last entry"
        )
        root = self._roots[self.generation][-1].hex()
        self._require(
            (made.generation, made.size, made.root) == (self.generation, self.size, root),
            Invariant.ROOT,
            "the checkpoint is not that of the entries",
        )
        self._compare_holders(state)
        found = {key: row.amount for key, row in state.table(BALANCES).items()}
        other = {key: amount for key, amount in self._balances.items() if not is_holder(key[0])}
        self._require(
            found == {key: other.get(key, 0) for key in found} and other.keys() <= found.keys(),
            Invariant.BALANCES,
            "a balance is not the sum of its postings",
        )
        money = Counter({key: amount for key, amount in found.items() if "/" in key[0]})
        self.stakes.compare(state, money)
        self.relations.compare(money)

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
        wanted = _points_of(held.entry) if held.state is SourceState.HELD else 0
        self._require(
            remaining == wanted, Invariant.HOLD_MOVED, f"the hold of {conversion} has {remaining} of {wanted} points"
        )

    def _require(self, condition: object, invariant: Invariant, detail: str) -> None:
        if not condition and invariant not in self._ignored:
            raise Violation(invariant, f"{self.ledger}: {detail}")


def _points_of(entry: ConversionHeld) -> int:
    return entry.source_points + entry.fee_points


def _points_made(entry: AnyEntry, outgoing: dict[Id, Held]) -> int:
    """Return by how much `entry` changes what holders have, as its kind and not its postings say."""
    match entry:
        case entries.PointsIssued():
            return entry.postings[1].amount
        case entries.PointsRedeemed() | entries.HoldCaptured():
            return -entry.postings[1].amount
        case PointsReversed():
            returned = entry.postings[1].amount
            return returned if is_holder(entry.postings[1].account) else -returned
        case PointsExpired():
            return -sum(lot.amount for lot in entry.lots)
        case entries.ConversionCaptured():
            held = outgoing[Id(entry.conversion)]
            given = held.state is SourceState.FORCED or is_borne(held.entry.account)
            return 0 if given else -_points_of(held.entry)
        case entries.ConversionCredited():
            return entry.destination_points
        case recovery.Recovered():
            credited = isinstance(entry.body, Fulfil) and entry.account is not None
            return entry.body.destination_points if isinstance(entry.body, Fulfil) and credited else entry.shortfall
        case _:
            return 0
