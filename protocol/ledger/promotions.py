"""Which step a conversion is made at: the direction's own, or that of a promotion that runs and has budget left."""

from collections.abc import Iterator
from dataclasses import dataclass

from protocol.agreement import Direction, Fee, Promotion
from protocol.errors import Code, Refusal
from protocol.fields import later
from protocol.identifiers import Digest, Ledger
from protocol.ledger.state import PROMOTION_USE, PromotionUse
from protocol.ledger.view import Need, View, need
from protocol.limits import INTEGER_MAX
from protocol.points import Split, Step, split_into_steps


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """A step, what the source owes for each, and the promotion that they are of, if any."""

    step: Step
    price: int
    promotion: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What an amount of points would be converted to, on which terms."""

    terms: Terms
    split: Split

    @property
    def place(self) -> tuple[int, int, str]:
        """Return what the member prefers most, least: more points, then fewer given for them, then no promotion."""
        return (-self.split.gives, self.split.used, self.terms.promotion or "")


def own_terms(direction: Direction) -> Terms:
    """Return the terms that always hold."""
    return Terms(step=direction.step, price=direction.price)


def promotion_terms(promotion: Promotion) -> Terms:
    """Return the terms of a promotion."""
    return Terms(step=promotion.step, price=promotion.price, promotion=promotion.name)


def named_terms(direction: Direction, name: str | None) -> Terms:
    """Return the terms that a conversion cites, or refuse `promotion_unknown`."""
    return own_terms(direction) if name is None else promotion_terms(named_promotion(direction, name))


def named_promotion(direction: Direction, name: str) -> Promotion:
    """Return the promotion of that name, or refuse `promotion_unknown`."""
    for promotion in direction.promotions:
        if promotion.name == name:
            return promotion
    raise Refusal(Code.PROMOTION_UNKNOWN, f"the agreement has no promotion {name!r} in this direction")


def check_running(promotion: Promotion, *, created_at: str, at: str, life_seconds: int) -> None:
    """Refuse unless the promotion had begun when the conversion was created and, for an open quote, is not over."""
    if created_at < promotion.starts_at:
        raise Refusal(Code.PROMOTION_OVER, f"the promotion begins at {promotion.starts_at}")
    if at >= later(promotion.ends_at, seconds=life_seconds):
        raise Refusal(Code.PROMOTION_OVER, f"the promotion ended at {promotion.ends_at}")


def needs_promotions(digest: Digest, direction: Direction) -> Iterator[Need]:
    """Name what the promotions of one direction of an agreement have given so far."""
    for promotion in direction.promotions:
        yield need(PROMOTION_USE, (digest, direction.source, promotion.name))


def use_promotion(view: View, key: tuple[Digest, Ledger, str], points: int, *, budget: int | None) -> None:
    """Take `points` of a promotion's budget, or refuse `promotion_over`; a negative number gives them back."""
    used = points + (view.get(PROMOTION_USE, key) or PromotionUse()).points
    if points > 0 and budget is not None and used > budget:
        raise Refusal(Code.PROMOTION_OVER, f"{budget - used + points} points are left of the promotion's budget")
    view.put(PROMOTION_USE, key, PromotionUse(points=used))


def check_size(terms: Terms, fee: Fee, steps: int) -> None:
    """Refuse a conversion whose points, value or fee no integer of the protocol can state."""
    fee_points = fee.points_per_conversion + steps * fee.points_per_step
    if max(steps * terms.price, steps * terms.step.destination, fee_points) > INTEGER_MAX:
        raise Refusal(Code.BALANCE_OVERFLOW, "the conversion is larger than an entry can state")


def best_offer(view: View, digest: Digest, direction: Direction, *, amount: int, at: str, life_seconds: int) -> Offer:
    """Return the offer that gives the member most for `amount`, or refuse what the direction's own step refuses.

    With `life_seconds` above 0, a promotion counts that long after its end: quotes given while it ran are open still.
    """
    offers = [
        offer
        for promotion in direction.promotions
        if promotion.starts_at <= at < later(promotion.ends_at, seconds=life_seconds)
        for offer in _possible(direction, promotion_terms(promotion), amount)
        if _fits(view, (digest, direction.source, promotion.name), offer, budget=promotion.budget_points)
    ]
    if not offers:
        return _offer(own_terms(direction), direction, amount)
    offers += _possible(direction, own_terms(direction), amount)
    return min(offers, key=lambda offer: offer.place)


def _offer(terms: Terms, direction: Direction, amount: int) -> Offer:
    split = split_into_steps(amount, terms.step)
    check_size(terms, direction.fee, split.steps)
    return Offer(terms=terms, split=split)


def _possible(direction: Direction, terms: Terms, amount: int) -> list[Offer]:
    """Return the offer on `terms`, or nothing if it cannot be had for this amount."""
    try:
        offer = _offer(terms, direction, amount)
    except Refusal:
        return []
    return [offer] if direction.steps_min <= offer.split.steps <= direction.steps_max else []


def _fits(view: View, key: tuple[Digest, Ledger, str], offer: Offer, *, budget: int | None) -> bool:
    used = (view.get(PROMOTION_USE, key) or PromotionUse()).points
    return budget is None or used + offer.split.gives <= budget
