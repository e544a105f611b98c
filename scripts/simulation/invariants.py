"""What holds after every step of a simulated world, and what is raised when something does not."""

from enum import StrEnum


class Invariant(StrEnum):
    """What holds after every step. Each is named for what happens where it does not."""

    CHAIN = "chain"
    """Every entry follows the one before it, later, and is what its bytes say."""
    ROOT = "root"
    """The checkpoint is over exactly the entries."""
    ZERO_SUM = "zero-sum"
    """The postings of an entry sum to zero in each asset."""
    BALANCES = "balances"
    """Derived rows are what the entries' postings come to; a holder's are also what holds and lots say."""
    NEGATIVE_HOLDER = "negative-holder"
    """No holder has fewer points than nothing, nor fewer than are held."""
    OUTSTANDING = "outstanding"
    """Points of holders = issued - redeemed + converted in - converted out - fees."""
    HOLD_MOVED = "hold-moved"
    """An undecided conversion's hold has all its points, and a concluded one's none."""
    CONCLUDED_TWICE = "concluded-twice"
    """A conversion is captured or released once."""
    DECIDED_TWICE = "decided-twice"
    """A conversion is credited or refused once."""
    RELEASED_AND_CREDITED = "released-and-credited"
    """No conversion is given back at its source and credited at its destination."""
    CAPTURED_NOT_CREDITED = "captured-not-credited"
    """No conversion is taken at its source and not credited at its destination."""
    CREDITED_OTHERWISE = "credited-otherwise"
    """What is credited is what the source asked for."""
    CREDITED_TWICE = "credited-twice"
    """No two ledgers credit one conversion."""
    CAP_PASSED = "cap-passed"
    """What is undecided, owed and unpaid is worth no more than the agreement's cap, at either side."""
    IN_FLIGHT_PASSED = "in-flight-passed"
    """No more conversions are undecided, and they are worth no more, than the agreement allows."""
    MEMBER_LIMIT_PASSED = "member-limit-passed"
    """No member sends or receives more in a day or a year than the agreement allows."""
    BUDGET_PASSED = "budget-passed"
    """No promotion gives more than its budget, at either side."""
    REFUNDED_TOO_MUCH = "refunded-too-much"
    """What refunds move back of a conversion is no more than it moved, at either side."""
    RESERVED_OTHERWISE = "reserved-otherwise"
    """Derived rows of exposure, promotions and members' use are what the entries come to."""
    CONTINGENT = "contingent"
    """Contingent is worth what was forced and is undecided; loss, what was forced and not refused."""
    LINE_DIFFERS = "line-differs"
    """Both sides have a line under its number, in the same window, with the same amounts."""
    BILLED_OTHERWISE = "billed-otherwise"
    """A statement bills the lines of its window, and takes up each dispute of the statement before."""
    BILLED_TWICE = "billed-twice"
    """A line is billed once."""
    STATEMENTS_DIFFER = "statements-differ"
    """Both sides have agreed to the same statement of a window, and entered the same agreements."""
    DUE = "due"
    """What is payable, receivable, due and paid is what lines, statements and payments come to, to the millionth."""
    PAYABLE_IS_NOT_RECEIVABLE = "payable-is-not-receivable"
    """What one side owes, and what is credited and not captured yet, is what the other is owed, window by window."""
    FILE_TAKEN = "file-taken"
    """No file is taken in that is cut short, altered, or for somebody else."""
    TWO_DECISIONS = "two-decisions"
    """Whatever is asked again is answered by the same bytes."""
    LEFT_BEFORE_DURABLE = "left-before-durable"
    """Nothing leaves a node that its store does not hold."""
    REPEAT_DIFFERS = "repeat-differs"
    """A repeated request has the same answer, byte for byte."""
    ID_REUSED = "id-reused"
    """An id that was used is refused for anything else."""
    NO_EVIDENCE = "no-evidence"
    """Whoever acted on a hostile partner's word has that word, signed."""
    DECIDES_WHILE_BEHIND = "decides-while-behind"
    """A store shown to be behind its own words decides nothing for that partner."""
    FALSE_ALARM = "false-alarm"
    """No store that was never put back is called behind, and no honest log forked."""
    BUG = "bug"
    """No service raises, or logs, what it calls a bug."""
    NOT_LIVE = "not-live"
    """Once all faults have ended, everything is decided and sent, and each closed window agreed, paid, confirmed."""


class Violation(BaseException):
    """Something happened that never may.

    It is no `Exception`, because the services under test survive those.
    """

    def __init__(self, invariant: Invariant, detail: str) -> None:
        super().__init__(invariant, detail)
        self.invariant = invariant
        self.detail = detail

    def __str__(self) -> str:
        """Return what was violated, and how."""
        return f"{self.invariant}: {self.detail}"
