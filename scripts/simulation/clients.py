"""What programmes' own systems do: order, cancel, repeat, move points, place holds, close accounts, at any moment."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from node.services.answers import EntryAnswer
from node.services.pending import Pending
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
from protocol.errors import Code, TallystickError
from protocol.fields import format_time, later
from protocol.identifiers import Digest, Id, Ledger
from protocol.ledger.promotions import named_terms
from protocol.ledger.state import AGREEMENTS, INCOMING, IncomingRecord
from scripts.alliance.brands import rate
from scripts.simulation.alliance import MEMBERS, Member
from scripts.simulation.asking import TEMPORARY, Asked, Asking, Request, told
from scripts.simulation.invariants import Invariant, Violation
from scripts.simulation.life import Life
from scripts.simulation.place import Place
from scripts.simulation.terms import STEPS_MAX
from scripts.simulation.world import World

_ACCEPT_SECONDS: Final = (1, 3, 10, 60, 600)
_ACCEPT_LONG_SECONDS: Final = (600, 90_000, 600_000)
_HOLD_SECONDS: Final = (1, 5, 60)
_ACTIVE: Final = (4, 2, 1)
"""How often each member comes, the richest most."""

_LATE: Final = 12
"""So many orders from the end are the likelier to be undecided."""


class Clients:
    """Asks the nodes for what members and shops want."""

    def __init__(self, world: World, places: list[Place], asking: Asking, life: Life) -> None:
        self._world = world
        self._places = places
        self._asking = asking
        self._treats = life.treats
        self._accept_seconds = _ACCEPT_SECONDS + (_ACCEPT_LONG_SECONDS if life.nights else ())
        self.orders: list[tuple[Place, Id]] = []
        self._holds: list[tuple[Place, Id]] = []

    def order(self) -> None:
        """Order a conversion somewhere."""
        self._asking.do(self._new_order(self._place()))

    def order_from(self, place: Place, destination: Place) -> None:
        """Order a conversion from one place to another."""
        self._asking.do(self._new_order(place, destination))

    def refund(self) -> None:
        """Order a credited conversion back, or a part of it, or more of it than there is."""
        place = self._place()
        credited = [row for row in place.disk.state.table(INCOMING).items() if row[1].agreement is not None]
        if not credited:
            return
        (_, source, conversion), record = self._world.random.choice(credited[-_LATE:])
        request = OrderRequest(
            id=self._asking.id(),
            account=record.account or self._member().account,
            partner=source,
            amount=self._world.random.randint(1, record.steps + 1) * self._step_back(place, source, record),
            accept_within_seconds=self._world.random.choice(self._accept_seconds),
            refund_of=conversion,
        )
        self.orders.append((place, request.id))
        self._asking.ask(place, request)

    def cancel(self) -> None:
        """Ask for the return of some conversion, whatever has become of it; or ask twice."""
        if self.orders:
            place, conversion = self._world.random.choice(self.orders[-_LATE:])
            self._cancel(place, conversion)

    def repeat(self) -> None:
        """Ask again for what was asked before: the answer must be the same, byte for byte."""
        if self._asking.asked:
            asked = self._world.random.choice(self._asking.asked)
            self._world.say(f"{asked.place.name}: again {told(asked.request)}")
            self._asking.do(asked, quiet=True)

    def repeat_otherwise(self) -> None:
        """Use the id of an answered request for something else: it must be refused."""
        answered = [
            each for each in self._asking.asked if each.answer is not None and isinstance(each.request, OrderRequest)
        ]
        if not answered:
            return
        asked = self._world.random.choice(answered)
        assert isinstance(asked.request, OrderRequest)
        other = replace(asked.request, amount=asked.request.amount + 1_000)
        self._world.say(f"{asked.place.name}: the id of {told(asked.request)} for another amount")
        code = self._asking.do(Asked(asked.place, other), quiet=True)
        if code not in {Code.ID_REUSED.value, *TEMPORARY, None}:
            raise Violation(Invariant.ID_REUSED, f"an id used twice is answered with {code}")

    def move_points(self) -> None:
        """Issue, redeem or transfer points."""
        place, member, other = self._place(), self._member(), self._member()
        amount = self._world.random.choice((1, 500, 20_000))
        kinds = (
            IssueRequest(id=self._asking.id(), account=member.account, amount=amount),
            RedeemRequest(id=self._asking.id(), account=member.account, amount=amount),
            TransferRequest(id=self._asking.id(), account=member.account, to=other.account, amount=amount),
        )
        self._asking.ask(place, self._world.random.choice(kinds))

    def place_hold(self) -> None:
        """Set points aside for a moment."""
        place, seconds = self._place(), self._world.random.choice(_HOLD_SECONDS)
        expires_at = later(format_time(place.clock.now()), seconds=seconds)
        request = PlaceHoldRequest(
            id=self._asking.id(), account=self._member().account, amount=self._world.random.randint(1, 2_000),
            expires_at=expires_at,
        )  # fmt: skip
        self._holds.append((place, request.id))
        self._asking.ask(place, request)

    def settle_hold(self) -> None:
        """Capture or release a hold of the brand's own."""
        if self._holds:
            place, hold = self._world.random.choice(self._holds)
            self._settle(place, hold)

    def settle_conversion(self) -> None:
        """Try to capture or release the hold of a conversion as if it were the brand's own."""
        if self.orders:
            place, conversion = self._world.random.choice(self.orders[-_LATE:])
            self._settle(place, conversion)

    def close_account(self) -> None:
        """Try to close an account, which stays closed."""
        request = CloseAccountRequest(id=self._asking.id(), account=self._world.random.choice(MEMBERS[1:]).account)
        self._asking.ask(self._place(), request)

    def ask_together(self, place: Place) -> Callable[[], None]:
        """Submit orders, one with its cancellation, without waiting; return what looks at the answers later."""
        pending: list[tuple[Asked, Pending[EntryAnswer]]] = []
        for _ in range(self._world.random.randint(1, 4)):
            asked = self._new_order(place)
            self._world.say(f"{place.name}: {told(asked.request)}, with others")
            begun = self._asking.begin(asked)
            if begun is not None:
                pending.append((asked, begun))
            if self._world.random.random() < 1 / 2:
                self._cancel(place, self.orders[-1][1], wait=False)
        return lambda: self._finish_all(pending)

    def _finish_all(self, pending: list[tuple[Asked, Pending[EntryAnswer]]]) -> None:
        for asked, begun in pending:
            if asked.place.is_up:
                with asked.place.process():
                    self._asking.finish(asked, begun)

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
            CaptureHoldRequest(id=self._asking.id(), hold=hold, amount=1, final=self._world.random.random() < 1 / 2),
            ReleaseHoldRequest(id=self._asking.id(), hold=hold),
        )
        self._asking.ask(place, self._world.random.choice(kinds))

    def _new_order(self, place: Place, destination: Place | None = None) -> Asked:
        other = destination or self._world.random.choice([each for each in self._places if each is not place])
        steps = self._world.random.randint(1, STEPS_MAX // 4)
        request = OrderRequest(
            id=self._asking.id(),
            account=self._member().account,
            partner=other.ledger,
            amount=steps * rate(place.brand, other.brand).source_step + self._world.random.randint(0, 99),
            accept_within_seconds=self._world.random.choice(self._accept_seconds),
            agreement=self._quoted(place, other),
        )
        self.orders.append((place, request.id))
        return self._asking.new(place, request)

    def _step_back(self, place: Place, source: Ledger, record: IncomingRecord) -> int:
        """Return how many points one step of a credited conversion takes back."""
        assert record.agreement is not None, "a credited conversion has its agreement"
        agreement = place.disk.state.table(AGREEMENTS)[record.agreement].signed.agreement
        promotion = record.promotion if record.refund_of is None else None  # Nothing gives a refund back.
        return named_terms(agreement.direction(source), promotion).step.destination

    def _quoted(self, place: Place, partner: Place) -> Digest | None:
        """Return an agreement to name, as an open quote does, which may be one that has ended; mostly None."""
        if not self._treats or self._world.random.random() < 2 / 3:
            return None
        known = place.disk.state.table(AGREEMENTS).items()
        return self._world.random.choice([digest for digest, record in known if record.partner == partner.ledger])

    def _place(self) -> Place:
        return self._world.random.choice(self._places)

    def _member(self) -> Member:
        (member,) = self._world.random.choices(MEMBERS, _ACTIVE)
        return member
