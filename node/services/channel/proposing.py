"""The works of proposals: one is kept until it is entered, or entered, and two that cross never become two agreements.

Of the two parties, in the order of an agreement's parties, the first one may not accept the partner's proposal while
one of its own with that number is out: the partner may have accepted that, and both would enter another agreement.
"""

from collections.abc import Iterator
from typing import Final, Protocol

import structlog

from node.engine.work import Answer, Desk
from node.services.channel.body_commands import command_for
from node.services.refusals import NodeCode, NodeRefusal
from node.store.rows import DeleteProposal, Proposal, PutProposal, ReceivedBody
from protocol.agreement import SignedAgreement, decode_signed_agreement
from protocol.errors import Code, Refusal
from protocol.identifiers import Digest, Ledger
from protocol.ledger import rules
from protocol.ledger.commands import EnterAgreement
from protocol.ledger.names import ended_id
from protocol.ledger.state import AGREEMENTS, CURRENT, IDS
from protocol.ledger.view import Need, Overlay, need
from protocol.messages import End, body_digest, decode_body

_END: Final = "end"
_ENDS_MAX: Final = 1_024
"""Notices of one partner that are looked through: no honest one ends as many agreements."""

_LOG: Final = structlog.get_logger()

_CROSSED = (
    "a proposal of this ledger with number {number} is out, and {partner} may have accepted it: wait for its answer, "
    "or propose again on the partner's terms for it to accept (of two that cross, {own} proposes and {partner} accepts)"
)


class Papers(Protocol):
    """What the store tells about what has come before an agreement."""

    def proposals(self) -> list[Proposal]:
        """Return the agreements that are proposed and not yet entered, oldest first."""

    def bodies_received(self, partner: Ledger, kind: str, *, from_number: int, limit: int) -> list[bytes]:
        """Return bodies of a kind that `partner` has sent us, from the message `from_number` on."""


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

    def __init__(
        self, command: EnterAgreement, digest: Digest, *, own: Ledger, papers: Papers, accepting: bool
    ) -> None:
        """Enter it; where it is this ledger that is `accepting` it now, it must not cross a proposal of its own."""
        self._command = command
        self._digest = digest
        self._own = own
        self._papers = papers
        self._accepting = accepting
        self._partner = command.signed.agreement.other(own).ledger

    def needs(self, view: Overlay) -> Iterator[Need]:
        """Yield what the command reads, and what the partner's notice of the agreement's end would."""
        yield from rules.needs(view, self._command)
        yield need(IDS, ended_id(self._digest, self._partner))

    def run(self, desk: Desk) -> list[Answer]:
        """Enter the agreement, and with it the notice of its end that has come before it."""
        answer = desk.execute(self._command)
        if self._accepting and not answer.repeated:
            # What is refused now was never done: the work's effects are taken back as one.
            self._check_crossed(desk)
        desk.stage(DeleteProposal(self._digest))
        return [answer, *self._take_end(desk)]

    def _take_end(self, desk: Desk) -> Iterator[Answer]:
        """Enter the partner's notice that came when the agreement, which travels another way, was not here yet."""
        staged = (
            write.body
            for write in desk.staged()
            if isinstance(write, ReceivedBody) and (write.partner, write.kind) == (self._partner, _END)
        )
        before = self._papers.bodies_received(self._partner, _END, from_number=0, limit=_ENDS_MAX)
        for data in (*before, *staged):
            body = decode_body(data)
            if isinstance(body, End) and body.agreement == self._digest:
                command = command_for(body, body_digest(data))
                assert command is not None, "an END asks for something"
                try:
                    yield desk.execute(command)
                except Refusal as refusal:
                    _LOG.warning("notice_refused", partner=self._partner, agreement=self._digest, code=refusal.code)
                return

    def _check_crossed(self, desk: Desk) -> None:
        agreement, partner = self._command.signed.agreement, self._partner
        if partner < self._own:
            return
        staged = (write.document for write in desk.staged() if isinstance(write, PutProposal))
        for document in (*(each.document for each in self._papers.proposals()), *staged):
            signed = decode_signed_agreement(document)
            proposer = signed.signatures[0].ledger
            of_pair = signed.agreement.parties == agreement.parties
            if of_pair and proposer == self._own and signed.agreement.number == agreement.number:
                text = _CROSSED.format(number=agreement.number, own=self._own, partner=partner)
                raise NodeRefusal(NodeCode.PROPOSALS_CROSS, text)
