"""Whatever two brands convert, dispute and settle, in whatever order: no millionth is made, lost or billed twice."""

from collections import Counter
from collections.abc import Iterator

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from protocol.identifiers import Ledger
from protocol.ledger import commands
from protocol.ledger.state import EXPOSURE, IN, LINES, OUT, STATEMENTS, ExposureRecord, LineRecord, Way
from protocol.settlement.states import WindowState
from protocol.statement import AdjustedLine, AdjustmentReason, DisputedLine, Statement
from tests.support.documents import uuid
from tests.support.ledger import MemoryLedger, Pair, convert, pair_of, replay, rows_of
from tests.support.settled import doubt, rejected_and_credited
from tests.support.windows import (
    adjusted,
    agree,
    agreed,
    close_both,
    confirm,
    dispute,
    disputed,
    money,
    pay,
    state,
    take,
    window,
)

ENDINGS = (AdjustmentReason.UPHELD, AdjustmentReason.REDUCED, AdjustmentReason.WAIVED, None)


def lines_of(ledger: MemoryLedger) -> dict[tuple[Ledger, Way, int], LineRecord]:
    return dict(ledger.state.rows(LINES))


class Life:
    """A pair that does what is drawn, one window after the other."""

    def __init__(self, data: st.DataObject) -> None:
        self.data = data
        self.pair: Pair = pair_of(points=10_000_000)
        self.one, self.other = self.pair.source, self.pair.destination
        convert(self.one, self.other, self.pair.sender, 400_000, name="stock")
        self.unpaid: list[int] = []
        self.before: Statement | None = None

    def draw(self, least: int, most: int) -> int:
        return self.data.draw(st.integers(least, most))

    def chance(self) -> bool:
        return self.draw(0, 1) == 1

    def window(self, number: int) -> None:
        for place in range(self.draw(0, 3)):
            name = f"{number} {place}"
            if self.chance():
                convert(self.one, self.other, self.pair.sender, 400 * self.draw(1, 9), name=f"{name} out")
            else:
                convert(self.other, self.one, self.pair.receiver, 250 * self.draw(1, 9), name=f"{name} back")
        torn = rejected_and_credited(self.pair, name=f"torn {number}") if not self.draw(0, 3) else None
        close_both(*((self.one, self.other) if self.chance() else (self.other, self.one)), number)
        if torn is not None:
            assert state(self.one, self.other, number) == WindowState.MISMATCH
            sealed = dispute(self.one, self.other, doubt(torn), source=self.one.name, entered=(torn,))
            take(self.other, self.one.body(sealed))
        self.disputes(number)
        self.before = agree(self.one, self.other, number, self.adjustments())
        self.unpaid.append(number)
        while self.unpaid and self.chance():
            self.settle(self.unpaid.pop(self.draw(0, len(self.unpaid) - 1)))

    def settle(self, number: int) -> None:
        """Pay and confirm a window's statement, whose money may come back some times before it arrives."""
        payer = agreed(self.one, self.other, number).signed.statement.payer
        if payer is None:
            return
        pays, takes = (self.one, self.other) if payer == self.one.name else (self.other, self.one)
        due = money(pays, "due", takes)
        for attempt in range(self.draw(0, 2)):
            pay(pays, takes, number, name=f"in vain {attempt}")
            command = commands.ReturnPayment(id=uuid(f"back {number} {attempt}"), partner=takes.name, window=number)
            pays.execute(command)
            assert money(pays, "due", takes) == due
        pay(pays, takes, number)
        confirm(pays, takes, number)

    def disputes(self, number: int) -> None:
        for ledger, partner in ((self.one, self.other), (self.other, self.one)):
            for (_, way, dec_seq), line in lines_of(ledger).items():
                if line.window == number and line.dispute is None and not self.draw(0, 4):
                    source = ledger.name if way == OUT else partner.name
                    doubted = disputed(ledger, partner, OUT if way == OUT else IN, dec_seq)
                    take(partner, ledger.body(dispute(ledger, partner, doubted, source=source)))

    def adjustments(self) -> dict[Ledger, list[AdjustedLine]]:
        found: dict[Ledger, list[AdjustedLine]] = {}
        for bill in self.before.directions if self.before else ():
            for line in bill.disputed:
                ending = self.data.draw(st.sampled_from(ENDINGS))
                if isinstance(ending, AdjustmentReason):
                    found.setdefault(bill.source, []).append(self.ended(line, ending))
        for ledger, partner in ((self.one, self.other), (self.other, self.one)):
            found.setdefault(ledger.name, []).extend(self.taken_back(ledger, partner))
        return found

    def taken_back(self, ledger: MemoryLedger, partner: MemoryLedger) -> Iterator[AdjustedLine]:
        """Yield what is given back of lines that earlier statements billed."""
        agreed_up_to = self.before.window if self.before else 0
        for (_, way, dec_seq), line in lines_of(ledger).items():
            if way == OUT and line.window <= agreed_up_to and line.billed_value and not self.draw(0, 3):
                billed = disputed(ledger, partner, OUT, dec_seq)
                yield adjusted(billed, AdjustmentReason.TAKEN_BACK, -self.draw(1, line.billed_value))

    def ended(self, line: DisputedLine, ending: AdjustmentReason) -> AdjustedLine:
        value = {AdjustmentReason.UPHELD: line.value, AdjustmentReason.WAIVED: 0}
        return adjusted(line, ending, value.get(ending, line.value // 2))

    def check(self, last: int) -> None:
        for ledger, partner in ((self.one, self.other), (self.other, self.one)):
            assert rows_of(replay(ledger)) == rows_of(ledger.state)
            statements = [ledger.state.get(STATEMENTS, (partner.name, number)) for number in range(1, last + 1)]
            documents = [record.signed.statement for record in statements if record]
            self.check_lines(ledger, documents)
            owed = sum(one.bill(ledger.name).owed(one.window) for one in documents)
            billed = sum(line.billed_value for (_, way, _), line in lines_of(ledger).items() if way == OUT)
            assert owed == billed
            open_lines = sum(
                line.value for (_, way, _), line in lines_of(ledger).items() if way == OUT and line.dispute
            )
            assert money(ledger, "payable", partner) == open_lines
            assert money(ledger, "conversion_cost", partner) == -(billed + open_lines)
            exposure = ledger.state.get(EXPOSURE, (partner.name, OUT)) or ExposureRecord()
            assert exposure.open_value == open_lines
            assert window(ledger, partner, last).state == WindowState.CONFIRMED
        assert lines_of(self.one).keys() == {
            (self.other.name, IN if way == OUT else OUT, number) for _, way, number in lines_of(self.other)
        }
        assert money(self.one, "due", self.other) == -money(self.other, "due", self.one)
        assert money(self.one, "paid", self.other) == -money(self.other, "paid", self.one)

    def check_lines(self, ledger: MemoryLedger, documents: list[Statement]) -> None:
        """Hold that no statement ever bills more of a line than its value, nor takes back more than was billed."""
        lines = {dec_seq: line for (_, way, dec_seq), line in lines_of(ledger).items() if way == OUT}
        billed = dict.fromkeys(lines, 0)
        for document in documents:
            bill = document.bill(ledger.name)
            withheld = {line.dec_seq for line in bill.disputed}
            numbers = range(bill.totals.first_dec_seq, bill.totals.last_dec_seq + 1)
            moved = Counter({number: lines[number].value for number in numbers if number not in withheld})
            for line in bill.adjustments:
                moved[line.dec_seq] += line.value
            for number, value in moved.items():
                billed[number] += value
                assert 0 <= billed[number] <= lines[number].value
            assert all(not billed[number] for number in withheld)
            assert sum(moved.values()) == bill.owed(document.window)
        assert billed == {number: line.billed_value for number, line in lines.items()}


@given(st.data())
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_nothing_is_lost_and_nothing_billed_twice(data: st.DataObject) -> None:
    life = Life(data)
    last = data.draw(st.integers(1, 4))
    for number in range(1, last + 1):
        life.window(number)
    for number in life.unpaid:
        life.settle(number)
    life.check(last)
