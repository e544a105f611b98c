"""What a node answers about settlement, as far as the command line reads it; other fields are passed over."""

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
