"""This log asks its witnesses to cosign what it is about to publish (specs/witness.md §5).

Witnesses are the partners that can be dialled, and others that the operator names. Each is asked about the newest
checkpoint with a proof from what it cosigned last; what it answers is verified before it is published.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import structlog

from node.engine.engine import Committed
from node.ports import TransportFailed, Witnesses
from node.services.context import Context
from node.services.logs.log_access import log_pass
from node.services.logs.log_files import LogFiles, log_name
from node.services.logs.own_log import is_signed_by_all, lack, open_of
from node.services.logs.publication import PUBLISH_SECONDS, Publication
from node.store.rows import SignedCheckpoint
from protocol.agreement import key_of
from protocol.errors import ProtocolError, TallystickError
from protocol.identifiers import Ledger, successor_of
from protocol.keys import Role
from protocol.ledger.state import LEDGER, ONLY, PARTNERS
from protocol.merkle import Hash, consistency_proof, root_at
from protocol.note import KeyType, NoteSignature, Verifier, format_vkey, parse_note
from protocol.tiles import TileReader
from protocol.witness import (
    AddCheckpoint,
    ReplyStatus,
    format_add_checkpoint,
    monitor_path,
    parse_size,
    take_cosignatures,
)

PREFIX: Final = "witness/v1"
"""Where a node's witness is below the node's address."""

WITNESSES_MAX: Final = 64
ROUND_SECONDS: Final = 1.0
"""How long publication waits for the witnesses that are asked; who answers later is added then."""

ACKNOWLEDGE_PAUSE_SECONDS: Final = 0.05
"""How soon after a round the next one begins while answers wait for it."""

RETRY_SECONDS: Final = 1.0
RETRY_SECONDS_MAX: Final = 60.0
START_RETRY_SECONDS_MAX: Final = 5.0
"""How long a witness is left alone at most while a start waits for it."""

_DOUBLINGS_MAX: Final = 16
_TRIES_MAX: Final = 3
_REMEMBERED_SECONDS: Final = 3.0
_FILES: Final = "files"
_LOG: Final = structlog.get_logger()

Submit = Callable[[Callable[[], None]], "Future[None]"]


class WitnessRefused(TallystickError):
    """A witness does not cosign a checkpoint of this log."""

    code = "witness_refused"


@dataclass(frozen=True, slots=True)
class Cosigner:
    """A witness: the key that it cosigns with, and its submission prefix."""

    verifier: Verifier
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Witnessing:
    """Who is asked: `others` that the operator names and, unless `partners` is false, every partner that is dialled.

    With `acknowledge`, answers to a programme's requests wait until so many have cosigned.
    """

    others: tuple[Cosigner, ...] = ()
    partners: bool = True
    acknowledge: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessView:
    """A witness: `cosigned_size` is what it cosigned last since the node has started, `last_failure` why it did not."""

    name: str
    url: str
    vkey: str
    cosigned_size: int | None
    last_failure: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessList:
    """All witnesses that are asked."""

    witnesses: tuple[WitnessView, ...]


@dataclass(slots=True)
class _Line:
    """How it goes with one witness; `size` is what it is believed to have cosigned last."""

    size: int = 0
    cosigned: int | None = None
    failures: int = 0
    not_before: float = float("-inf")
    busy: bool = False
    reason: str | None = None


@dataclass(slots=True)
class _Round:
    """One checkpoint, and who has cosigned it."""

    checkpoint: SignedCheckpoint
    signatures: dict[Cosigner, NoteSignature] = field(default_factory=dict)


class Cosigning:
    """Asks witnesses in rounds: `step` makes one. What it remembers of them is learnt anew after a restart."""

    def __init__(
        self, context: Context, publication: Publication, witnesses: Witnesses, witnessing: Witnessing
    ) -> None:
        """Ask those that `witnessing` names, for what `publication` publishes."""
        self._context = context
        self._publication = publication
        self._witnesses = witnesses
        self._files = LogFiles(context.reader, context.record)
        self._witnessing = witnessing
        # What nobody waits for is asked about once a second at most, since more is not published.
        self._pause_seconds = ACKNOWLEDGE_PAUSE_SECONDS if witnessing.acknowledge else PUBLISH_SECONDS
        self._lock = threading.Lock()
        self._lines: dict[Cosigner, _Line] = {}
        self._round: _Round | None = None
        self._known: tuple[Cosigner, ...] = ()
        self._known_until = self._began_at = float("-inf")
        self._woken = threading.Event()
        context.writer.listen(self._committed)

    def cosigners(self) -> tuple[Cosigner, ...]:
        """Return the witnesses that are asked; a new partner is one of them a few seconds after it was added."""
        now = self._context.clock.monotonic()
        if now >= self._known_until:
            found = dict.fromkeys(self._witnessing.others)
            if self._witnessing.partners:
                found.update(dict.fromkeys(self._partner_witnesses()))
            self._known = tuple(found)[:WITNESSES_MAX]
            self._known_until = now + _REMEMBERED_SECONDS
        return self._known

    def all(self) -> WitnessList:
        """Return the witnesses that are asked, and how it goes with each."""
        cosigners = self.cosigners()
        with self._lock:
            lines = [(each, self._lines.get(each, _Line())) for each in cosigners]
            return WitnessList(
                witnesses=tuple(
                    WitnessView(
                        name=each.verifier.name,
                        url=each.url,
                        vkey=format_vkey(each.verifier),
                        cosigned_size=line.cosigned,
                        last_failure=line.reason,
                    )
                    for each, line in lines
                )
            )

    def step(self, submit: Submit) -> None:
        """Ask whoever has not cosigned the newest checkpoint, and publish it with what has come by then.

        `submit` starts a call on another thread. A witness that has failed is not asked again for a while.
        """
        cosigners = self.cosigners()
        self._publication.hold(held=bool(cosigners))
        if self._context.writer.gate.behind is not None:
            self._look(cosigners, submit)
            return
        if not cosigners:
            return
        self._began_at = self._context.clock.monotonic()
        checkpoint = self._publication.newest()
        with self._lock:
            if self._round is None or self._round.checkpoint.number != checkpoint.number:
                self._round = _Round(checkpoint)
            round_ = self._round
            waiting = self._context.writer.gate.witnesses
            owing = [each for each in cosigners if each not in round_.signatures or each.verifier.name in waiting]
            due = [each for each in owing if self._claim(each)]
        calls = [partial(self._attempt, each, partial(self._ask, each, round_)) for each in due]
        wait([submit(call) for call in calls], timeout=ROUND_SECONDS)
        with self._lock:
            signatures = [round_.signatures[each] for each in cosigners if each in round_.signatures]
        self._publication.publish(checkpoint, signatures)

    def _look(self, cosigners: Sequence[Cosigner], submit: Submit) -> None:
        """Look at what those have cosigned whose answer the start waits for: a successor is to name the largest tree.

        The store is behind, so nobody is asked to cosign anything.
        """
        waiting = self._context.writer.gate.witnesses
        with self._lock:
            due = [each for each in cosigners if each.verifier.name in waiting and self._claim(each)]
        calls = [partial(self._attempt, each, partial(self._see, each)) for each in due]
        wait([submit(call) for call in calls], timeout=ROUND_SECONDS)

    def wait(self, longest_seconds: float) -> None:
        """Sleep until there is something to publish, at least as long as one is published after another."""
        self._woken.wait(longest_seconds)
        self._woken.clear()
        rest = self._began_at + self._pause_seconds - self._context.clock.monotonic()
        time.sleep(min(max(rest, 0.0), self._pause_seconds))

    def _committed(self, committed: Committed) -> None:
        # Where nobody is asked there is no hurry, and a thread that each commit woke would hold up its answers.
        if committed.sealed and self._known:
            self._woken.set()

    def _partner_witnesses(self) -> Iterator[Cosigner]:
        reader = self._context.reader
        urls = reader.partner_urls()
        for ledger, record in reader.living_partners():
            current = reader.current_agreement(ledger)
            carried = current is not None and current[1].signed.agreement.transport.kind == _FILES
            if urls.get(ledger) and not carried:
                verifier = Verifier(ledger, key_of(record.keys, Role.WITNESS), KeyType.COSIGNATURE)
                yield Cosigner(verifier, f"{urls[ledger].rstrip('/')}/{PREFIX}")

    def _claim(self, cosigner: Cosigner) -> bool:
        line = self._lines.setdefault(cosigner, _Line())
        if line.busy or self._context.clock.monotonic() < line.not_before:
            return False
        line.busy = True
        return True

    def _attempt(self, cosigner: Cosigner, act: Callable[[_Line], None]) -> None:
        """Do something with a witness that was claimed; where that fails, leave it alone for a while."""
        line = self._lines[cosigner]
        try:
            act(line)
        except (TransportFailed, TallystickError) as failure:
            self._failed(cosigner, line, str(failure))
        except Exception as bug:  # noqa: BLE001 - the next round is made whatever befell this one
            _LOG.error("cosigning_bug", witness=cosigner.verifier.name, exc_info=bug)
            self._failed(cosigner, line, type(bug).__name__)
        else:
            with self._lock:
                line.failures, line.reason, line.busy = 0, None, False

    def _ask(self, cosigner: Cosigner, round_: _Round, line: _Line) -> None:
        signature = self._cosigned(cosigner, round_.checkpoint, line)
        with self._lock:
            round_.signatures[cosigner] = signature
        self._answers_start(cosigner)

    def _see(self, cosigner: Cosigner, _line: _Line) -> None:
        self._compare(cosigner)
        self._context.writer.gate.witness_answered(cosigner.verifier.name)

    def _answers_start(self, cosigner: Cosigner) -> None:
        """Let the start wait for this witness no longer, which has shown that it knows no larger tree of this log.

        One of the log that would come after this one, it is asked for here.
        """
        gate, name = self._context.writer.gate, cosigner.verifier.name
        if name not in gate.witnesses:
            return
        newest = self._publication.newest()
        self._compare(cosigner, successor_of(log_name(self._context.ledger, newest.generation)))
        if gate.behind is None:
            _LOG.info("witness_answered", witness=name)
            gate.witness_answered(name)

    def _failed(self, cosigner: Cosigner, line: _Line, reason: str) -> None:
        if line.reason != reason:
            _LOG.warning("not_cosigned", witness=cosigner.verifier.name, reason=reason)
        with self._lock:
            pause = RETRY_SECONDS * 2.0 ** min(line.failures, _DOUBLINGS_MAX)
            waited_for = cosigner.verifier.name in self._context.writer.gate.witnesses
            longest = START_RETRY_SECONDS_MAX if waited_for else RETRY_SECONDS_MAX
            line.not_before = self._context.clock.monotonic() + min(pause, longest)
            line.failures, line.reason, line.busy = line.failures + 1, reason, False

    def _cosigned(self, cosigner: Cosigner, checkpoint: SignedCheckpoint, line: _Line) -> NoteSignature:
        note = parse_note(checkpoint.note)
        old_size = line.size if line.size <= checkpoint.size else 0
        for _ in range(_TRIES_MAX):
            proof = self._proof(old_size, checkpoint)
            request = format_add_checkpoint(AddCheckpoint(old_size=old_size, proof=proof, note=note))
            answer = self._witnesses.add_checkpoint(cosigner.url, request)
            if answer.status == ReplyStatus.COSIGNED:
                taken = take_cosignatures(answer.body, text=note.text, witnesses=[cosigner.verifier])
                line.size = line.cosigned = checkpoint.size
                return taken[0]
            if answer.status != ReplyStatus.CONFLICT:
                if answer.status == ReplyStatus.UNPROVED:
                    self._compare(cosigner)
                elif answer.status == ReplyStatus.UNKNOWN_LOG:
                    # Who does not know the log has cosigned nothing of it.
                    self._answers_start(cosigner)
                raise WitnessRefused(f"the witness answered {answer.status}: {answer.body[:200]!r}")
            old_size = line.size = parse_size(answer.body)
            if old_size > checkpoint.size:
                self._compare(cosigner)
                raise WitnessRefused(f"the witness has cosigned {old_size} entries, more than {checkpoint.size}")
        raise WitnessRefused("the witness has cosigned something else each time it was asked")

    def _compare(self, cosigner: Cosigner, log: Ledger | None = None) -> None:
        """Look at what the witness has cosigned, and close the gate where that shows this store to be an older copy.

        It is asked about `log`, or where none is named about the one that is written now.
        """
        gate = self._context.writer.gate
        restorations = gate.restorations
        name = log or log_name(self._context.ledger, self._publication.newest().generation)
        credential = log_pass(self._context, Ledger(cosigner.verifier.name))
        note = self._witnesses.latest(cosigner.url, monitor_path(name), credential=credential)
        if note is None:
            return
        record = self._context.record
        try:
            seen = open_of(note, ledger=record.ledger, key=key_of(record.keys, Role.LOG))
        except ProtocolError as error:
            raise WitnessRefused(f"the witness shows no checkpoint of this log: {error}") from error
        # What was signed while the witness was asked is no sign of an older copy.
        newest = self._publication.newest()
        lacks = lack(seen, newest, root_at=lambda size: root_at(size, self._tiles(newest.generation, size).read))
        if lacks is not None:
            _LOG.error("store_behind", witness=cosigner.verifier.name, lacks=lacks)
            reason = f"the witness {cosigner.verifier.name} {lacks}"
            if not self._is_claim(cosigner, note):
                gate.found_behind(reason, seen, restorations=restorations)
                return
            gate.claimed_behind(Ledger(cosigner.verifier.name), reason, restorations=restorations)
            self._require_kept_in(Ledger(cosigner.verifier.name), reason)

    def _is_claim(self, cosigner: Cosigner, note: bytes) -> bool:
        """Return whether a partner shows what not every key of the log has signed: it can be kept out."""
        reader = self._context.reader
        partner = reader.record(PARTNERS, Ledger(cosigner.verifier.name))
        record = reader.record(LEDGER, ONLY)
        assert record is not None, "a log has its genesis"
        return partner is not None and not is_signed_by_all(note, record, reader)

    def _require_kept_in(self, partner: Ledger, reason: str) -> None:
        """Take back the claim of a partner that is suspended, and raise `WitnessRefused`.

        It may have been suspended since the witness was asked, so this is looked at last.
        """
        record = self._context.reader.record(PARTNERS, partner)
        if record is not None and record.suspended_seq is not None:
            self._context.writer.gate.kept_out(partner)
            raise WitnessRefused(f"{reason}; not every key of the log has signed that, and the partner is suspended")

    def _proof(self, old_size: int, checkpoint: SignedCheckpoint) -> tuple[Hash, ...]:
        if old_size == 0:
            return ()
        tiles = self._tiles(checkpoint.generation, checkpoint.size)
        return consistency_proof(old_size=old_size, size=checkpoint.size, read=tiles.read)

    def _tiles(self, generation: int, size: int) -> TileReader:
        return TileReader(size=size, fetch=lambda tile: self._files.hashes(tile, generation))
