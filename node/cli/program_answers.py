"""What a node answers about its program's terms, transfers and reviews, as the command line reads it."""

import msgspec


class ProgramState(msgspec.Struct, frozen=True, kw_only=True):
    """The terms in force, the entry that set them, and the program's day."""

    terms: dict[str, object]
    entered_seq: int | None
    today: str


class TransferRow(msgspec.Struct, frozen=True, kw_only=True):
    """A transfer in a list."""

    id: str
    state: str
    account: str
    to: str
    amount: int
    fee: int
    accept_by: str


class TransferList(msgspec.Struct, frozen=True, kw_only=True):
    """Transfers, newest first."""

    transfers: list[TransferRow]


class ReviewRow(msgspec.Struct, frozen=True, kw_only=True):
    """An order that was put up for review, in a list."""

    id: str
    state: str
    account: str
    screen: str
    points: int
    order: dict[str, object]
    opened_at: str


class ReviewList(msgspec.Struct, frozen=True, kw_only=True):
    """Orders that were put up for review, newest first."""

    reviews: list[ReviewRow]
