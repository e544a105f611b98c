"""Two windows of a pair's life: a line that the decider rejected and credited, disputes, and a payment that bounces."""

from protocol.ledger.state import OUT
from protocol.messages import Fulfil, Prepare, Reject
from protocol.settlement.lines import line_of
from protocol.statement import AdjustmentReason, DisputedLine, DisputeReason, Line
from tests.support.documents import digest_of_body, entry_reference
from tests.support.ledger import MemoryLedger, Pair, convert, order, receive
from tests.support.windows import adjusted, agree, close_both, confirm, dispute, disputed, pay, send_back, settle, take


def rejected_and_credited(pair: Pair, *, name: str = "torn", amount: int = 400) -> Line:
    """Let the destination reject a conversion and credit it all the same, and return the line that it claims."""
    source, destination = pair.source, pair.destination
    asked = source.body(order(source, destination.name, pair.sender, amount, name=name))
    assert isinstance(asked, Prepare)
    credited = destination.body(receive(destination, asked))
    assert isinstance(credited, Fulfil)
    rejected = Reject(
        network=asked.network,
        source=asked.source,
        destination=asked.destination,
        id=asked.id,
        prepare=digest_of_body(asked),
        cancel=None,
        reason="expired",
        decided_at=credited.decided_at,
        entry=entry_reference(),
    )
    receive(source, rejected)
    return line_of(asked, credited)


def doubt(line: Line, reason: DisputeReason = DisputeReason.REJECTED) -> DisputedLine:
    """Return the dispute of a line."""
    return DisputedLine(window=line.window, dec_seq=line.dec_seq, id=line.id, value=line.value, reason=reason)


def both_ways(pair: Pair, name: str, *, out: int = 400, back: int = 250) -> None:
    """Convert once in each direction."""
    convert(pair.source, pair.destination, pair.sender, out, name=f"{name} out")
    convert(pair.destination, pair.source, pair.receiver, back, name=f"{name} back")


def settle_windows(pair: Pair) -> None:
    """Settle two windows of `pair`, whose source is the first party, with everything that can happen to them."""
    one, other = pair.source, pair.destination
    both_ways(pair, "settled")
    claimed = rejected_and_credited(pair)
    close_both(other, one, 1)
    ours = doubt(claimed)
    take(other, one.body(dispute(one, other, ours, source=one.name, entered=(claimed,))))
    theirs = disputed(other, one, OUT, 1)
    take(one, other.body(dispute(other, one, theirs, source=other.name)))
    payer, payee = _payer(pair, agree(one, other, 1).payer)
    pay(payer, payee, 1)
    send_back(payer, payee, 1)
    pay(payer, payee, 1, name="again")
    confirm(payer, payee, 1)
    both_ways(pair, "later", out=800)
    close_both(one, other, 2)
    waived = AdjustmentReason.WAIVED
    agree(one, other, 2, {one.name: [adjusted(ours, waived, 0)], other.name: [adjusted(theirs, waived, 0)]})
    settle(pair, 2)


def _payer(pair: Pair, name: str | None) -> tuple[MemoryLedger, MemoryLedger]:
    pairs = [(pair.source, pair.destination), (pair.destination, pair.source)]
    return next((payer, payee) for payer, payee in pairs if payer.name == name)
