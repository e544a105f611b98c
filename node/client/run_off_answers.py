"""What a node answers about the run-off of a partner."""

import msgspec


class RunOffStep(msgspec.Struct, frozen=True, kw_only=True):
    """One matter of the run-off: whether it is done, and who is to act while it is not."""

    step: str
    done: bool
    detail: str
    who: str
    to_do: str
    act: str | None = None
    digest: str | None = None
    window: int | None = None


class RunOffState(msgspec.Struct, frozen=True, kw_only=True):
    """How far the run-off of a partner is."""

    partner: str
    state: str
    suspended: bool = False
    steps: tuple[RunOffStep, ...]
    ended_seq: int | None = None
