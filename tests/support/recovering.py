"""Words of a gap as tests of the ledger's rules need them: lost, given back, changed, checked."""

from typing import Final

import msgspec

from protocol.identifiers import Account, successor_of
from protocol.ledger.state import (
    BALANCES,
    EXPOSURE,
    INCOMING,
    OUTGOING,
    ExposureRecord,
    IncomingRecord,
    OutgoingRecord,
    Way,
)
from protocol.messages import Predecessor
from protocol.recovery_entries import Recovered
from tests.property.invariants import check_holders, check_holds, check_sums
from tests.support.documents import (
    AURORA,
    BLUEBIRD,
    COPPER,
    NETWORK,
    USD,
    digest_of_body,
    uuid,
)
from tests.support.ledger import (
    MemoryLedger,
    Pair,
    add_partner,
    ask_cancel,
    convert,
    issue,
    new_ledger,
    open_holder,
    order,
    receive,
    replay,
    rows_of,
)
from tests.support.succession import (
    Word,
    begin,
    give_back,
    predecessor_of,
    restored,
    succeed,
)

ADJUSTMENT: Final = Account("adjustment")
SECOND: Final = successor_of(AURORA.ledger)
THIRD: Final = successor_of(SECOND)


def size_of(ledger: MemoryLedger) -> int:
    """Return how many entries a ledger has."""
    return len(ledger.sealed)


def words_of(lost: MemoryLedger, size: int, partner: MemoryLedger) -> list[Word]:
    """Return the words of `lost` that its partner gives back."""
    return [word for word in give_back(lost, size, partner) if word.ours]


def opened(lost: MemoryLedger, size: int, partner: MemoryLedger) -> MemoryLedger:
    """Return the successor, asking `partner`; nothing is given back yet."""
    ledger = succeed(lost, size)
    begin(ledger, partner.name)
    return ledger


def outgoing(ledger: MemoryLedger, name: str = "lost") -> OutgoingRecord:
    """Return the row of a conversion that a ledger ordered."""
    record = ledger.state.get(OUTGOING, uuid(name))
    assert record is not None
    return record


def incoming(ledger: MemoryLedger, pair: Pair, name: str = "lost") -> IncomingRecord:
    """Return the row of a conversion that a ledger decided."""
    record = ledger.state.get(INCOMING, (NETWORK, pair.source.name, uuid(name)))
    assert record is not None
    return record


def balance(ledger: MemoryLedger, account: str, *, money: bool = False) -> int:
    """Return the balance of a structural or money account."""
    record = ledger.state.get(BALANCES, (Account(account), USD if money else ledger.side.points))
    return record.amount if record else 0


def exposure(ledger: MemoryLedger, partner: MemoryLedger, way: Way) -> ExposureRecord:
    """Return what is at stake with a partner."""
    return ledger.state.get(EXPOSURE, (partner.name, way)) or ExposureRecord()


def check(ledger: MemoryLedger) -> None:
    """Hold that nothing was made or lost, and that an auditor comes to the same."""
    check_sums(ledger.state, ledger.sealed)
    check_holders(ledger.state)
    check_holds(ledger.state)
    assert rows_of(replay(ledger)) == rows_of(ledger.state)


def entry_of(ledger: MemoryLedger) -> Recovered:
    """Return the last entry, which recovers a word."""
    entry = ledger.sealed[-1].entry
    assert isinstance(entry, Recovered)
    return entry


def decided(pair: Pair, *, amount: int = 1_200, name: str = "lost") -> None:
    """Let the destination decide a conversion of which the source does not hear."""
    held = order(pair.source, pair.destination.name, pair.sender, amount, name=name)
    receive(pair.destination, pair.source.body(held))


def unlinked(pair: Pair) -> tuple[MemoryLedger, list[Word]]:
    """Return a successor of the source from before its member accepted the link."""
    ledger = opened(pair.source, 5, pair.destination)
    return ledger, give_back(pair.source, 5, pair.destination)


def credited(pair: Pair, *, name: str = "lost", amount: int = 1_200) -> None:
    """Carry a conversion to its end."""
    convert(pair.source, pair.destination, pair.sender, amount, name=name)


def refused_by(pair: Pair, *, cancelled: bool) -> None:
    """Let the destination refuse a conversion of which the source does not hear."""
    held = order(pair.source, pair.destination.name, pair.sender, 400, name="lost")
    if cancelled:
        wish = pair.source.body(ask_cancel(pair.source, name="lost"))
        receive(pair.destination, wish)
        return
    pair.destination.advance(days=1)
    receive(pair.destination, pair.source.body(held))


def with_body(word: Word, **values: object) -> Word:
    """Return a word whose body says something else, under the digest of that."""
    body = msgspec.structs.replace(word.body, **values)
    return Word(body=body, digest=digest_of_body(body), ours=True, prepare=word.prepare)


def lost_ledger() -> MemoryLedger:
    """Return a ledger of nine entries, of which tests restore seven."""
    ledger = new_ledger(AURORA)
    add_partner(ledger, BLUEBIRD)
    add_partner(ledger, COPPER)
    ann = open_holder(ledger, "ann", points=100)
    for amount in (1, 2, 3, 4):
        issue(ledger, ann, amount)
    return ledger


def changed(**values: object) -> Predecessor:
    """Return what its successor says of `lost_ledger`, with some of it changed."""
    lost = lost_ledger()
    return msgspec.structs.replace(predecessor_of(lost, restored(lost, 7)), **values)
