"""Rules taken away: each mutation replaces one named function of the shipped code, and must be caught.

Nothing of this is in the shipped code: a mutation is put in place from here, for as long as a run takes.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Final, TypeVar, cast

import msgspec

from node.engine.desk import CommitDesk
from node.engine.engine import Engine
from node.engine.work import Answer, CommandWork
from node.services.channel import intake
from node.services.channel.intake import IntakeWork
from node.services.channel.standing import Standing
from node.services.channel.streams import Streams
from node.store.rows import CommitRecord, SentBody
from node.workers.expire_holds import ExpireHolds
from protocol.conversion import SourceState
from protocol.entries import ConversionCaptured
from protocol.errors import Code, Refusal
from protocol.identifiers import Digest, Id, Ledger
from protocol.ledger import exposure, holds, lines
from protocol.ledger.commands import AnyCommand, ConcludeReject, DecideCancel, DecidePrepare
from protocol.ledger.names import conclusion_id
from protocol.ledger.state import (
    EXPOSURE,
    HEAD,
    HOLDS,
    IDS,
    ONLY,
    OUT,
    OUTGOING,
    WINDOW_TOTALS,
    WINDOWS,
    ExposureRecord,
    HoldRecord,
    OutgoingRecord,
    Way,
)
from protocol.ledger.view import Overlay, View
from protocol.messages import Cancel, EntryReference, Prepare, Reject, body_digest, encode_body
from scripts.simulation.invariants import Invariant
from scripts.simulation.restore_mutations import (
    fence_drops_peer_decisions,
    hello_only_if_ahead,
    restore_without_fence,
    restore_without_safe_mode,
)

_F = TypeVar("_F", bound=Callable[..., object])


_LESSER: Final = frozenset(
    {
        Invariant.TWO_DECISIONS, Invariant.NOT_LIVE, Invariant.HONEST_ACCUSED, Invariant.FALSE_ALARM,
        Invariant.WORD_FORGOTTEN,
    }
)  # fmt: skip
"""What partners notice on the way, before anything of worth is made or lost."""


@dataclass(frozen=True, slots=True)
class Mutation:
    """What is replaced: the function `name` of `owner`, by what `replace` makes of it, and what follows from that.

    Lesser invariants that are violated on the way are ignored, those `besides` too, so that `shows` is what is found.
    """

    owner: type | ModuleType
    name: str
    replace: Callable[[Callable[..., object]], Callable[..., object]]
    shows: Invariant
    besides: frozenset[Invariant] = frozenset()

    @property
    def ignored(self) -> frozenset[Invariant]:
        """Return the invariants that the search looks away from."""
        return (_LESSER | self.besides) - {self.shows}


def _mutation(
    owner: type | ModuleType,
    name: str,
    replace: Callable[[_F], _F],
    *,
    shows: Invariant,
    besides: Iterable[Invariant] = (),
) -> Mutation:
    plain = cast("Callable[[Callable[..., object]], Callable[..., object]]", replace)
    return Mutation(owner, name, plain, shows, frozenset(besides))


_CREATED: Final = Invariant.RELEASED_AND_CREDITED
_SHORT: Final = Invariant.CAPTURED_NOT_CREDITED
_MOVED: Final = Invariant.HOLD_MOVED
_PASSED: Final = Invariant.CAP_PASSED
_OTHER_ROWS: Final = (Invariant.RESERVED_OTHERWISE, Invariant.IN_FLIGHT_PASSED)
_OTHER_LINE: Final = Invariant.LINE_DIFFERS
_OTHER_CREDIT: Final = Invariant.CREDITED_OTHERWISE
_OF_RESTORES: Final = (
    Invariant.BUG, Invariant.DECIDES_WHILE_BEHIND, Invariant.FALSE_ALARM, Invariant.FILE_TAKEN, Invariant.GAP,
    Invariant.HONEST_ACCUSED, Invariant.LINE_DIFFERS, Invariant.PAYABLE_IS_NOT_RECEIVABLE, Invariant.REPEAT_DIFFERS,
    Invariant.STATEMENTS_DIFFER, Invariant.TWO_HISTORIES, Invariant.WORD_FORGOTTEN,
)  # fmt: skip
"""What shows first where a restored store goes on: that there are two histories, or that somebody knows better."""


@contextmanager
def mutated(name: str | None) -> Iterator[None]:
    """Run the code inside with the mutation `name`, or with None."""
    if name is None:
        yield
        return
    mutation = MUTATIONS[name]
    original: Callable[..., object] = getattr(mutation.owner, mutation.name)
    setattr(mutation.owner, mutation.name, mutation.replace(original))
    try:
        yield
    finally:
        setattr(mutation.owner, mutation.name, original)


def _source_timeout(original: Callable[[ExpireHolds], None]) -> Callable[[ExpireHolds], None]:
    """Give points back when the source's own clock says that the time to accept them is over."""

    def step(self: ExpireHolds) -> None:
        original(self)
        context = self._points._context  # noqa: SLF001 - a mutation reaches where the shipped code does not
        for conversion, record in context.reader.outgoing_page(state=SourceState.HELD):
            if record.accept_by < context.now:
                reject = _own_reject(context.ledger, conversion, record)
                digest = body_digest(encode_body(reject))
                command = ConcludeReject(id=conclusion_id(conversion), request=digest, reject=reject, digest=digest)
                context.writer.submit(CommandWork([command]))

    return step


def _own_reject(source: Ledger, conversion: Id, record: OutgoingRecord) -> Reject:
    return Reject(
        network=record.network,
        source=source,
        destination=record.destination,
        id=conversion,
        prepare=record.prepare,
        cancel=None,
        reason=Code.EXPIRED.value,
        decided_at=record.accept_by,
        entry=EntryReference(seq=0, leaf=record.prepare),
    )


def _reject_without_entry(desk: CommitDesk, body: Prepare | Cancel, prepare: Digest, cancel: Digest | None) -> Answer:
    """Stage a REJECT that no tombstone stands behind, and answer with an entry that decides nothing."""
    head = desk.find(HEAD, ONLY)
    assert head is not None
    reject = Reject(
        network=body.network,
        source=body.source,
        destination=body.destination,
        id=body.id,
        prepare=prepare,
        cancel=cancel,
        reason=(Code.CANCELLED if cancel else Code.EXPIRED).value,
        decided_at=desk.time,
        entry=EntryReference(seq=head.size - 1, leaf=head.leaf),
    )
    data = encode_body(reject)
    desk.stage(
        SentBody(
            partner=body.source, digest=body_digest(data), kind="reject", conversion=body.id, body=data, entry_seq=None
        )
    )
    return Answer(desk.entry(0), repeated=False)


def _cancel_without_tombstone(
    original: Callable[[CommitDesk, AnyCommand], Answer],
) -> Callable[[CommitDesk, AnyCommand], Answer]:
    """Answer the CANCEL of a conversion that is not known with a REJECT, and remember nothing."""

    def execute(self: CommitDesk, command: AnyCommand) -> Answer:
        if isinstance(command, DecideCancel) and self.find(IDS, command.id) is None:
            return _reject_without_entry(self, command.cancel, command.cancel.prepare, command.digest)
        return original(self, command)

    return execute


def _late_refusal_without_tombstone(
    original: Callable[[CommitDesk, AnyCommand], Answer],
) -> Callable[[CommitDesk, AnyCommand], Answer]:
    """Answer a PREPARE that comes too late with a REJECT, and remember nothing."""

    def execute(self: CommitDesk, command: AnyCommand) -> Answer:
        late = isinstance(command, DecidePrepare) and command.prepare.accept_by < self.time
        if late and self.find(IDS, command.id) is None:
            assert isinstance(command, DecidePrepare)
            return _reject_without_entry(self, command.prepare, command.digest, None)
        return original(self, command)

    return execute


def _fulfil_before_durable(
    original: Callable[[Engine, CommitDesk, Overlay], None],
) -> Callable[[Engine, CommitDesk, Overlay], None]:
    """Put a FULFIL into the outbox in a transaction before the one that credits."""

    def write(self: Engine, desk: CommitDesk, overlay: Overlay) -> None:
        early = tuple(each for each in desk.writes if isinstance(each, SentBody) and each.kind == "fulfil")
        if early:
            self._store.commit(CommitRecord(old_size=self.size, writes=early))
        original(self, desk, overlay)

    return write


def _hold_route_releases(_original: Callable[[View, Id], HoldRecord]) -> Callable[[View, Id], HoldRecord]:
    """Let the routes of ordinary holds move the hold of a conversion too."""

    def open_hold(view: View, hold_id: Id) -> HoldRecord:
        hold = view.get(HOLDS, hold_id)
        if hold is None or not hold.remaining:
            raise Refusal(Code.HOLD_UNKNOWN, f"there is no open hold {hold_id}")
        return hold

    return open_hold


def _cap_not_reserved_in_batch(
    _original: Callable[[View, Ledger, Way], ExposureRecord],
) -> Callable[[View, Ledger, Way], ExposureRecord]:
    """Read what is at stake as it was before the commit, whatever the commands before have reserved in it."""

    def before_the_commit(view: View, partner: Ledger, direction: Way) -> ExposureRecord:
        key = (partner, direction)
        found = view.get(EXPOSURE, key)
        if isinstance(view, Overlay):
            # The journal has what each change of this commit found, the first of them what the store holds.
            changes = view._journal  # noqa: SLF001 - a mutation reaches where the shipped code does not
            found = next(
                (cast("ExposureRecord | None", before) for _, changed, before in changes if changed == key), found
            )
        return found if isinstance(found, ExposureRecord) else ExposureRecord()

    return before_the_commit


def _window_by_arrival(
    original: Callable[[View, ConversionCaptured], None],
) -> Callable[[View, ConversionCaptured], None]:
    """Enter a line in the window that is open here when its FULFIL arrives, not in the one that the decider stamped."""

    def captured(view: View, entry: ConversionCaptured) -> None:
        record = view.get(OUTGOING, entry.conversion)
        assert record is not None, "a captured conversion has its record"
        partner, window = record.destination, entry.window
        stamped = view.get(WINDOWS, (partner, window))
        if stamped is not None and stamped.closed is not None:
            entry = msgspec.structs.replace(entry, window=window + 1)
            # Nobody has named the rows of the next window: it is taken as having no lines yet.
            overlay = cast("Overlay", view)
            overlay.load(WINDOWS, (partner, window + 1), None)
            overlay.load(WINDOW_TOTALS, (partner, OUT, window + 1), None)
        original(view, entry)

    return captured


MUTATIONS: Final[Mapping[str, Mutation]] = {
    "source-timeout": _mutation(ExpireHolds, "step", _source_timeout, shows=_CREATED),
    "cancel-without-tombstone": _mutation(CommitDesk, "execute", _cancel_without_tombstone, shows=_CREATED),
    "late-refusal-without-tombstone": _mutation(CommitDesk, "execute", _late_refusal_without_tombstone, shows=_CREATED),
    "fulfil-before-durable": _mutation(
        Engine, "_write", _fulfil_before_durable, shows=_SHORT, besides={Invariant.LINE_DIFFERS}
    ),
    "hold-route-releases": _mutation(holds, "open_hold", _hold_route_releases, shows=_MOVED),
    "cap-not-reserved-in-batch": _mutation(
        exposure, "_exposure", _cap_not_reserved_in_batch, shows=_PASSED, besides=_OTHER_ROWS
    ),
    "window-by-arrival": _mutation(lines, "_captured", _window_by_arrival, shows=_OTHER_LINE),
    "restore-without-safe-mode": _mutation(
        Standing, "judge", restore_without_safe_mode, shows=_SHORT, besides=(*_OF_RESTORES, _OTHER_CREDIT)
    ),
    "restore-without-fence": _mutation(
        intake, "plan", restore_without_fence, shows=_OTHER_CREDIT, besides=(*_OF_RESTORES, _SHORT)
    ),
    "hello-only-if-ahead": _mutation(
        Streams, "_first_epoch", hello_only_if_ahead, shows=_OTHER_CREDIT, besides=(*_OF_RESTORES, _SHORT)
    ),
    "fence-drops-peer-decisions": _mutation(IntakeWork, "run", fence_drops_peer_decisions, shows=Invariant.NOT_LIVE),
}
