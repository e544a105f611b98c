"""What programmes' own systems do: order, cancel, repeat, move points, place holds, close accounts, at any moment."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from node.services.answers import EntryAnswer, Pending, encode_answer
from node.services.node import Node
from node.services.requests import (
    CaptureHoldRequest,
    CloseAccountRequest,
    IssueRequest,
    OrderRequest,
    PlaceHoldRequest,
    RedeemRequest,
    ReleaseHoldRequest,
    TransferRequest,
)
from node.store.errors import StoreFailed
from protocol.errors import Code, Refusal, TallystickError
from protocol.fields import format_time, later
from protocol.identifiers import Id, id_from_random
from scripts.alliance.brands import rate
from scripts.simulation.alliance import MEMBERS, STEPS_MAX, Member
from scripts.simulation.place import Place
from scripts.simulation.world import Invariant, Violation, World

Request: TypeAlias = (
    CaptureHoldRequest
    | CloseAccountRequest
    | IssueRequest
    | OrderRequest
    | PlaceHoldRequest
    | RedeemRequest
    | ReleaseHoldRequest
    | TransferRequest
)
_ACCEPT_SECONDS: Final = (1, 3, 10, 60, 600)
_HOLD_SECONDS: Final = (1, 5, 60)
_TEMPORARY: Final = (Code.CLOCK.value, StoreFailed.code)


@dataclass(slots=True)
class Asked:
    """A request, and the bytes that answered it once it was answered."""

    place: Place
    request: Request
    answer: bytes | None = None


class Clients:
    """Asks the nodes for things and keeps what they answered."""

    def __init__(self, world: World, places: list[Place]) -> None:
        self._world = world
        self._places = places
        self.asked: list[Asked] = []
        self.orders: list[tuple[Place, Id]] = []
        self._holds: list[tuple[Place, Id]] = []

    def order(self) -> None:
        """Order a conversion somewhere."""
        self._do(self._new_order(self._place()))

    def order_from(self, place: Place, destination: Place) -> None:
        """Order a conversion from one place to another."""
        self._do(self._new_order(place, destination))

    def cancel(self) -> None:
        """Ask for the return of some conversion, whatever has become of it; or ask twice."""
        if self.orders:
            place, conversion = self._world.random.choice(self.orders[-12:])
            self._cancel(place, conversion)

    def repeat(self) -> None:
        """Ask again for what was asked before: the answer must be the same, byte for byte."""
        if self.asked:
            asked = self._world.random.choice(self.asked)
            self._world.say(f"{asked.place.name}: again {_told(asked.request)}")
            self._do(asked, quiet=True)

    def repeat_otherwise(self) -> None:
        """Use the id of an answered request for something else: it must be refused."""
        answered = [each for each in self.asked if each.answer is not None and isinstance(each.request, OrderRequest)]
        if not answered:
            return
        asked = self._world.random.choice(answered)
        assert isinstance(asked.request, OrderRequest)
        other = replace(asked.request, amount=asked.request.amount + 1_000)
        self._world.say(f"{asked.place.name}: the id of {_told(asked.request)} for another amount")
        code = self._ask(Asked(asked.place, other))
        if code not in {Code.ID_REUSED.value, *_TEMPORARY, None}:
            raise Violation(Invariant.ID_REUSED, f"an id used twice is answered with {code}")

    def move_points(self) -> None:
        """Issue, redeem or transfer points."""
        place, member, other = self._place(), self._member(), self._member()
        amount = self._world.random.choice((1, 500, 20_000))
        kinds = (
            IssueRequest(id=self._id(), account=member.account, amount=amount),
            RedeemRequest(id=self._id(), account=member.account, amount=amount),
            TransferRequest(id=self._id(), account=member.account, to=other.account, amount=amount),
        )
        self._do(self._new(place, self._world.random.choice(kinds)))

    def place_hold(self) -> None:
        """Set points aside for a moment."""
        place, seconds = self._place(), self._world.random.choice(_HOLD_SECONDS)
        expires_at = later(format_time(place.clock.now()), seconds=seconds)
        request = PlaceHoldRequest(
            id=self._id(), account=self._member().account, amount=self._world.random.randint(1, 2_000),
            expires_at=expires_at,
        )  # fmt: skip
        self._holds.append((place, request.id))
        self._do(self._new(place, request))

    def settle_hold(self) -> None:
        """Capture or release a hold of the brand's own."""
        if self._holds:
            place, hold = self._world.random.choice(self._holds)
            self._settle(place, hold)

    def settle_conversion(self) -> None:
        """Try to capture or release the hold of a conversion as if it were the brand's own."""
        if self.orders:
            place, conversion = self._world.random.choice(self.orders[-12:])
            self._settle(place, conversion)

    def close_account(self) -> None:
        """Try to close an account, which stays closed."""
        request = CloseAccountRequest(id=self._id(), account=self._world.random.choice(MEMBERS[1:]).account)
        self._do(self._new(self._place(), request))

    def ask_together(self, place: Place) -> Callable[[], None]:
        """Submit orders, one with its cancellation, without waiting; return what looks at the answers later."""
        pending: list[tuple[Asked, Pending[EntryAnswer]]] = []
        for _ in range(self._world.random.randint(1, 4)):
            asked = self._new_order(place)
            self._world.say(f"{place.name}: {_told(asked.request)}, with others")
            begun = self._begin(asked)
            if begun is not None:
                pending.append((asked, begun))
            if self._world.random.random() < 1 / 2:
                self._cancel(place, asked.request.id, wait=False)
        return lambda: self._finish_all(pending)

    def forget(self, place: Place) -> None:
        """Expect nothing of what a place has answered: its store is an old copy."""
        for asked in self.asked:
            if asked.place is place:
                asked.answer = None

    def _finish_all(self, pending: list[tuple[Asked, Pending[EntryAnswer]]]) -> None:
        for asked, begun in pending:
            if asked.place.is_up:
                with asked.place.process():
                    self._finish(asked, begun)

    def _cancel(self, place: Place, conversion: Id, *, wait: bool = True) -> None:
        self._world.say(f"{place.name}: cancel {conversion[:8]}")
        with place.process():
            try:
                wish = place.running.node.conversions.cancel(conversion)
                if wait:
                    wish.result()
            except TallystickError as failure:
                self._world.say(f"{place.name}: {failure.code}")

    def _settle(self, place: Place, hold: Id) -> None:
        kinds: tuple[Request, ...] = (
            CaptureHoldRequest(id=self._id(), hold=hold, amount=1, final=self._world.random.random() < 1 / 2),
            ReleaseHoldRequest(id=self._id(), hold=hold),
        )
        self._do(self._new(place, self._world.random.choice(kinds)))

    def _new_order(self, place: Place, destination: Place | None = None) -> Asked:
        other = destination or self._world.random.choice([each for each in self._places if each is not place])
        steps = self._world.random.randint(1, STEPS_MAX // 4)
        request = OrderRequest(
            id=self._id(),
            account=self._member().account,
            partner=other.ledger,
            amount=steps * rate(place.brand, other.brand).source_step + self._world.random.randint(0, 99),
            accept_within_seconds=self._world.random.choice(_ACCEPT_SECONDS),
        )
        self.orders.append((place, request.id))
        return self._new(place, request)

    def _new(self, place: Place, request: Request) -> Asked:
        asked = Asked(place, request)
        self.asked.append(asked)
        return asked

    def _do(self, asked: Asked, *, quiet: bool = False) -> None:
        if not quiet:
            self._world.say(f"{asked.place.name}: {_told(asked.request)}")
        code = self._ask(asked)
        if code is not None:
            self._world.say(f"{asked.place.name}: {code}")

    def _ask(self, asked: Asked) -> str | None:
        """Ask and wait; return the code with which it was refused, or None."""
        with asked.place.process():
            pending = self._begin(asked)
            return None if pending is None else self._finish(asked, pending)
        return None

    def _begin(self, asked: Asked) -> Pending[EntryAnswer] | None:
        try:
            return submit(asked.place.running.node, asked.request)
        except TallystickError as failure:
            self._world.say(f"{asked.place.name}: {failure.code}")
            return None

    def _finish(self, asked: Asked, pending: Pending[EntryAnswer]) -> str | None:
        try:
            answer = encode_answer(pending.result())
        except TallystickError as failure:
            if asked.answer is not None and isinstance(failure, Refusal) and failure.code not in _TEMPORARY:
                told = _told(asked.request)
                raise Violation(
                    Invariant.REPEAT_DIFFERS, f"{told} was answered, and is now {failure.code}"
                ) from failure
            return failure.code
        if asked.answer not in {None, answer}:
            raise Violation(Invariant.REPEAT_DIFFERS, f"{_told(asked.request)} has two answers")
        asked.answer = answer
        return None

    def _place(self) -> Place:
        return self._world.random.choice(self._places)

    def _member(self) -> Member:
        return self._world.random.choice(MEMBERS)

    def _id(self) -> Id:
        return id_from_random(self._world.random.randbytes(16))


def submit(node: Node, request: Request) -> Pending[EntryAnswer]:
    """Ask `node` as its routes do."""
    match request:
        case OrderRequest():
            return node.conversions.order(request)
        case PlaceHoldRequest():
            return node.points.place_hold(request)
        case CaptureHoldRequest():
            return node.points.capture_hold(request)
        case ReleaseHoldRequest():
            return node.points.release_hold(request)
        case CloseAccountRequest():
            return node.points.close_account(request)
        case _:
            return node.points.transact(request)


def _told(request: Request) -> str:
    kind = type(request).__name__.removesuffix("Request").lower()
    amount = getattr(request, "amount", None)
    partner = getattr(request, "partner", None)
    hold = getattr(request, "hold", None)
    return " ".join(
        [
            f"{kind} {request.id[:8]}",
            *([str(amount)] if amount else []),
            *([f"to {partner.partition('.')[0]}"] if partner else []),
            *([f"of {hold[:8]}"] if hold else []),
        ]
    )
