"""What operators do about settlement and trouble: close early, dispute, sign, pay, confirm, release by force."""

from collections.abc import Callable
from typing import Final, TypeAlias

from node.services.answers import EntryAnswer
from node.services.node import Node
from node.services.pending import Pending
from node.services.requests import (
    ConfirmationRequest,
    DisputeRequest,
    ForceReleaseRequest,
    PaymentRequest,
    ReturnRequest,
)
from node.services.settlement.adjusting import Adjustment
from node.services.settlement.signing import Signing
from protocol.conversion import SourceState
from protocol.errors import TallystickError
from protocol.identifiers import Id, Ledger
from protocol.ledger.state import (
    COUNTERS,
    LINES,
    OUT,
    OUTGOING,
    SETTLEMENTS,
    STATEMENTS,
    WINDOWS,
    DecisionCounter,
    SettlementRecord,
    StatementRecord,
    WindowRecord,
)
from protocol.settlement.states import WindowState
from protocol.statement import AdjustmentReason, DisputeReason
from scripts.simulation.asking import Asking
from scripts.simulation.place import Place
from scripts.simulation.world import World

_Statement: TypeAlias = tuple[tuple[Ledger, int], StatementRecord]
_LATE: Final = 12
_COMES_BACK: Final = 6
"""One in so many payments comes back, by its digest."""

_RIGHTLY: Final = 0.9
"""How often operators ask for what should be possible."""


class Operators:
    """The people at the three nodes. How a dispute ends is a function of its conversion: they have spoken about it."""

    def __init__(self, world: World, places: list[Place], asking: Asking) -> None:
        self._world = world
        self._places = places
        self._asking = asking

    def work(self) -> None:
        """Let a node's settlement worker take a step."""
        place = self._place()
        if place.is_up:
            place.close_windows()

    def close_early(self) -> None:
        """Close the window that is open for a partner's conversions; or one that is not."""
        place, partner = self._two()
        self.close(place, partner, beside=0 if self._rightly() else self._world.random.choice((-1, 1)))

    def close(self, place: Place, partner: Place, *, beside: int = 0) -> None:
        """Close the open window, or the one so far beside it."""
        counter = place.disk.state.row(COUNTERS, partner.ledger) or DecisionCounter()
        window = max(counter.window + beside, 1)
        self._act(
            place,
            f"close window {window} with {partner.name}",
            lambda node: node.settlement.close(partner.ledger, window),
        )

    def dispute(self) -> None:
        """Dispute a line or two of either direction, of a window that may have been agreed."""
        place, partner = self._two()
        lines = [row for row in place.disk.state.table(LINES).items() if row[0][0] == partner.ledger]
        if not lines:
            return
        (_, way, _), line = self._world.random.choice(lines[-_LATE:])
        beside = [row.conversion for key, row in lines if (key[1], row.window) == (way, line.window)]
        chosen = self._world.random.sample(beside, min(len(beside), self._world.random.randint(1, 2)))
        request = DisputeRequest(
            id=self._asking.id(),
            partner=partner.ledger,
            window=line.window,
            direction="out" if way == OUT else "in",
            lines=tuple(chosen),
            reason=self._world.random.choice(list(DisputeReason)).value,
        )
        self._asking.ask(place, request)

    def sign(self) -> None:
        """Sign the next statement by hand, which ends all disputes of the one before, or some, or none."""
        place, partner = self._two()
        disputed = disputed_before(place, partner.ledger)
        count = len(disputed) if self._world.random.random() < 1 / 2 else self._world.random.randint(0, len(disputed))
        adjustments = [adjustment_of(*each) for each in disputed[:count]]
        self.sign_with(place, partner, Signing(adjustments=adjustments, unchecked=self._world.random.random() < 1 / 4))

    def sign_with(self, place: Place, partner: Place, signing: Signing) -> None:
        """Sign the next statement in one way or another."""
        what = "as proposed" if signing.proposal else f"ending {len(signing.adjustments)} disputes"
        self._act(
            place,
            f"sign with {partner.name} {what}",
            lambda node: node.settlement.sign(partner.ledger, None, signing),
        )

    def pay(self) -> None:
        """Pay a statement; or try to, where somebody else must, or it was paid before."""
        place = self._place()
        due = self.payable(place) if self._rightly() else self._statements(place)
        if due:
            self.pay_for(place, self._world.random.choice(due)[1])

    def pay_for(self, place: Place, statement: StatementRecord) -> None:
        """Say that the money of a statement is on its way."""
        self._asking.ask(
            place, PaymentRequest(id=self._asking.id(), statement=statement.digest, reference=statement.digest[:8])
        )

    def confirm(self) -> None:
        """Confirm a payment; or try to, where none is on its way."""
        place = self._place()
        paid = self.paid(place) if self._rightly() else self._statements(place)
        arrived = [each for each in paid if not _came_back(place, each)]
        if arrived:
            self.confirm_for(place, self._world.random.choice(arrived)[1])

    def confirm_for(self, place: Place, statement: StatementRecord) -> None:
        """Confirm that the money of a statement has arrived."""
        self._asking.ask(place, ConfirmationRequest(id=self._asking.id(), statement=statement.digest))

    def send_back(self) -> None:
        """Note that money came back."""
        place = self._place()
        back = [
            each
            for each in self._of_state(place, WindowState.PAID)
            if each[1].signed.statement.payer == place.ledger and _came_back(place, each)
        ]
        if back:
            self.send_back_for(place, self._world.random.choice(back)[1])

    def send_back_for(self, place: Place, statement: StatementRecord) -> None:
        """Note that the money of a statement came back."""
        self._asking.ask(place, ReturnRequest(id=self._asking.id(), statement=statement.digest))

    def force(self) -> None:
        """Give a member the points of an undecided conversion back, or try to where it is decided."""
        place = self._place()
        rightly = self._rightly()
        known = [
            conversion
            for conversion, record in place.disk.state.table(OUTGOING).items()
            if record.state is SourceState.HELD or not rightly
        ]
        if known:
            conversion = self._world.random.choice(known[-_LATE:])
            self._asking.ask(place, ForceReleaseRequest(id=self._asking.id(), conversion=conversion, reason="gone"))

    def payable(self, place: Place) -> list[_Statement]:
        """Return the statements that a place is to pay."""
        return [
            each for each in self._of_state(place, WindowState.AGREED) if each[1].signed.statement.payer == place.ledger
        ]

    def paid(self, place: Place) -> list[_Statement]:
        """Return the statements whose money is on its way to a place."""
        return [
            each for each in self._of_state(place, WindowState.PAID) if each[1].signed.statement.payer != place.ledger
        ]

    def settle(self) -> None:
        """Do all that settlement asks of operators now: sign what the worker leaves to them, pay, confirm."""
        for place in self._places:
            for partner in self._places:
                if partner is not place and (ended := disputed_before(place, partner.ledger)):
                    self._sign_if_ready(place, partner, ended)
            for each in self._of_state(place, WindowState.PAID):
                self._clear(place, each)
            for _, statement in self.payable(place):
                self.pay_for(place, statement)

    def close_all(self) -> None:
        """Close every window early, from both sides."""
        for place in self._places:
            for partner in self._places:
                if partner is not place:
                    self.close(place, partner)

    def _sign_if_ready(self, place: Place, partner: Place, ended: list[tuple[Id, int]]) -> None:
        """Sign by hand where disputes are open: the first party ends them all, the second signs what is proposed."""
        window = _agreed(place, partner.ledger) + 1
        first, second = sorted((place, partner), key=lambda each: each.ledger)
        proposed = _window(first, second, window).proposed
        if _window(place, partner, window).state is not WindowState.RECONCILED:
            return
        if place is first and proposed is None:
            self.sign_with(place, partner, Signing(adjustments=[adjustment_of(*each) for each in ended]))
        elif place is second and proposed is not None:
            self.sign_with(place, partner, Signing(proposal=proposed))

    def _clear(self, place: Place, each: _Statement) -> None:
        """Confirm a payment that has arrived, or note that one of ours came back."""
        is_payer = each[1].signed.statement.payer == place.ledger
        if is_payer and _came_back(place, each):
            self.send_back_for(place, each[1])
        elif not is_payer and not _came_back(place, each):
            self.confirm_for(place, each[1])

    def _of_state(self, place: Place, state: WindowState) -> list[_Statement]:
        windows = place.disk.state.table(WINDOWS)
        rows = place.disk.state.table(STATEMENTS).items()
        return [(key, record) for key, record in rows if windows[key].state is state]

    def _statements(self, place: Place) -> list[_Statement]:
        return list(place.disk.state.table(STATEMENTS).items())

    def _act(self, place: Place, what: str, act: Callable[[Node], Pending[EntryAnswer]]) -> None:
        self._world.say(f"{place.name}: {what}")
        with place.process():
            try:
                act(place.running.node).result()
            except TallystickError as failure:
                self._world.say(f"{place.name}: {failure.code}")

    def _rightly(self) -> bool:
        return self._world.random.random() < _RIGHTLY

    def _place(self) -> Place:
        return self._world.random.choice(self._places)

    def _two(self) -> tuple[Place, Place]:
        place, partner = self._world.random.sample(self._places, 2)
        return place, partner


def disputed_before(place: Place, partner: Ledger) -> list[tuple[Id, int]]:
    """Return the lines, with their values, that are in dispute since the last statement."""
    last = place.disk.state.row(STATEMENTS, (partner, _agreed(place, partner)))
    bills = last.signed.statement.directions if last else ()
    return [(line.id, line.value) for bill in bills for line in bill.disputed]


def adjustment_of(conversion: Id, value: int) -> Adjustment:
    """Return how the dispute about a conversion ends."""
    reasons = (AdjustmentReason.UPHELD, AdjustmentReason.WAIVED, AdjustmentReason.REDUCED)
    reason = reasons[int(conversion[:4], 16) % 3]
    if reason is AdjustmentReason.REDUCED and value > 1:
        return Adjustment(conversion=conversion, reason=reason, value=value // 2)
    return Adjustment(conversion=conversion, reason=reason if value > 1 else AdjustmentReason.UPHELD)


def _agreed(place: Place, partner: Ledger) -> int:
    return (place.disk.state.row(SETTLEMENTS, partner) or SettlementRecord()).agreed


def _came_back(place: Place, each: _Statement) -> bool:
    """Return whether the money on its way for a statement comes back, of which the payee has then nothing."""
    payment = place.disk.state.table(WINDOWS)[each[0]].payment
    return payment is not None and int(payment[:4], 16) % _COMES_BACK == 0


def _window(place: Place, partner: Place, window: int) -> WindowRecord:
    return place.disk.state.row(WINDOWS, (partner.ledger, window)) or WindowRecord()
