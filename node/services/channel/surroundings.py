"""Where parcels are taken in: what the store tells of the streams, what stands around, and what an intake leads to."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from node.engine.gate import Gate
from node.services.channel.channel_rows import ChannelRows
from node.services.channel.misconduct import AccusationReads
from node.services.channel.taking_back import OwnWords
from node.services.channel.waiting import Settings
from protocol.identifiers import Digest, Ledger
from protocol.keys import PublicKey


class ChannelReads(AccusationReads, ChannelRows, OwnWords, Settings, Protocol):
    """What the store tells about the streams with partners."""

    def received_digests(self, partner: Ledger, digests: Sequence[Digest]) -> set[Digest]:
        """Return those of `digests` that are bodies which `partner` has sent us."""

    def sent_numbers(self, digests: list[Digest]) -> dict[Digest, int]:
        """Return the numbers of those of `digests` that are bodies of ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Where parcels are taken in: `key` is our channel key, `waits` what each partner's give-back waits for.

    `channels` tells of the streams alone, and may remember what the store tells.
    """

    ledger: Ledger
    store: ChannelReads
    channels: ChannelRows
    gate: Gate
    key: PublicKey
    waits: Callable[[], Mapping[Ledger, int | None]]


@dataclass(slots=True)
class Taken:
    """What an intake has done: the number of frames applied, and the bodies of ours that it made stand again.

    `restored`: the partner has given back all our words.
    """

    applied: int = 0
    again: dict[Digest, bytes] = field(default_factory=dict)
    restored: bool = False
