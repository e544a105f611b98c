"""The terms of a conversion, as both ledgers check them against the agreement that it cites."""

from collections.abc import Iterator

from protocol.agreement import Agreement, Direction
from protocol.entries import ConversionCredited, ConversionHeld, Posting, transfer_postings
from protocol.errors import Code, Refusal
from protocol.fields import later
from protocol.identifiers import Account, Asset, Digest, Ledger, Network
from protocol.ledger.promotions import Terms, check_running, named_promotion, named_terms, needs_promotions
from protocol.ledger.state import AGREEMENTS, CURRENT, HEAD, ONLY, AgreementRecord, Head
from protocol.ledger.view import Need, Overlay, View, need
from protocol.limits import ACCEPT_BY_SECONDS_MAX
from protocol.messages import Prepare


def needs_agreement(view: Overlay, digest: Digest, *, source: Ledger | None) -> Iterator[Need]:
    """Name an agreement and, for conversions out of `source`, what its promotions have given."""
    yield need(AGREEMENTS, digest)
    record = view.peek(AGREEMENTS, digest)
    for direction in record.signed.agreement.directions if record else ():
        if direction.source == source:
            yield from needs_promotions(digest, direction)


def needs_terms(view: Overlay, partner: Ledger, *, source: Ledger | None) -> Iterator[Need]:
    """Name the latest agreement with `partner` and, while one has not begun, the one that it will replace."""
    yield need(CURRENT, partner)
    current = view.peek(CURRENT, partner)
    now = (view.peek(HEAD, ONLY) or Head()).time
    digest = current.digest if current else None
    while digest is not None:
        yield from needs_agreement(view, digest, source=source)
        record = view.peek(AGREEMENTS, digest)
        if record is None or record.signed.agreement.valid_from <= now:
            return
        digest = record.signed.agreement.supersedes


def latest_agreements(view: View, partner: Ledger, *, at: str) -> list[tuple[Digest, AgreementRecord]]:
    """Return the agreements with `partner` from the latest back to the first that had begun by `at`."""
    current = view.get(CURRENT, partner)
    digest = current.digest if current else None
    found: list[tuple[Digest, AgreementRecord]] = []
    while digest is not None:
        record = view.get(AGREEMENTS, digest)
        assert record is not None, "an agreement that was entered exists"
        found.append((digest, record))
        agreement = record.signed.agreement
        digest = agreement.supersedes if at < agreement.valid_from else None
    return found


def agreement_for_order(view: View, partner: Ledger, *, at: str) -> tuple[Digest, AgreementRecord]:
    """Return the latest agreement with `partner` that has begun by `at`, or the first of all, or refuse."""
    found = latest_agreements(view, partner, at=at)
    if not found:
        raise Refusal(Code.AGREEMENT_UNKNOWN, f"there is no agreement with {partner}")
    return found[-1]


def agreement_record(view: View, digest: Digest, *, partner: Ledger, network: Network) -> AgreementRecord:
    """Return the agreement with `partner` that a conversion cites, or refuse."""
    record = view.get(AGREEMENTS, digest)
    if record is None or record.partner != partner or record.signed.agreement.network != network:
        raise Refusal(Code.AGREEMENT_UNKNOWN, f"there is no such agreement with {partner}")
    return record


def check_in_force(record: AgreementRecord, *, at: str, grace: bool) -> None:
    """Refuse unless the agreement binds at the time `at`; with `grace`, quotes given before its end still count."""
    agreement, end = record.signed.agreement, record.end
    if at < agreement.valid_from:
        raise Refusal(Code.AGREEMENT_NOT_YET, f"the agreement begins at {agreement.valid_from}")
    if end is not None and at >= (later(end, seconds=agreement.quote_life_seconds) if grace else end):
        raise Refusal(Code.AGREEMENT_LAPSED, f"the agreement ended at {end}")


def check_terms(
    entry: ConversionHeld | ConversionCredited, agreement: Agreement, direction: Direction, *, created_at: str
) -> None:
    """Refuse amounts that are not what the agreement, or its promotion, makes of the entry's steps."""
    if entry.promotion is not None:
        promotion = named_promotion(direction, entry.promotion)
        check_running(promotion, created_at=created_at, at=entry.time, life_seconds=agreement.quote_life_seconds)
    if entry.steps < direction.steps_min:
        raise Refusal(Code.STEPS_BELOW_MINIMUM, f"the minimum is {direction.steps_min} steps")
    if entry.steps > direction.steps_max:
        raise Refusal(Code.STEPS_ABOVE_MAXIMUM, f"the maximum is {direction.steps_max} steps")
    terms = named_terms(direction, entry.promotion)
    check_amounts(entry, terms, currency=agreement.currency, fee_points=direction.fee_points(entry.steps))


def check_amounts(
    entry: ConversionHeld | ConversionCredited | Prepare, terms: Terms, *, currency: Asset, fee_points: int
) -> None:
    """Refuse points, value, currency or fee that are not those of the entry's steps."""
    expected = (
        entry.steps * terms.step.source,
        entry.steps * terms.step.destination,
        entry.steps * terms.price,
        currency,
    )
    if (entry.source_points, entry.destination_points, entry.value, entry.currency) != expected:
        raise Refusal(Code.AMOUNT_MISMATCH, "the amounts are not those of the agreement's steps")
    if entry.fee_points != fee_points:
        raise Refusal(Code.FEE_MISMATCH, "the fee is not that of the agreement")


def check_deadline(accept_by: str, *, created_at: str) -> None:
    """Refuse a deadline before, or too long after, the conversion's creation."""
    if not created_at < accept_by <= later(created_at, seconds=ACCEPT_BY_SECONDS_MAX):
        raise Refusal(Code.CLOCK, f"the deadline must lie within {ACCEPT_BY_SECONDS_MAX} seconds of the order")


def money_postings(currency: Asset, value: int, *, debit: str, credit: str) -> tuple[Posting, ...]:
    """Return the postings of a settlement value in millionths; a conversion without value makes none."""
    if not value:
        return ()
    return transfer_postings(currency, value, debit=Account(debit), credit=Account(credit))
