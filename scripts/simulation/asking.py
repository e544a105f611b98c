"""Requests to nodes and what was answered: whatever is asked again must be answered the same, byte for byte."""

from dataclasses import dataclass
from typing import Final, TypeAlias

from node.services.answers import EntryAnswer, encode_answer
from node.services.node import Node
from node.services.pending import Pending
from node.services.requests import (
    CaptureHoldRequest,
    CloseAccountRequest,
    ConfirmationRequest,
    DisputeRequest,
    EndRequest,
    ForceReleaseRequest,
    IssueRequest,
    OrderRequest,
    PaymentRequest,
    PlaceHoldRequest,
    RedeemRequest,
    ReleaseHoldRequest,
    ReturnRequest,
    TransferRequest,
)
from node.store.errors import StoreFailed
from protocol.errors import Code, Refusal, TallystickError
from protocol.identifiers import Id, id_from_random
from scripts.simulation.invariants import Invariant, Violation
from scripts.simulation.place import Place
from scripts.simulation.world import World

Request: TypeAlias = (
    CaptureHoldRequest
    | CloseAccountRequest
    | ConfirmationRequest
    | DisputeRequest
    | EndRequest
    | ForceReleaseRequest
    | IssueRequest
    | OrderRequest
    | PaymentRequest
    | PlaceHoldRequest
    | RedeemRequest
    | ReleaseHoldRequest
    | ReturnRequest
    | TransferRequest
)
TEMPORARY: Final = (
    Code.CLOCK.value,
    Code.RECOVERING.value,
    Code.START_UNANSWERED.value,
    Code.STORE_BEHIND.value,
    StoreFailed.code,
)
"""Codes of what may hold at another time."""


@dataclass(slots=True)
class Asked:
    """A request, and the bytes that answered it once it was answered."""

    place: Place
    request: Request
    answer: bytes | None = None


class Asking:
    """Asks the nodes for things and keeps what they answered."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.asked: list[Asked] = []

    def id(self) -> Id:
        """Return a client's new id."""
        return id_from_random(self._world.random.randbytes(16))

    def ask(self, place: Place, request: Request) -> str | None:
        """Ask for something new and wait; return the code with which it was refused, or None."""
        return self.do(self.new(place, request))

    def new(self, place: Place, request: Request) -> Asked:
        """Return a request that is now among those that may be repeated."""
        asked = Asked(place, request)
        self.asked.append(asked)
        return asked

    def do(self, asked: Asked, *, quiet: bool = False) -> str | None:
        """Ask and wait; return the code with which it was refused, or None."""
        if not quiet:
            self._world.say(f"{asked.place.name}: {told(asked.request)}")
        code = None
        with asked.place.process():
            pending = self.begin(asked)
            code = None if pending is None else self.finish(asked, pending)
        if code is not None:
            self._world.say(f"{asked.place.name}: {code}")
        return code

    def begin(self, asked: Asked) -> Pending[EntryAnswer] | None:
        """Submit a request without waiting; return None where that was refused."""
        try:
            return submit(asked.place.running.node, asked.request)
        except TallystickError as failure:
            self._world.say(f"{asked.place.name}: {failure.code}")
            return None

    def finish(self, asked: Asked, pending: Pending[EntryAnswer]) -> str | None:
        """Wait for an answer, and compare it with the one before; return the code of a refusal, or None."""
        try:
            answer = encode_answer(pending.result())
        except TallystickError as failure:
            if asked.answer is not None and isinstance(failure, Refusal) and failure.code not in TEMPORARY:
                what = told(asked.request)
                raise Violation(
                    Invariant.REPEAT_DIFFERS, f"{what} was answered, and is now {failure.code}"
                ) from failure
            return failure.code
        if asked.answer not in {None, answer}:
            raise Violation(Invariant.REPEAT_DIFFERS, f"{told(asked.request)} has two answers")
        asked.answer = answer
        return None

    def forget(self, place: Place) -> None:
        """Expect nothing of what a place has answered: its store is an old copy."""
        for asked in self.asked:
            if asked.place is place:
                asked.answer = None


def submit(node: Node, request: Request) -> Pending[EntryAnswer]:
    """Ask `node` as its routes do."""
    match request:
        case OrderRequest():
            return node.conversions.order(request)
        case ForceReleaseRequest():
            return node.conversions.force_release(request)
        case EndRequest():
            return node.agreements.end(request)
        case DisputeRequest():
            return node.settlement.dispute(request)
        case PaymentRequest():
            return node.settlement.pay(request)
        case ConfirmationRequest():
            return node.settlement.confirm(request)
        case ReturnRequest():
            return node.settlement.send_back(request)
        case _:
            return _submit_points(node, request)


def _submit_points(
    node: Node,
    request: CaptureHoldRequest
    | CloseAccountRequest
    | IssueRequest
    | PlaceHoldRequest
    | RedeemRequest
    | ReleaseHoldRequest
    | TransferRequest,
) -> Pending[EntryAnswer]:
    match request:
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


def told(request: Request) -> str:
    """Return what is asked for, in short."""
    words = [type(request).__name__.removesuffix("Request").lower()]
    names = ("id", "amount", "partner", "window", "hold", "refund_of", "conversion", "agreement", "statement")
    before = {"partner": "with ", "window": "window ", "hold": "of ", "refund_of": "back of ", "agreement": "under "}
    for name in names:
        value = getattr(request, name, None)
        if value is not None:
            text = str(value).partition(".")[0] if name == "partner" else str(value)[:8]
            words.append(before.get(name, "") + text)
    return " ".join(words)
