"""The world as the node sees it: clock, randomness, keys, transport and failure points come in from outside."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from protocol.errors import TallystickError
from protocol.identifiers import Digest
from protocol.keys import Role, Signer


class Clock(Protocol):
    """Wall time, and a time that never steps."""

    def now(self) -> datetime:
        """Return the wall time, aware, in UTC."""

    def monotonic(self) -> float:
        """Return seconds since an arbitrary start; never goes back."""


class Randomness(Protocol):
    """A source of unguessable bytes."""

    def token(self, count: int) -> bytes:
        """Return `count` random bytes."""


class SignerUnavailable(TallystickError):
    """Whoever holds the private keys does not answer: nothing was signed, and the same can be asked again."""

    code = "signer_unavailable"


class SignerRefused(TallystickError):
    """Whoever holds the private keys does not sign this, or is not who it was."""

    code = "signer_refused"


class Keyring(Protocol):
    """The ledger's keys, each to be signed with: the private halves may be in another process."""

    def key(self, role: Role) -> Signer:
        """Return who signs with the key of `role`; its `sign` raises `SignerUnavailable` or `SignerRefused`."""

    def log_keys(self) -> Sequence[Signer]:
        """Return who signs with each key that is held for the log, from its first on."""

    def committed(self, note: bytes) -> None:
        """Take note that the checkpoint in `note` is durable, so that nothing is signed that goes back behind it."""

    def last_committed(self) -> bytes | None:
        """Return the last such note that was taken, also before this process began, or None."""

    @property
    def next_log_key(self) -> Digest:
        """Return the digest of the log key that will follow, committed ahead."""


class TransportFailed(Exception):
    """A parcel could not be exchanged; whether the partner received it is unknown."""


class Transport(Protocol):
    """Moves parcels to partners and brings back their answers."""

    def exchange(self, url: str, parcel: bytes) -> bytes:
        """Send `parcel` to the partner at `url` and return the parcel it answers, or raise `TransportFailed`."""


class Papers(Protocol):
    """Carries signed documents to partners, which need no credentials: the signatures are theirs."""

    def send(self, url: str, document: bytes) -> None:
        """Return once whoever listens at `url` has taken `document`, or raise `TransportFailed`."""


class Logs(Protocol):
    """Reads what partners publish of their logs: what is read is proved or not believed."""

    def fetch(self, url: str, path: str, *, credential: str | None = None) -> bytes | None:
        """Return the file at `path` of the log of the node at `url`, or None where it has none.

        `credential` goes along as the `Authorization` of a log that is closed. Raises `TransportFailed` where that
        cannot be known.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessAnswer:
    """How a witness has answered: the status of HTTP, and the body."""

    status: int
    body: bytes


class Witnesses(Protocol):
    """Shows checkpoints to witnesses, which need no credentials: the signatures are the log's and theirs."""

    def add_checkpoint(self, url: str, request: bytes) -> WitnessAnswer:
        """Return what the witness under `url`, its submission prefix, answers, or raise `TransportFailed`."""

    def latest(self, url: str, path: str, *, credential: str | None = None) -> bytes | None:
        """Return what the witness cosigned last, at `path` below its monitoring prefix, or None where it has nothing.

        `credential` goes along as the `Authorization` for a partner whose log is closed. Raises `TransportFailed`
        where that cannot be known.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkReply:
    """How a partner has answered an exchange: the status of HTTP, and the body."""

    status: int
    body: bytes


class Links(Protocol):
    """Exchanges members' consents with partners for links, which needs no credentials: the signatures are theirs."""

    def exchange(self, url: str, request: bytes) -> LinkReply:
        """Return what the partner at `url` answers to a signed exchange, or raise `TransportFailed`."""


class HookFailed(Exception):
    """A webhook was not delivered, or nobody knows whether it was; `reached` tells whether somebody was there."""

    def __init__(self, reason: str, *, reached: bool) -> None:
        super().__init__(reason)
        self.reached = reached


class Hooks(Protocol):
    """Carries events to the systems that a programme has named."""

    def check(self, url: str) -> None:
        """Raise `HookFailed` for a URL to which nothing may be sent."""

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> None:
        """Return once whoever listens at `url` has taken `body`, or raise `HookFailed`."""


class Faults(Protocol):
    """Named points of the code at which a test may stop the process."""

    def reach(self, point: str) -> None:
        """Pass the point; production does nothing here."""


class NoFaults:
    """The failure points of production: none."""

    def reach(self, point: str) -> None:
        """Do nothing."""
