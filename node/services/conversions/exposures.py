"""What is at stake with partners, against the caps that both have agreed on."""

from collections.abc import Iterator
from dataclasses import dataclass

from node.services.context import Context
from node.services.conversions.quotes import StoredView
from protocol.identifiers import Ledger
from protocol.ledger.state import EXPOSURE, IN, OUT, ExposureRecord, Way
from protocol.ledger.terms import agreement_for_order


@dataclass(frozen=True, slots=True, kw_only=True)
class ExposureView:
    """What is at stake one way: conversions to the partner (`out`) or from it (`in`), gross.

    `open` is the value of all that is undecided, owed, in dispute or not yet confirmed as paid, in millionths of
    `currency`; `cap` is the most that it may be, null for no limit. `undecided` of the conversions are on their way.
    """

    direction: Way
    currency: str
    open: str
    cap: int | None
    undecided: int


def all_exposures(context: Context) -> Iterator[tuple[Ledger, ExposureView]]:
    """Yield what is at stake both ways with every partner that an agreement is in force with."""
    for partner, _ in context.reader.partners():
        if context.reader.current_agreement(partner) is not None:
            yield from ((partner, each) for each in exposures(context, partner))


def exposures(context: Context, partner: Ledger) -> Iterator[ExposureView]:
    """Yield what is at stake with a partner both ways, by the agreement that new conversions cite."""
    view = StoredView(context.reader)
    _, record = agreement_for_order(view, partner, at=context.now)
    agreement = record.signed.agreement
    for way, source in ((OUT, context.ledger), (IN, partner)):
        exposure = view.get(EXPOSURE, (partner, way)) or ExposureRecord()
        yield ExposureView(
            direction=way,
            currency=agreement.currency,
            open=str(exposure.open_value),
            cap=agreement.direction(source).cap,
            undecided=exposure.conversions,
        )
