"""Signing statements: the first party proposes what its ledger computes, the second agrees to the same bytes."""

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Final

from node.ports import Logs
from node.services.answers import EntryAnswer
from node.services.channel.waiting import newest_waiting
from node.services.context import Context
from node.services.conversions.quotes import StoredView
from node.services.logs.log_files import log_name
from node.services.partner_logs.partner_log import PartnerLog
from node.services.pending import Pending
from node.services.refusals import NodeCode, NodeRefusal
from node.services.settlement.adjusting import Adjusting, Adjustment
from node.store.rows import SignedCheckpoint
from protocol.agreement import key_of
from protocol.entries import Sealed
from protocol.errors import Code, Refusal
from protocol.fields import later
from protocol.identifiers import Digest, Ledger, generation_of
from protocol.keys import Role
from protocol.ledger.commands import AgreeStatement, ProposeStatement
from protocol.ledger.names import proposal_id, statement_id
from protocol.ledger.state import STATEMENTS, WINDOWS, WindowRecord
from protocol.ledger.statements import Adjustments, compute
from protocol.ledger.windows import first_party
from protocol.merkle import HASH_BYTES, root_at
from protocol.messages import StatementSigned, decode_body
from protocol.recovery_entries import Recovered
from protocol.settlement.differences import compare
from protocol.settlement.states import WindowState
from protocol.statement import (
    CheckpointReference,
    SignedStatement,
    Statement,
    StatementSignature,
    sign_statement,
    statement_digest,
)
from protocol.tiles import TileId, TileReader
from protocol.window_entries import StatementAgreed, StatementProposed

REVIEW_SECONDS: Final = 86_400
"""How long operators have, once a window is closed, to end disputes of the one before; then they are listed again."""

_SIGNED: Final = "statement"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signing:
    """What an operator says beside which statement is to be signed.

    `proposal` is the digest of the partner's proposal, to be signed with the adjustments that it has. With `unchecked`
    it is signed although the partner's log cannot be read; what contradicts it stays refused.
    """

    adjustments: Sequence[Adjustment] = ()
    proposal: Digest | None = None
    unchecked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A statement that one party alone has signed: ours by our entry, the partner's by its body."""

    partner: Ledger
    window: int
    by: Ledger
    signed: SignedStatement

    @property
    def digest(self) -> Digest:
        """Return the digest of the statement."""
        return statement_digest(self.signed.statement)


class StatementSigner:
    """Makes this ledger's signature under statements that its own records lead to."""

    def __init__(self, context: Context, logs: Logs) -> None:
        self._context = context
        self._view = StoredView(context.reader)
        self._adjusting = Adjusting(context)
        self._partner_log = PartnerLog(context, logs)

    def is_due(self, partner: Ledger, window: int) -> bool:
        """Return whether a statement can be signed by this ledger without anybody's decision."""
        record = self._context.reader.record(WINDOWS, (partner, window)) or WindowRecord()
        if record.state is not WindowState.RECONCILED:
            return False
        if not first_party(self._view, partner):
            return self._proposal(partner, window) is not None
        return record.proposed is None and not self._under_review(partner, window, record)

    def pending(self, partner: Ledger, window: int) -> Proposal | None:
        """Return the statement of a window that the first party has proposed and that is not agreed, or None."""
        record = self._context.reader.record(WINDOWS, (partner, window)) or WindowRecord()
        if record.state not in {WindowState.RECONCILED, WindowState.MISMATCH}:
            return None
        if first_party(self._view, partner):
            sealed = None if record.proposed is None else self._signed(partner, window)
            by, signed = self._context.ledger, None if sealed is None else _signed_in(sealed)
        else:
            found = self._proposal(partner, window)
            by, signed = partner, None if found is None else found[0].signed
        return None if signed is None else Proposal(partner=partner, window=window, by=by, signed=signed)

    def sign(self, partner: Ledger, window: int, signing: Signing) -> Pending[EntryAnswer]:
        """Propose the statement of a window, or agree to the one that the partner has proposed; each is done once."""
        before = self._signed(partner, window)
        if before is not None:
            return self._again(before, signing)
        if first_party(self._view, partner):
            if signing.proposal is not None:
                raise Refusal(Code.STATEMENT_MISMATCH, f"{partner} agrees to what this ledger proposes")
            return self._propose(partner, window, signing.adjustments)
        proposal = self._proposal(partner, window)
        if proposal is None:
            raise Refusal(Code.WINDOW_NOT_RECONCILED, f"{partner} has not proposed the statement of window {window}")
        return self._agree(partner, *proposal, signing=signing)

    def _signed(self, partner: Ledger, window: int) -> Sealed | None:
        """Return the entry by which this ledger has signed a window's statement, unless a dispute has voided it."""
        reader = self._context.reader
        record = reader.record(WINDOWS, (partner, window)) or WindowRecord()
        name = statement_id(partner, window) if record.proposed is None else proposal_id(record.proposed)
        seq = reader.entry_seq_of_id(name)
        return None if seq is None else self._context.entry(seq)

    def _again(self, before: Sealed, signing: Signing) -> Pending[EntryAnswer]:
        statement = _signed_in(before).statement
        named = {(each.conversion, each.reason) for each in signing.adjustments}
        has = {(line.id, line.reason) for bill in statement.directions for line in bill.adjustments}
        if signing.proposal != statement_digest(statement) and (signing.proposal is not None or named != has):
            raise Refusal(Code.WINDOW_AGREED, "this ledger has signed another statement, or with other adjustments")
        done: Future[EntryAnswer] = Future()
        done.set_result(self._context.render(before))
        return Pending(done, lambda answer: answer)

    def _propose(self, partner: Ledger, window: int, adjustments: Sequence[Adjustment]) -> Pending[EntryAnswer]:
        theirs = self._partner_log.latest(partner)
        if theirs is None:
            raise Refusal(Code.STATEMENT_MISMATCH, f"no checkpoint of {partner} has been seen")
        first, second = sorted((self._own_checkpoint(), theirs), key=lambda each: each.origin)
        adjusted = self._adjusting.lines(partner, window, adjustments)
        statement = compute(self._view, partner, window, checkpoints=(first, second), adjustments=adjusted)
        command = ProposeStatement(
            id=proposal_id(statement_digest(statement)),
            partner=partner,
            signed=SignedStatement(statement=statement, signatures=(self._signature(statement),)),
        )
        return self._context.execute(command)

    def _agree(
        self, partner: Ledger, body: StatementSigned, digest: Digest, *, signing: Signing
    ) -> Pending[EntryAnswer]:
        proposed = body.signed.statement
        self._check_own(proposed)
        adjusted = self._agreed_adjustments(partner, proposed, signing)
        computed = compute(self._view, partner, proposed.window, checkpoints=proposed.checkpoints, adjustments=adjusted)
        different = compare(computed, proposed)
        if different is not None:
            raise Refusal(Code.STATEMENT_MISMATCH, f"this ledger computes another {', '.join(different.fields)}")
        self._check_theirs(partner, proposed, unchecked=signing.unchecked)
        command = AgreeStatement(
            id=statement_id(partner, proposed.window),
            request=digest,
            statement=body,
            digest=digest,
            signature=self._signature(proposed),
        )
        return self._context.execute(command)

    def _agreed_adjustments(self, partner: Ledger, proposed: Statement, signing: Signing) -> Adjustments:
        if signing.proposal is None:
            return self._adjusting.lines(partner, proposed.window, signing.adjustments)
        if signing.proposal != statement_digest(proposed):
            raise Refusal(Code.STATEMENT_MISMATCH, f"{partner} has proposed another statement since")
        return {bill.source: bill.adjustments for bill in proposed.directions}

    def _check_own(self, proposed: Statement) -> None:
        """Refuse a checkpoint of our log that we have not signed; the lost end of an earlier one counts for nothing."""
        ours, newest = proposed.checkpoints[1], self._newest()
        generation = generation_of(ours.origin)
        last = self._context.reader.checkpoint_of(generation)
        if generation < newest.generation and (last is None or last.size < ours.size):
            return
        if last is None or last.size < ours.size or self._root_at(generation, ours.size) != ours.root:
            raise Refusal(Code.STATEMENT_MISMATCH, "the statement names a checkpoint that this ledger has not signed")

    def _root_at(self, generation: int, size: int) -> Digest:
        """Return the root that one of our logs had at a size: of a tail that came back, only the end is signed."""

        def fetch(tile: TileId) -> bytes:
            return self._context.reader.tile(tile.level, tile.index, generation=generation)[: tile.width * HASH_BYTES]

        return Digest(root_at(size, TileReader(size=size, fetch=fetch).read).hex())

    def _check_theirs(self, partner: Ledger, proposed: Statement, *, unchecked: bool) -> None:
        """Refuse a checkpoint of the partner's log that is not one with those which it has shown before."""
        previous = self._context.reader.record(STATEMENTS, (partner, proposed.window - 1))
        before = previous.signed.statement.checkpoints[0] if previous else None
        try:
            self._partner_log.check(partner, proposed.checkpoints[0], before)
        except NodeRefusal as refusal:
            if not unchecked or refusal.code != NodeCode.LOG_UNREACHABLE:
                raise

    def _under_review(self, partner: Ledger, window: int, record: WindowRecord) -> bool:
        closes = [close.closed_at for close in (record.closed, record.received) if close is not None]
        if not any(self._adjusting.open_disputes(partner, window).values()):
            return False
        return self._context.now < later(max(closes), seconds=REVIEW_SECONDS)

    def _proposal(self, partner: Ledger, window: int) -> tuple[StatementSigned, Digest] | None:
        """Return the newest statement of a window that the partner, as the first party, has proposed, or None."""
        digest = newest_waiting(self._context.reader, _SIGNED, partner)
        received = None if digest is None else self._context.reader.message_received(digest)
        body = None if received is None else decode_body(received.body)
        if received is None or not isinstance(body, StatementSigned) or body.window != window:
            return None
        return body, received.digest

    def _signature(self, statement: Statement) -> StatementSignature:
        own = self._context
        approval = key_of(own.record.keys, Role.APPROVAL)
        return sign_statement(statement, ledger=own.ledger, key=own.keyring.key(Role.APPROVAL), approval=approval)

    def _own_checkpoint(self) -> CheckpointReference:
        newest = self._newest()
        # The ledger may have gone on as a successor since this node has started.
        origin = log_name(self._context.ledger, newest.generation)
        return CheckpointReference(origin=origin, size=newest.size, root=newest.root)

    def _newest(self) -> SignedCheckpoint:
        newest = self._context.reader.latest_checkpoint()
        assert newest is not None, "a log has its genesis, and a checkpoint over it"
        return newest


def _signed_in(sealed: Sealed) -> SignedStatement:
    """Return the statement that an entry of ours signs, also where it is recovered from a log before this one."""
    entry = sealed.entry
    if isinstance(entry, Recovered) and isinstance(entry.body, StatementSigned):
        return entry.body.signed
    assert isinstance(entry, StatementProposed | StatementAgreed), "the entry of this id"
    return entry.signed
