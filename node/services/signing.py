"""Signing statements: the first party proposes what its ledger computes, the second agrees to the same bytes."""

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Final

from node.services.answers import EntryAnswer, Pending
from node.services.context import Context
from node.services.quotes import StoredView
from protocol.agreement import key_of
from protocol.checkpoint import open_checkpoint
from protocol.entries import Sealed
from protocol.errors import Code, Refusal
from protocol.fields import later
from protocol.identifiers import Digest, Id, Ledger
from protocol.keys import Role
from protocol.ledger.commands import AgreeStatement, ProposeStatement
from protocol.ledger.names import proposal_id, statement_id
from protocol.ledger.partners import known_partner
from protocol.ledger.state import STATEMENTS, WINDOWS, WindowRecord
from protocol.ledger.statements import compute
from protocol.ledger.windows import first_party
from protocol.messages import StatementSigned, decode_body
from protocol.note import KeyType, Verifier
from protocol.settlement.differences import compare
from protocol.settlement.states import WindowState
from protocol.statement import (
    AdjustedLine,
    AdjustmentReason,
    CheckpointReference,
    DisputedLine,
    SignedStatement,
    Statement,
    StatementSignature,
    sign_statement,
    statement_digest,
)
from protocol.window_entries import StatementAgreed, StatementProposed

REVIEW_SECONDS: Final = 86_400
"""How long operators have, once a window is closed, to end disputes of the one before; then they are listed again."""

_SIGNED: Final = "statement"


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjustment:
    """How a line in dispute ends: `upheld`, `waived`, or `reduced` to `value` millionths."""

    conversion: Id
    reason: AdjustmentReason
    value: int = 0


class StatementSigner:
    """Makes this ledger's signature under statements that its own records lead to."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._view = StoredView(context.reader)

    def is_due(self, partner: Ledger, window: int) -> bool:
        """Return whether a statement can be signed by this ledger without anybody's decision."""
        record = self._context.reader.record(WINDOWS, (partner, window)) or WindowRecord()
        if record.state is not WindowState.RECONCILED:
            return False
        if not first_party(self._view, partner):
            return self._proposal(partner, window) is not None
        return record.proposed is None and not self._under_review(partner, window, record)

    def sign(self, partner: Ledger, window: int, adjustments: Sequence[Adjustment]) -> Pending[EntryAnswer]:
        """Propose the statement of a window, or agree to the one that the partner has proposed; each is done once."""
        before = self._signed(partner, window)
        if before is not None:
            return self._again(before, adjustments)
        if first_party(self._view, partner):
            return self._propose(partner, window, adjustments)
        proposal = self._proposal(partner, window)
        if proposal is None:
            raise Refusal(Code.WINDOW_NOT_RECONCILED, f"{partner} has not proposed the statement of window {window}")
        return self._agree(partner, *proposal, adjustments=adjustments)

    def _signed(self, partner: Ledger, window: int) -> Sealed | None:
        """Return the entry by which this ledger has signed a window's statement, unless a dispute has voided it."""
        reader = self._context.reader
        record = reader.record(WINDOWS, (partner, window)) or WindowRecord()
        name = statement_id(partner, window) if record.proposed is None else proposal_id(record.proposed)
        seq = reader.entry_seq_of_id(name)
        return None if seq is None else self._context.entry(seq)

    def _again(self, before: Sealed, adjustments: Sequence[Adjustment]) -> Pending[EntryAnswer]:
        entry = before.entry
        assert isinstance(entry, StatementProposed | StatementAgreed), "the entry of this id"
        bills = entry.signed.statement.directions
        if {line.id for bill in bills for line in bill.adjustments} != {each.conversion for each in adjustments}:
            raise Refusal(Code.WINDOW_AGREED, "this ledger has signed a statement with other adjustments")
        done: Future[EntryAnswer] = Future()
        done.set_result(self._context.render(before))
        return Pending(done, lambda answer: answer)

    def _propose(self, partner: Ledger, window: int, adjustments: Sequence[Adjustment]) -> Pending[EntryAnswer]:
        checkpoints = sorted((self._own_checkpoint(), self._partners_checkpoint(partner)), key=lambda each: each.origin)
        first, second = checkpoints
        statement = self._computed(partner, window, (first, second), adjustments)
        command = ProposeStatement(
            id=proposal_id(statement_digest(statement)),
            partner=partner,
            signed=SignedStatement(statement=statement, signatures=(self._signature(statement),)),
        )
        return self._context.execute(command)

    def _agree(
        self, partner: Ledger, body: StatementSigned, digest: Digest, *, adjustments: Sequence[Adjustment]
    ) -> Pending[EntryAnswer]:
        proposed = body.signed.statement
        self._check_checkpoints(partner, proposed.checkpoints)
        computed = self._computed(partner, proposed.window, proposed.checkpoints, adjustments)
        different = compare(computed, proposed)
        if different is not None:
            raise Refusal(Code.STATEMENT_MISMATCH, f"this ledger computes another {', '.join(different.fields)}")
        command = AgreeStatement(
            id=statement_id(partner, proposed.window),
            request=digest,
            statement=body,
            digest=digest,
            signature=self._signature(proposed),
        )
        return self._context.execute(command)

    def _computed(
        self,
        partner: Ledger,
        window: int,
        checkpoints: tuple[CheckpointReference, CheckpointReference],
        adjustments: Sequence[Adjustment],
    ) -> Statement:
        ended = {each.conversion: each for each in adjustments}
        lines = {
            source: [_adjusted(line, ended.pop(line.id)) for line in found if line.id in ended]
            for source, found in self._open_disputes(partner, window).items()
        }
        if ended:
            raise Refusal(Code.LINE_UNKNOWN, f"{min(ended)} is not in dispute since an earlier window")
        return compute(self._view, partner, window, checkpoints=checkpoints, adjustments=lines)

    def _open_disputes(self, partner: Ledger, window: int) -> dict[Ledger, tuple[DisputedLine, ...]]:
        """Return the lines that the statement before lists as in dispute, by the source of the conversions."""
        before = self._context.reader.record(STATEMENTS, (partner, window - 1))
        return {bill.source: bill.disputed for bill in before.signed.statement.directions} if before else {}

    def _under_review(self, partner: Ledger, window: int, record: WindowRecord) -> bool:
        closes = [close.closed_at for close in (record.closed, record.received) if close is not None]
        if not any(self._open_disputes(partner, window).values()):
            return False
        return self._context.now < later(max(closes), seconds=REVIEW_SECONDS)

    def _proposal(self, partner: Ledger, window: int) -> tuple[StatementSigned, Digest] | None:
        """Return the newest statement of a window that the partner, as the first party, has proposed, or None."""
        found = self._context.reader.latest_received(partner, _SIGNED)
        body = None if found is None else decode_body(found.body)
        if found is None or not isinstance(body, StatementSigned) or body.window != window:
            return None
        return body, found.digest

    def _signature(self, statement: Statement) -> StatementSignature:
        own = self._context
        approval = key_of(own.record.keys, Role.APPROVAL)
        return sign_statement(statement, ledger=own.ledger, key=own.keyring.key(Role.APPROVAL), approval=approval)

    def _own_checkpoint(self) -> CheckpointReference:
        newest = self._context.reader.latest_checkpoint()
        assert newest is not None, "a log has its genesis, and a checkpoint over it"
        return CheckpointReference(origin=self._context.ledger, size=newest.size, root=newest.root)

    def _partners_checkpoint(self, partner: Ledger, size: int | None = None) -> CheckpointReference:
        reader = self._context.reader
        kept = reader.latest_partner_checkpoint(partner) if size is None else reader.partner_checkpoint(partner, size)
        if kept is None:
            raise Refusal(Code.STATEMENT_MISMATCH, f"no such checkpoint of {partner} has been seen")
        keys = known_partner(self._view, partner).keys
        verifier = Verifier(name=partner, type=KeyType.ED25519, key=key_of(keys, Role.LOG))
        checkpoint = open_checkpoint(kept.note, [verifier])
        return CheckpointReference(origin=partner, size=checkpoint.size, root=Digest(checkpoint.root.hex()))

    def _check_checkpoints(self, partner: Ledger, checkpoints: tuple[CheckpointReference, CheckpointReference]) -> None:
        """Refuse a checkpoint of our log that we have not signed, or one of the partner's that we know otherwise."""
        theirs, ours = checkpoints
        signed = self._context.reader.checkpoint_covering(ours.size)
        if signed is None or (signed.size, signed.root) != (ours.size, ours.root):
            raise Refusal(Code.STATEMENT_MISMATCH, "the statement names a checkpoint that this ledger has not signed")
        if self._context.reader.partner_checkpoint(partner, theirs.size) is None:
            return
        if self._partners_checkpoint(partner, theirs.size) != theirs:
            raise Refusal(Code.STATEMENT_MISMATCH, f"{partner} has signed another checkpoint of this size")


def _adjusted(line: DisputedLine, adjustment: Adjustment) -> AdjustedLine:
    values = {AdjustmentReason.UPHELD: line.value, AdjustmentReason.WAIVED: 0}
    return AdjustedLine(
        window=line.window,
        dec_seq=line.dec_seq,
        id=line.id,
        value=values.get(adjustment.reason, adjustment.value),
        reason=adjustment.reason,
    )
