"""What a node answers about settlement, as far as its callers read it; other fields are passed over."""

import msgspec

from protocol.statement import SignedStatement


class _Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A part of an answer."""


class LineShown(_Answer, frozen=True, kw_only=True):
    """A line as one side has it."""

    value: int
    currency: str


class LineTerms(LineShown, frozen=True, kw_only=True):
    """A line with its points."""

    source_points: int
    destination_points: int
    fee_points: int


class WindowLine(_Answer, frozen=True, kw_only=True):
    """A line of the node's own account."""

    dec_seq: int
    conversion: str
    line: LineTerms
    dispute: str | None


class WindowLineList(_Answer, frozen=True, kw_only=True):
    """A page of lines of one direction of a window."""

    lines: tuple[WindowLine, ...]
    next: int | None


class DifferenceRow(_Answer, frozen=True, kw_only=True):
    """A line that the two sides have otherwise, or that one of them lacks."""

    source: str
    dec_seq: int
    conversion: str
    reason: str
    to_do: str
    ours: LineShown | None
    theirs: LineShown | None


class DifferenceList(_Answer, frozen=True, kw_only=True):
    """Where the two sides of a window differ."""

    reason: str | None
    to_do: str | None
    differences: tuple[DifferenceRow, ...]
    more: bool


class ProposedStatement(_Answer, frozen=True, kw_only=True):
    """A statement that one party alone has signed."""

    digest: str
    partner: str
    window: int
    by: str
    signed: SignedStatement


class ProposedStatementList(_Answer, frozen=True, kw_only=True):
    """The statements that wait for the second signature."""

    proposals: tuple[ProposedStatement, ...]


class WindowSums(_Answer, frozen=True, kw_only=True):
    """One direction of a settlement window."""

    count: int
    value: str


class WindowRow(_Answer, frozen=True, kw_only=True):
    """A settlement window."""

    partner: str
    window: int
    state: str
    opened_at: str | None
    sent: WindowSums
    received: WindowSums
    proposed: str | None
    statement: str | None


class WindowList(_Answer, frozen=True, kw_only=True):
    """Settlement windows, latest first."""

    windows: tuple[WindowRow, ...]


class StatementRow(_Answer, frozen=True, kw_only=True):
    """An agreed statement in short."""

    digest: str
    partner: str
    window: int
    state: str
    currency: str
    minor_unit: int
    payer: str | None
    minor_units: str
    due_at: str


class StatementList(_Answer, frozen=True, kw_only=True):
    """Agreed statements, latest first."""

    statements: tuple[StatementRow, ...]


class StatementState(_Answer, frozen=True, kw_only=True):
    """A statement with its signatures, one while it is proposed."""

    partner: str
    window: int
    state: str
    signed: SignedStatement
