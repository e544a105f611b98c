"""The entry kinds of succession: a ledger that was restored from an old copy goes on under the next generation.

The successor's genesis says what was lost; its partners then give back what they hold of its words
(specs/succession.md).
"""

from typing import Annotated, Final, TypeAlias

import msgspec
from msgspec import Meta

from protocol.entry import Entry, PostingsOrNone
from protocol.fields import DigestField, HolderField, LedgerField, NetworkField, ReasonField, TextField
from protocol.identifiers import Ledger, successor_of
from protocol.messages import EntryBody, EntryReference, Predecessor, Prepare, Succeeded
from protocol.points import Natural
from protocol.statement import Line
from protocol.window_entries import ENTERED_LINES_MAX

OVERRIDDEN_PARTNERS_MAX: Final = 256
"""Partners in one entry that an operator did not wait for."""

OVERRIDDEN_WITNESSES_MAX: Final = 64
"""Witnesses in one entry that an operator did not wait for."""


class SeenCheckpoint(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A checkpoint of the ledger before, as a partner has shown it with our own signature."""

    size: Natural
    root: DigestField


class _OfPartner(Entry, frozen=True, kw_only=True):
    network: NetworkField
    partner: LedgerField


class RecoveryBegun(_OfPartner, frozen=True, kw_only=True, tag="recovery_begun"):
    """At the successor: the partner is asked for our words, of which it has applied `words`, in all generations.

    `seen` is the largest checkpoint of the ledger before that it holds, if any.
    """

    predecessor: Predecessor
    seen: SeenCheckpoint | None
    words: Natural


class RecoveryWaived(_OfPartner, frozen=True, kw_only=True, tag="recovery_waived"):
    """At the successor: an operator goes on without what this partner may still hold."""

    predecessor: Predecessor
    reason: ReasonField


class Recovered(_OfPartner, frozen=True, kw_only=True, tag="recovered"):
    """At the successor: a word of ours that the ledger before had said, given back by the partner, stands again.

    `prepare` is the partner's PREPARE that a FULFIL or REJECT answers. `entered` are lines of a dispute that only the
    partner has. `account` is whose points a PREPARE or FULFIL moves, null where the gap took the link with it: then the
    program bears it. `shortfall` points are given to an account that no longer has what it had promised, at the
    program's cost too.
    """

    body: EntryBody
    digest: DigestField
    prepare: Prepare | None
    entered: Annotated[tuple[Line, ...], Meta(max_length=ENTERED_LINES_MAX)]
    account: HolderField | None
    shortfall: Natural
    postings: PostingsOrNone


class RecoveryEnded(_OfPartner, frozen=True, kw_only=True, tag="recovery_ended"):
    """At the successor `log`: the partner has given back all of our words that it holds, `words` in all generations."""

    log: LedgerField
    words: Natural


class PartnerSucceeded(_OfPartner, frozen=True, kw_only=True, tag="partner_succeeded"):
    """At a partner: the other side's ledger goes on under the name `log`; `succession` is its `succeeded` body."""

    log: LedgerField
    predecessor: Predecessor
    succession: DigestField
    partner_entry: EntryReference


class StartOverridden(Entry, frozen=True, kw_only=True, tag="start_overridden"):
    """An operator let this node begin to sign before `partners` and `witnesses`, by their names, had answered it."""

    partners: Annotated[tuple[LedgerField, ...], Meta(max_length=OVERRIDDEN_PARTNERS_MAX)]
    witnesses: Annotated[tuple[TextField, ...], Meta(max_length=OVERRIDDEN_WITNESSES_MAX)]
    reason: ReasonField


RecoveryEntry: TypeAlias = (
    RecoveryBegun | RecoveryWaived | Recovered | RecoveryEnded | PartnerSucceeded | StartOverridden
)


def recovery_body_of(entry: RecoveryEntry, reference: EntryReference, *, ledger: Ledger) -> EntryBody | None:
    """Return the body that an entry of `ledger`, which `reference` names, obliges it to send, or None.

    What is recovered is sent as it was said first: it names the entry that is lost.
    """
    match entry:
        case RecoveryBegun():
            return succeeded_of(entry, reference, ledger=ledger)
        case Recovered():
            return entry.body
        case _:
            return None


def succeeded_of(entry: RecoveryBegun, reference: EntryReference, *, ledger: Ledger) -> Succeeded:
    """Return the `succeeded` that `entry` of `ledger` makes."""
    return Succeeded(
        network=entry.network,
        sender=ledger,
        receiver=entry.partner,
        log=successor_of(entry.predecessor.ledger),
        predecessor=entry.predecessor,
        entry=reference,
    )


def succession_received(entry: PartnerSucceeded, *, ledger: Ledger) -> Succeeded:
    """Return the `succeeded` that `entry` of `ledger` takes in."""
    return Succeeded(
        network=entry.network,
        sender=entry.partner,
        receiver=ledger,
        log=entry.log,
        predecessor=entry.predecessor,
        entry=entry.partner_entry,
    )
