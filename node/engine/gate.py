"""The gate before the log: closed, no entry is decided and nothing is signed, for anybody.

A store that was put back from an old copy does not know what it has promised, and a checkpoint that it signed would be
a second history. So the gate of a node that serves is closed from its start until its partners and its witnesses have
answered, and it stays closed when one of them, or the state file, shows that the store is behind (specs/channel.md §7).

A partner's claim that shows no checkpoint, or one that not every key of our log has signed, closes it too, since
whoever has our channel key may have spoken in our name.
An operator who knows the store to be whole keeps that partner out, by suspending it (specs/succession.md §8).
"""

import threading
from collections.abc import Collection, Iterable
from typing import Final

from protocol.checkpoint import Checkpoint
from protocol.errors import Code, Refusal
from protocol.identifiers import Ledger, generation_of
from protocol.ledger.commands import (
    AnyCommand,
    BeginRecovery,
    CreateLedger,
    EndRecovery,
    OverrideStart,
    SuspendPartner,
    WaiveRecovery,
)

_SUCCESSION: Final = (CreateLedger, BeginRecovery, WaiveRecovery, EndRecovery)
"""What a store that is behind may still enter: that it goes on as a successor."""

_BEHIND: Final = (
    "this store is an older copy of its ledger ({reason}): nothing is written until an operator brings the missing "
    "entries back (tallystick recover) or opens a successor (tallystick succeed)"
)
_CLAIMED: Final = (
    "{reason}, and nothing shows it that every key of our log has signed: nothing is written until an operator brings "
    "the missing entries back (tallystick recover) or, knowing that this store is whole, keeps that partner out "
    "(tallystick partner suspend)"
)
_UNANSWERED: Final = (
    "this node has started, and waits for {names} to answer: an operator may go on without (tallystick start)"
)


class Gate:
    """Open from the beginning; any thread may look at it, and close or open it."""

    def __init__(self) -> None:
        """Begin open."""
        self._lock = threading.Lock()
        self._waiting: frozenset[Ledger] = frozenset()
        self._witnesses: frozenset[str] = frozenset()
        self._reason: str | None = None
        self._claims: dict[Ledger, str] = {}
        self._seen: Checkpoint | None = None
        self._restorations = 0

    @property
    def is_open(self) -> bool:
        """Return whether entries may be written."""
        # Asked for each command: no more than a look at each field.
        return not (self._reason or self._claims or self._waiting or self._witnesses)

    @property
    def behind(self) -> str | None:
        """Return what shows that the store is behind, or is claimed to, or None while nothing does."""
        return self._reason or min(self._claims.values(), default=None)

    @property
    def waiting(self) -> frozenset[Ledger]:
        """Return the partners whose answer the start still waits for."""
        return self._waiting

    def close(self, partners: Iterable[Ledger]) -> None:
        """Stay closed until each of `partners` is `answered`: it has, or an operator has gone on without it."""
        with self._lock:
            self._waiting = frozenset(partners)

    def answered(self, partner: Ledger) -> None:
        """Wait for this partner no longer."""
        with self._lock:
            self._waiting -= {partner}

    @property
    def witnesses(self) -> frozenset[str]:
        """Return the names of the witnesses whose answer the start still waits for."""
        return self._witnesses

    def close_for_witnesses(self, names: Iterable[str]) -> None:
        """Stay closed until each of these witnesses is `witness_answered`, beside the partners that are waited for."""
        with self._lock:
            self._witnesses = frozenset(names)

    def witness_answered(self, name: str) -> None:
        """Wait for this witness no longer: it has cosigned the newest checkpoint, or an operator goes on without."""
        with self._lock:
            self._witnesses -= {name}

    @property
    def seen(self) -> Checkpoint | None:
        """Return the largest checkpoint of this ledger that anybody has shown to be missing, or None."""
        return self._seen

    @property
    def restorations(self) -> int:
        """Return how often the store was `restored`: to be read before the store is looked at, for `found_behind`."""
        return self._restorations

    def found_behind(self, reason: str, seen: Checkpoint | None = None, *, restorations: int | None = None) -> None:
        """Close until `restored`: the store lacks what `reason` shows; the first reason stays.

        `seen` is the checkpoint that shows it, if one does. What was found in a store that has been restored since
        changes nothing: `restorations` is how often it had been when it was looked at, where that may be long ago.
        """
        with self._lock:
            if restorations is not None and restorations != self._restorations:
                return
            self._reason = self._reason or reason
            if seen is not None and (self._seen is None or _place_of(seen) > _place_of(self._seen)):
                self._seen = seen

    def claimed_behind(self, partner: Ledger, reason: str, *, restorations: int | None = None) -> None:
        """Close until `restored`, or until the partner is `kept_out`: it claims what it cannot show.

        `restorations` is as for `found_behind`.
        """
        with self._lock:
            if restorations is not None and restorations != self._restorations:
                return
            self._claims = {**self._claims, partner: reason}

    def kept_out(self, partner: Ledger) -> None:
        """Take no note any longer of what this partner claims: nothing of its stream is applied."""
        with self._lock:
            self._claims = {ledger: claim for ledger, claim in self._claims.items() if ledger != partner}

    def restored(self) -> None:
        """Take note that the store lacks nothing any longer, or that a successor says what it lacks."""
        with self._lock:
            self._reason = self._seen = None
            self._claims = {}
            self._restorations += 1

    def check(self, command: AnyCommand) -> None:
        """Raise `Refusal` with `store_behind` or `start_unanswered` unless `command` may be decided now."""
        if self.is_open:
            return
        if self.behind is not None and isinstance(command, _SUCCESSION):
            return
        if self._reason is not None:
            raise Refusal(Code.STORE_BEHIND, _BEHIND.format(reason=self._reason))
        claims = self._claims
        if claims and not _decides_about(claims, command):
            raise Refusal(Code.STORE_BEHIND, _CLAIMED.format(reason=min(claims.values())))
        left: set[str] = {*self._waiting, *self._witnesses}
        if isinstance(command, OverrideStart):
            left -= {*command.partners, *command.witnesses}
        if left:
            raise Refusal(Code.START_UNANSWERED, _UNANSWERED.format(names=", ".join(sorted(left))))


def _decides_about(claims: Collection[Ledger], command: AnyCommand) -> bool:
    """Return whether an operator decides about what is claimed, or about who has not answered beside it."""
    return isinstance(command, OverrideStart) or (isinstance(command, SuspendPartner) and command.partner in claims)


def _place_of(checkpoint: Checkpoint) -> tuple[int, int]:
    return generation_of(Ledger(checkpoint.origin)), checkpoint.size
