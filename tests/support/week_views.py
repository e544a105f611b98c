"""What operators see over HTTP, as far as the week reads it: statements, windows, exceptions, partners."""

import msgspec


class Row(msgspec.Struct, frozen=True):
    """An agreed statement in an operator's list."""

    digest: str
    window: int
    state: str
    partner: str
    payer: str | None


class Statements(msgspec.Struct, frozen=True):
    """An operator's list of statements."""

    statements: tuple[Row, ...]
    next: int | None


class Window(msgspec.Struct, frozen=True):
    """A window in an operator's list."""

    partner: str
    window: int
    state: str
    proposed: str | None


class Windows(msgspec.Struct, frozen=True):
    """An operator's list of windows."""

    windows: tuple[Window, ...]
    next: str | None


class Shown(msgspec.Struct, frozen=True):
    """A statement as an operator sees it."""

    digest: str
    signed: msgspec.Raw


class Proposal(msgspec.Struct, frozen=True):
    """A statement that one party alone has signed."""

    digest: str
    window: int
    by: str


class Proposals(msgspec.Struct, frozen=True):
    """An operator's list of proposed statements."""

    proposals: tuple[Proposal, ...]


class Flagged(msgspec.Struct, frozen=True):
    """What an operator should look at."""

    kind: str
    partner: str
    window: int | None
    conversion: str | None


class Exceptions(msgspec.Struct, frozen=True):
    """All that an operator should look at."""

    exceptions: tuple[Flagged, ...]


class Exposure(msgspec.Struct, frozen=True):
    """What is open with a partner one way, in millionths."""

    direction: str
    open: str
    cap: int | None
    undecided: int


class Partner(msgspec.Struct, frozen=True):
    """A partner in an operator's list."""

    ledger: str
    exposure: tuple[Exposure, ...]


class Partners(msgspec.Struct, frozen=True):
    """An operator's list of partners."""

    partners: tuple[Partner, ...]
