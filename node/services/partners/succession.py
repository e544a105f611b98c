"""What an operator does about a store that is behind, or a partner that does not answer: each act is an entry.

A ledger that goes on as a successor says in its genesis what was lost, and asks every partner for the words that it
holds; nothing else moves until all have given them back, or the operator has gone on without (specs/succession.md).
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from node.engine.gate import Gate
from node.engine.work import Answer, CommandWork, Desk
from node.services.answers import EntryAnswer
from node.services.channel.channel_rows import present_channel
from node.services.channel.exchange import Exchange
from node.services.channel.peer import Peer
from node.services.channel.taking_back import beginning_of, ending_of
from node.services.context import Context
from node.services.logs.own_log import place_of
from node.services.pending import Pending
from node.store.rows import SignedCheckpoint
from protocol.entries import Genesis, Sealed
from protocol.errors import Code, Refusal
from protocol.identifiers import Digest, Id, Ledger, generation_of, id_from_random, successor_of
from protocol.ledger.commands import CreateLedger, OverrideStart, WaiveRecovery
from protocol.ledger.names import genesis_id, recovery_ended_id, recovery_id
from protocol.ledger.state import IDS, LEDGER, ONLY, PARTNERS, LedgerRecord
from protocol.ledger.view import Need, Overlay, need
from protocol.messages import Predecessor

Condition: TypeAlias = Literal["open", "starting", "behind", "recovering"]
_ID_BYTES: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class SucceedRequest:
    """Go on as a successor; `without` the words of partners that are gone, for a `reason`."""

    id: Id
    without: tuple[Ledger, ...]
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StartRequest:
    """Start before the partners `without`, and the `witnesses` of these names, have answered, for a `reason`."""

    id: Id
    without: tuple[Ledger, ...]
    reason: str
    witnesses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class WaiveRequest:
    """Go on without what `partner` has not given back, for a `reason`."""

    id: Id
    partner: Ledger
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PartnerStanding:
    """How our ledger stands with one partner.

    `answered`: it has answered since the start. `seen` is the size of our log that it has shown, in `generation`;
    `words` how many words of ours it has applied. While `recovering`, `back` of these are here; it `waits` for points
    that other partners' words may bring, or is `stuck` at one that no rule lets stand again: the code says why. So is
    one that was gone when we went on as a successor, and holds more of the log before than our genesis says there was;
    and one that claims words which the store does not have, and that was suspended: it is kept out (`store_behind`).
    """

    partner: str
    answered: bool
    generation: int | None
    seen: int | None
    words: int | None
    recovering: bool
    back: int | None
    waits: bool
    stuck: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerStanding:
    """The ledger and the log that it writes, and whether it may write now: `reason` says why not."""

    ledger: str
    log: str
    first_seq: int
    size: int
    condition: Condition
    reason: str | None
    waiting: tuple[str, ...]
    waiting_witnesses: tuple[str, ...]
    partners: tuple[PartnerStanding, ...]


class SuccessionService:
    """Shows how the ledger stands, and does what an operator decides about it."""

    def __init__(self, context: Context, exchange: Exchange, *, gate: Gate) -> None:
        """Act on the ledger of `context`, to whose entries `gate` is the way."""
        self._context = context
        self._exchange = exchange
        self._gate = gate

    def standing(self) -> LedgerStanding:
        """Return how the ledger stands with itself and with every partner."""
        record, newest = self._record(), self._newest()
        recovering = ", ".join(record.recovering)
        condition: Condition = "open"
        reason = self._gate.behind
        if reason is not None:
            condition = "behind"
        elif self._gate.waiting:
            condition, reason = "starting", "partners have not answered yet"
        elif self._gate.witnesses:
            names = ", ".join(sorted(self._gate.witnesses))
            condition, reason = "starting", f"witnesses have not answered yet: {names}"
        elif recovering:
            condition, reason = "recovering", f"waits for its words from {recovering}"
        return LedgerStanding(
            ledger=record.ledger,
            log=record.log,
            first_seq=record.first_seq,
            size=newest.size,
            condition=condition,
            reason=reason,
            waiting=tuple(sorted(self._gate.waiting)),
            waiting_witnesses=tuple(sorted(self._gate.witnesses)),
            partners=tuple(self._partner(ledger, record) for ledger in self._exchange.partners()),
        )

    def start(self, request: StartRequest) -> Pending[EntryAnswer]:
        """Start without waiting for others any longer; the entry that says so is the first of this start.

        Raises `start_unanswered` through the answer while others are waited for than those named.
        """
        command = OverrideStart(
            id=request.id,
            request=self._context.digests.digest(
                "start",
                {
                    "id": request.id,
                    "without": list(request.without),
                    "witnesses": list(request.witnesses),
                    "reason": request.reason,
                },
            ),
            partners=request.without,
            witnesses=request.witnesses,
            reason=request.reason,
        )
        done = self._context.writer.submit(CommandWork([command]))
        done.add_done_callback(lambda future: self._go_on(future, request))
        return Pending(done, self._context.render_first)

    def waive(self, request: WaiveRequest) -> Pending[EntryAnswer]:
        """Go on without what a partner has not given back."""
        command = WaiveRecovery(
            id=request.id,
            request=self._context.digests.digest(
                "waive", {"id": request.id, "partner": request.partner, "reason": request.reason}
            ),
            partner=request.partner,
            reason=request.reason,
        )
        return self._context.execute(command)

    def succeed(self, request: SucceedRequest) -> Pending[EntryAnswer]:
        """Open the next log: what the store lacks of the present one is named, and partners are asked for words.

        Raises `Refusal` with `succession_invalid` where nothing is lost, or where it cannot be named; and with
        `start_unanswered` while a partner has not answered and is not among those to go on without.
        """
        record = self._record()
        digest = self._context.digests.digest(
            "succeed", {"id": request.id, "without": list(request.without), "reason": request.reason}
        )
        genesis = self._context.entry(record.first_seq)
        if genesis is not None and genesis.entry.request == digest:
            # The answer to this very request was lost on its way.
            return _at_once(self._context.render(genesis))
        if self._gate.behind is None:
            raise Refusal(Code.SUCCESSION_INVALID, "nothing is known to be lost: the ledger goes on as it is")
        peers = [self._exchange.peer(ledger) for ledger in record.partners]
        self._check_answered(peers, request.without)
        work = SucceedWork(
            self._predecessor(record, peers),
            peers,
            context=self._context,
            request=request,
            digest=digest,
            ids=[id_from_random(self._context.randomness.token(_ID_BYTES)) for _ in request.without],
        )
        done = self._context.writer.submit(work)
        done.add_done_callback(lambda future: self._succeeded(future, peers))
        return Pending(done, self._context.render)

    # --- What is known.

    def _record(self) -> LedgerRecord:
        record = self._context.reader.record(LEDGER, ONLY)
        assert record is not None, "a node's directory is made with its genesis"
        return record

    def _newest(self) -> SignedCheckpoint:
        newest = self._context.reader.latest_checkpoint()
        assert newest is not None, "a log has its genesis, and a checkpoint over it"
        return newest

    def _partner(self, ledger: Ledger, record: LedgerRecord) -> PartnerStanding:
        peer, row = self._exchange.peer(ledger), self._context.reader.channel(ledger)
        with peer.lock:
            shown, answered = peer.shown, peer.outgoing.answered
            recovering = ledger in record.recovering
            return PartnerStanding(
                partner=ledger,
                answered=answered,
                generation=None if shown is None else generation_of(Ledger(shown.origin)),
                seen=None if shown is None else shown.size,
                words=peer.outgoing.fence.bodies if answered else None,
                recovering=recovering,
                back=row.back_next if recovering and row else None,
                waits=recovering and peer.waits_since is not None,
                stuck=self._stuck(peer, recovering=recovering),
            )

    def _stuck(self, peer: Peer, *, recovering: bool) -> str | None:
        if peer.beyond:
            return Code.SUCCESSION_INVALID.value
        if recovering:
            return peer.stuck
        return Code.STORE_BEHIND.value if not peer.excused and self._gate.behind is None else None

    def _check_answered(self, peers: Sequence[Peer], without: Sequence[Ledger]) -> None:
        unknown = set(without) - {peer.ledger for peer in peers}
        if unknown:
            raise Refusal(Code.PARTNER_UNKNOWN, f"there is no partner {min(unknown)}")
        silent = [peer.ledger for peer in peers if not peer.outgoing.answered and peer.ledger not in without]
        if silent:
            names = ", ".join(silent)
            raise Refusal(Code.START_UNANSWERED, f"{names} has not answered since the start: wait, or go on without it")

    def _predecessor(self, record: LedgerRecord, peers: Sequence[Peer]) -> Predecessor:
        """Return what the successor is to name: the largest checkpoint that anybody holds, and what was restored."""
        newest = self._newest()
        shown = [peer.shown for peer in peers if peer.shown is not None]
        shown += [peer.doubted for peer in peers if peer.doubted is not None and not self._is_kept_out(peer)]
        known = max([*shown, *([self._gate.seen] if self._gate.seen else [])], key=place_of, default=None)
        if known is None or place_of(known) <= (newest.generation, newest.size):
            raise Refusal(Code.SUCCESSION_INVALID, "nobody has shown a checkpoint beyond what the store has")
        if known.origin != record.log:
            text = f"the log {known.origin} came after {record.log}, and nobody can say where: bring it back (recover)"
            raise Refusal(Code.SUCCESSION_INVALID, text)
        return Predecessor(
            ledger=record.log,
            first_seq=record.first_seq,
            size=known.size,
            root=Digest(known.root.hex()),
            restored_size=newest.size,
            restored_root=newest.root,
        )

    def _is_kept_out(self, peer: Peer) -> bool:
        record = self._context.reader.record(PARTNERS, peer.ledger)
        return record is None or record.suspended_seq is not None or record.ended_seq is not None

    # --- What follows once it is durable; on the writer's thread.

    def _go_on(self, done: "Future[list[Answer]]", request: StartRequest) -> None:
        if done.exception() is None:
            for partner in request.without:
                self._gate.answered(partner)
            for witness in request.witnesses:
                self._gate.witness_answered(witness)
            self._exchange.wake()

    def _succeeded(self, done: "Future[Sealed]", peers: Sequence[Peer]) -> None:
        if done.exception() is None:
            with ExitStack() as judged:
                # Whoever has looked at the store before the commit shuts the gate now, or not at all.
                for peer in peers:
                    judged.enter_context(peer.lock)
                for peer in peers:
                    self._gate.answered(peer.ledger)
                    # The words that it has shown to be lost are those that are now asked for.
                    peer.excused, peer.told, peer.lacks, peer.doubted = True, False, None, None
                # Witnesses are asked about the log before no more: the next one begins.
                self._gate.close_for_witnesses(())
                self._gate.restored()
            self._exchange.wake()


class SucceedWork:
    """The first entries of a successor, in one commit: genesis, and for each partner how its words come back."""

    def __init__(
        self,
        predecessor: Predecessor,
        peers: Sequence[Peer],
        *,
        context: Context,
        request: SucceedRequest,
        digest: Digest,
        ids: Sequence[Id],
    ) -> None:
        """Go on from `predecessor`; `ids` are those of the entries about partners to go on without."""
        self._predecessor = predecessor
        self._peers = peers
        self._context = context
        self._request = request
        self._digest = digest
        self._waivers = dict(zip(request.without, ids, strict=True))
        self._log = successor_of(predecessor.ledger)

    def needs(self, _view: Overlay) -> Iterator[Need]:
        """Name the partners, and the ids that the entries take."""
        yield need(IDS, genesis_id(self._log))
        for peer in self._peers:
            yield need(PARTNERS, peer.ledger)
            yield need(IDS, recovery_id(self._log, peer.ledger))
            yield need(IDS, recovery_ended_id(self._log, peer.ledger))
        for waiver in self._waivers.values():
            yield need(IDS, waiver)

    def run(self, desk: Desk) -> Sealed:
        """Enter genesis, and what follows from it, and return genesis."""
        record = desk.find(LEDGER, ONLY)
        assert record is not None, "the ledger has begun"
        genesis = desk.entry(record.first_seq).entry
        assert isinstance(genesis, Genesis), "the first entry of a log"
        begun = desk.execute(
            CreateLedger(
                id=genesis_id(self._log),
                request=self._digest,
                ledger=self._log,
                points=genesis.points,
                points_name=genesis.points_name,
                currencies=genesis.currencies,
                keys=genesis.keys,
                next_log_key=genesis.next_log_key,
                predecessor=self._predecessor,
            )
        )
        for peer in self._peers:
            self._ask(desk, peer)
        return begun.sealed

    def _ask(self, desk: Desk, peer: Peer) -> None:
        waiver = self._waivers.get(peer.ledger)
        if waiver is not None:
            desk.execute(WaiveRecovery(id=waiver, partner=peer.ledger, reason=self._request.reason))
            return
        record = desk.find(LEDGER, ONLY)
        assert record is not None, "the successor has begun"
        desk.execute(beginning_of(peer, record))
        row = present_channel(desk, self._context.reader, peer.ledger)
        if row.back_next is None and not peer.outgoing.behind:
            desk.execute(ending_of(peer, record))


def _at_once(answer: EntryAnswer) -> Pending[EntryAnswer]:
    done: Future[EntryAnswer] = Future()
    done.set_result(answer)
    return Pending(done, lambda found: found)
