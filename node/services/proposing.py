"""The works of proposals: one is kept until it is entered, or entered, and two that cross never become two agreements.

Of the two parties, in the order of an agreement's parties, the first one may not accept the partner's proposal while
one of its own with that number is out: the partner may have accepted that, and both would enter another agreement.
"""

from collections.abc import Iterator
from typing import Protocol

from node.engine.work import Answer, Desk
from node.services.refusals import NodeCode, NodeRefusal
from node.store.rows import DeleteProposal, Proposal, PutProposal
from protocol.agreement import SignedAgreement, decode_signed_agreement
from protocol.errors import Code, Refusal
from protocol.identifiers import Digest, Ledger
from protocol.ledger import rules
from protocol.ledger.commands import EnterAgreement
from protocol.ledger.state import AGREEMENTS, CURRENT
from protocol.ledger.view import Need, Overlay, need

_CROSSED = (
    "a proposal of this ledger with number {number} is out, and {partner} may have accepted it: wait for its answer, "
    "or propose again on the partner's terms for it to accept (of two that cross, {own} proposes and {partner} accepts)"
)


class Proposals(Protocol):
    """What the store tells about proposals."""

    def proposals(self) -> list[Proposal]:
        """Return the agreements that are proposed and not yet entered, oldest first."""


class KeepWork:
    """Keeps a proposal, unless it was entered while it was on its way."""

    def __init__(self, proposal: PutProposal, signed: SignedAgreement, *, ours: bool) -> None:
        """Keep `proposal`; one of `ours` must follow what is entered when it is kept."""
        self._proposal = proposal
        self._number = signed.agreement.number
        self._supersedes = signed.agreement.supersedes
        self._ours = ours

    def needs(self, _view: Overlay) -> Iterator[Need]:
        """Yield the agreement that it may have become, and the one that it follows."""
        yield need(AGREEMENTS, self._proposal.digest)
        yield need(CURRENT, self._proposal.partner)

    def run(self, desk: Desk) -> None:
        """Keep the proposal."""
        if desk.find(AGREEMENTS, self._proposal.digest) is not None:
            return
        current = desk.find(CURRENT, self._proposal.partner)
        if self._ours and self._supersedes != (None if current is None else current.digest):
            raise Refusal(Code.AGREEMENT_EXISTS, f"an agreement {self._number} has been entered meanwhile")
        desk.stage(self._proposal)


class EnterWork:
    """Enters a complete agreement; its proposal is done with."""

    def __init__(self, command: EnterAgreement, digest: Digest, *, own: Ledger, accepting: Proposals | None) -> None:
        """Enter it; `accepting` are the proposals that are kept, where it is this ledger that accepts it now."""
        self._command = command
        self._digest = digest
        self._own = own
        self._kept = accepting

    def needs(self, view: Overlay) -> Iterator[Need]:
        """Yield what the command reads."""
        yield from rules.needs(view, self._command)

    def run(self, desk: Desk) -> list[Answer]:
        """Enter the agreement."""
        answer = desk.execute(self._command)
        if self._kept is not None and not answer.repeated:
            # What is refused now was never done: the work's effects are taken back as one.
            self._check_crossed(desk, self._kept)
        desk.stage(DeleteProposal(self._digest))
        return [answer]

    def _check_crossed(self, desk: Desk, kept: Proposals) -> None:
        agreement = self._command.signed.agreement
        partner = agreement.other(self._own).ledger
        if partner < self._own:
            return
        staged = (write.document for write in desk.staged() if isinstance(write, PutProposal))
        for document in (*(each.document for each in kept.proposals()), *staged):
            signed = decode_signed_agreement(document)
            proposer = signed.signatures[0].ledger
            of_pair = signed.agreement.parties == agreement.parties
            if of_pair and proposer == self._own and signed.agreement.number == agreement.number:
                text = _CROSSED.format(number=agreement.number, own=self._own, partner=partner)
                raise NodeRefusal(NodeCode.PROPOSALS_CROSS, text)
