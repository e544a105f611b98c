"""Quotes: what a conversion would give, by the same steps that an order is held to."""

from dataclasses import dataclass
from typing import Final, TypeVar, cast

from node.services.context import Context
from node.services.requests import QuoteRequest
from node.store.reader import StoreReader
from protocol.agreement import Agreement, Direction
from protocol.entries import seal, stamp
from protocol.errors import Code, Refusal
from protocol.fields import later
from protocol.identifiers import Account, Digest, Ledger, id_from_random
from protocol.ledger import rules
from protocol.ledger.commands import OrderConversion
from protocol.ledger.moment import Moment
from protocol.ledger.partners import active_partner
from protocol.ledger.programs import terms_of
from protocol.ledger.promotions import Offer, best_offer
from protocol.ledger.state import HEAD, ONLY, Head, Lot, Table
from protocol.ledger.terms import agreement_for_order, check_in_force
from protocol.ledger.view import Overlay
from protocol.program import day_of

_ACCEPT_SECONDS: Final = 60

_K = TypeVar("_K")
_R = TypeVar("_R")


@dataclass(frozen=True, slots=True, kw_only=True)
class RateView:
    """Every `source` points give `destination` points."""

    source: int
    destination: int


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteView:
    """`used` of the amount fill `steps` whole steps and `stays` stay; `value` is in millionths of `currency`.

    `fee` is taken from the member's points beside those used. The points that the member gets expire `expires_days`
    after they are credited, on `expires_on` if that is today, or never when both are null. An order that names
    `agreement` has these terms until `valid_until`, as long as its promotion, where one is named, has budget left.
    """

    partner: str
    agreement: str
    promotion: str | None
    steps: int
    used: int
    stays: int
    fee: int
    gives: int
    value: int
    currency: str
    rate: RateView
    expires_days: int | None
    expires_on: str | None
    valid_until: str


class StoredView:
    """What the rules read, straight from the store; nothing can be changed through it."""

    def __init__(self, reader: StoreReader) -> None:
        self._reader = reader

    def get(self, table: Table[_K, _R], key: _K) -> _R | None:
        """Return the row, or None if there is none."""
        return self._reader.record(table, key)

    def put(self, table: Table[_K, _R], key: _K, record: _R) -> None:
        """Refuse: a quote reserves nothing."""
        raise AssertionError(f"a quote changes nothing: {table.name} {key!r} {record!r}")

    def insert(self, table: Table[_K, _R], key: _K, record: _R) -> bool:
        """Refuse: a quote reserves nothing."""
        raise AssertionError(f"a quote changes nothing: {table.name} {key!r} {record!r}")

    def lots(self, account: Account) -> list[Lot]:
        """Return the open lots of `account`."""
        return self._reader.lots(account)

    def known_lots(self, account: Account) -> list[Lot]:
        """Return the open lots of `account`: nothing has to be asked for."""
        return self.lots(account)

    def put_lot(self, account: Account, lot: Lot) -> None:
        """Refuse: a quote reserves nothing."""
        raise AssertionError(f"a quote changes nothing: {account} {lot!r}")


class QuotesService:
    """Answers what a conversion would give; nothing is reserved by it."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def quote(self, request: QuoteRequest) -> QuoteView:
        """Return the terms of a conversion ordered now, or raise the refusal that the order would meet."""
        now = self._context.now
        view = StoredView(self._context.reader)
        active_partner(view, request.partner)
        digest, record = agreement_for_order(view, request.partner, at=now)
        check_in_force(record, at=now, grace=False)
        agreement = record.signed.agreement
        direction = agreement.direction(self._context.ledger)
        offer = best_offer(view, digest, direction, amount=request.amount, at=now, life_seconds=0)
        if request.account is not None:
            self._try(request, request.account, now)
        _check_steps(direction, offer.split.steps)
        return _view(request.partner, digest, agreement, direction=direction, offer=offer, now=now)

    def _try(self, request: QuoteRequest, account: Account, now: str) -> None:
        """Order the conversion on rows that nobody keeps, so that a quote is refused as the order would be."""
        conversion = id_from_random(self._context.randomness.token(16))
        command = OrderConversion(
            id=conversion,
            account=account,
            destination=request.partner,
            amount=request.amount,
            accept_by=later(now, seconds=_ACCEPT_SECONDS),
        )
        view = self._loaded(command)
        head = view.get(HEAD, ONLY) or Head()
        time = max(now, later(head.time, microseconds=1))
        moment = Moment(time=time, today=day_of(terms_of(view), time))
        draft = rules.decide(view, command, moment)
        rules.apply(view, seal(stamp(draft, seq=head.size, prev=head.leaf, time=moment.time, nonce="0" * 32)))

    def _loaded(self, command: OrderConversion) -> Overlay:
        view, reader = Overlay(complete=False), self._context.reader
        while wanted := view.missing(rules.needs(view, command)):
            for table, key in wanted:
                if table is None:
                    view.load_book(cast("Account", key), reader.lots(cast("Account", key)))
                else:
                    view.load(table, key, reader.record(table, key))
        return view


def _check_steps(direction: Direction, steps: int) -> None:
    if steps < direction.steps_min:
        raise Refusal(Code.STEPS_BELOW_MINIMUM, f"the minimum is {direction.steps_min} steps")
    if steps > direction.steps_max:
        raise Refusal(Code.STEPS_ABOVE_MAXIMUM, f"the maximum is {direction.steps_max} steps")


def _view(
    partner: Ledger, digest: Digest, agreement: Agreement, *, direction: Direction, offer: Offer, now: str
) -> QuoteView:
    split, terms = offer.split, offer.terms
    return QuoteView(
        partner=partner,
        agreement=digest,
        promotion=terms.promotion,
        steps=split.steps,
        used=split.used,
        stays=split.stays,
        fee=direction.fee_points(split.steps),
        gives=split.gives,
        value=split.steps * terms.price,
        currency=agreement.currency,
        rate=RateView(source=terms.step.source, destination=terms.step.destination),
        expires_days=direction.expiry.days,
        expires_on=direction.expires_on(now[:10]),
        valid_until=later(now, seconds=agreement.quote_life_seconds),
    )
