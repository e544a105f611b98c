"""Agreements: proposed with one signature, accepted with the second, entered in both ledgers.

A signed document authenticates itself, so papers travel without credentials: a proposal to the partner's
`/peer/v1/proposals`, a complete agreement to its `/peer/v1/agreements`. What a partner has entered is sent to it again
after each start, and it answers the same each time; nothing about sending needs to be kept.
"""

import threading
from dataclasses import dataclass
from typing import Final, Literal

from node.engine.work import Work
from node.services.answers import Document, EntryAnswer
from node.services.channel.proposing import EnterWork, KeepWork
from node.services.context import Context
from node.services.conversions.rate_checks import RateReport, loops_in_grace, refuse_loops, report_of, still_counting
from node.services.conversions.terms import make_agreement
from node.services.pending import Pending
from node.services.refusals import NodeCode, NodeRefusal
from node.services.render import document_in, document_of
from node.services.requests import EndRequest, ProposalRequest, digest_request
from node.store.rows import Proposal, PutProposal
from protocol.agreement import (
    Agreement,
    SignedAgreement,
    agreement_digest,
    decode_signed_agreement,
    encode_signed_agreement,
    round_trip_multiplies,
    sign_agreement,
    verify_agreement,
)
from protocol.errors import AgreementInvalid, Code, Refusal
from protocol.identifiers import Digest, Ledger
from protocol.keys import Role
from protocol.ledger.commands import EndAgreement, EnterAgreement
from protocol.ledger.names import agreement_id, ended_id
from protocol.ledger.state import AGREEMENTS, PARTNERS, AgreementRecord, PartnerRecord

PROPOSALS_PER_PARTNER_MAX: Final = 64
PROPOSALS_PATH: Final = "/peer/v1/proposals"
AGREEMENTS_PATH: Final = "/peer/v1/agreements"


@dataclass(frozen=True, slots=True)
class Paper:
    """A signed document that a partner should have, the address to send it to, and when it was kept last."""

    partner: Ledger
    url: str
    document: bytes
    kept_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposalView:
    """A proposal that is not entered: `sent` was made here, `received` came from the partner."""

    digest: str
    partner: str
    direction: Literal["sent", "received"]
    received_at: str
    proposal: Document


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposalList:
    """All proposals that are not entered."""

    proposals: tuple[ProposalView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementView:
    """An agreement that was entered; it binds until `superseded_at`, `ends_at` or the document's own end."""

    digest: str
    partner: str
    number: int
    entered_at: str
    superseded_at: str | None
    ends_at: str | None
    agreement: Document


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementList:
    """All agreements, of all partners."""

    agreements: tuple[AgreementView, ...]


class AgreementsService:
    """Proposes, receives, accepts and lists agreements."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._changed = threading.Event()

    def propose(self, request: ProposalRequest) -> Pending[ProposalView]:
        """Sign an agreement on the given terms and keep it until the partner signs too; a repeat sends it again.

        Raises `approval_missing` where the program's terms ask for two people.
        """
        if self._context.terms.four_eyes:
            raise Refusal(Code.APPROVAL_MISSING, "two people must want this: propose it to a second person")
        return self._keep(self._signed(self.draft(request)), request.partner, "sent")

    def draft(self, request: ProposalRequest) -> Agreement:
        """Return the agreement on the given terms, which nobody has signed yet.

        Raises `assets_invalid` where this ledger could never enter it, `agreement_loop`, or `partner_unknown`.
        """
        own = self._context
        currencies = own.record.currencies
        if request.currency not in currencies:
            said = ", ".join(currencies) or "none"
            raise Refusal(Code.ASSETS_INVALID, f"this ledger does not settle in {request.currency}, but in: {said}")
        agreement = make_agreement(
            request,
            own=own.record,
            partner=self._partner(request.partner),
            current=own.reader.current_agreement(request.partner),
            now=own.now,
        )
        if not request.forced:
            self._refuse_loops(agreement)
        return agreement

    def kept(self, digest: Digest) -> Agreement:
        """Return the terms of a proposal that is not entered, or raise `proposal_unknown`."""
        return decode_signed_agreement(self._document(None, digest)).agreement

    def signing(self, agreement: Agreement, *, forced: bool) -> Work[object]:
        """Return the work that signs what two people want: it is entered if the partner has signed, else sent."""
        if not forced:
            self._refuse_loops(agreement)
        digest = agreement_digest(agreement)
        kept = self._context.reader.proposal(digest)
        if kept is not None:
            signed, partner = self._open(kept.document)
            if partner in [item.ledger for item in signed.signatures]:
                return self._entering(self._completed(signed), forced=forced, accepting=True)
        ours = self._signed(agreement)
        partner = agreement.other(self._context.ledger).ledger
        row = PutProposal(digest, partner, encode_signed_agreement(ours), self._context.now)
        return KeepWork(row, ours, ours=True)

    def receive_proposal(self, document: bytes) -> Pending[ProposalView]:
        """Keep a proposal that a partner signed, or raise a `ProtocolError` or `partner_unknown`."""
        signed, partner = self._open(document)
        if [item.ledger for item in signed.signatures] != [partner]:
            raise AgreementInvalid("a proposal carries its sender's signature alone")
        return self._keep(signed, partner, "received")

    def accept(self, proposal: bytes | None, digest: Digest | None, *, forced: bool) -> Pending[EntryAnswer]:
        """Sign a partner's proposal, given or received before, and enter it; its terms bind from then on.

        Raises `proposals_cross` through the answer at the first party, while a proposal of its own is out.
        """
        document = self._document(proposal, digest)
        signed, partner = self._open(document)
        if partner not in [item.ledger for item in signed.signatures]:
            raise Refusal(Code.AGREEMENT_INVALID, f"{partner} has not signed this proposal")
        if not forced:
            self._refuse_loops(signed.agreement)
        return self._enter(self._completed(signed), forced=forced, accepting=True)

    def receive_complete(self, document: bytes) -> Pending[EntryAnswer]:
        """Enter an agreement that a partner has completed: our own signature on it is our approval."""
        signed, _ = self._open(document)
        verify_agreement(signed, complete=True)
        return self._enter(signed, forced=round_trip_multiplies(signed.agreement), accepting=False)

    def end(self, request: EndRequest) -> Pending[EntryAnswer]:
        """Give notice: the agreement ends here and, as soon as the partner knows, there."""
        command = EndAgreement(
            id=ended_id(request.agreement, self._context.ledger),
            request=digest_request(self._context.digests, request),
            agreement=request.agreement,
            ends_at=request.ends_at,
        )
        return self._context.execute(command)

    def check(self, proposal: bytes | None, digest: Digest | None, *, at: str | None) -> RateReport:
        """Return what all agreements that still count, and a proposal given or kept, would do together."""
        given = proposal is not None or digest is not None
        document = self._document(proposal, digest) if given else None
        agreement = None if document is None else decode_signed_agreement(document).agreement
        known, now = self._known(), self._context.now
        # What is asked for one moment is answered by the rates of that moment.
        grace = () if agreement is None or at is not None else loops_in_grace(known, agreement, now=now)
        return report_of(still_counting(known, agreement, now=now), agreement, at=at, grace=grace)

    def show(self, digest: Digest) -> AgreementView:
        """Return one agreement, or raise `agreement_unknown`."""
        record = self._context.reader.record(AGREEMENTS, digest)
        if record is None:
            raise Refusal(Code.AGREEMENT_UNKNOWN, f"there is no agreement {digest}")
        return _view(digest, record)

    def all(self) -> AgreementList:
        """Return all agreements."""
        found = self._context.reader.agreements()
        return AgreementList(agreements=tuple(_view(digest, record) for digest, record in found))

    def proposals(self) -> ProposalList:
        """Return all proposals that are not entered."""
        return ProposalList(proposals=tuple(map(self._proposal_view, self._context.reader.proposals())))

    def papers(self) -> list[Paper]:
        """Return what partners with an address should have: own proposals, and the agreements that bind."""
        papers = []
        reader = self._context.reader
        for ledger, url in reader.partner_urls().items():
            if not url:
                continue  # A person carries it.
            current = reader.current_agreement(ledger)
            if current is not None:
                document = encode_signed_agreement(current[1].signed)
                papers.append(Paper(ledger, url.rstrip("/") + AGREEMENTS_PATH, document, current[1].entered_at))
            papers += [
                Paper(ledger, url.rstrip("/") + PROPOSALS_PATH, each.document, each.received_at)
                for each in reader.proposals()
                if each.partner == ledger and self._is_ours(decode_signed_agreement(each.document))
            ]
        return papers

    def wait(self, longest_seconds: float) -> None:
        """Sleep until there may be a new paper, or the time is over."""
        self._changed.wait(longest_seconds)
        self._changed.clear()

    def wake(self) -> None:
        """End a `wait` early."""
        self._changed.set()

    def _known(self) -> list[AgreementRecord]:
        return [record for _, record in self._context.reader.agreements()]

    def _refuse_loops(self, agreement: Agreement) -> None:
        known, now = self._known(), self._context.now
        grace = loops_in_grace(known, agreement, now=now)
        refuse_loops(still_counting(known, agreement, now=now), agreement, grace=grace)

    def _is_ours(self, signed: SignedAgreement) -> bool:
        return self._context.ledger in [item.ledger for item in signed.signatures]

    def _document(self, proposal: bytes | None, digest: Digest | None) -> bytes:
        if proposal is not None:
            return proposal
        found = None if digest is None else self._context.reader.proposal(digest)
        if found is None:
            raise NodeRefusal(NodeCode.PROPOSAL_UNKNOWN, f"there is no proposal {digest}")
        return found.document

    def _open(self, document: bytes) -> tuple[SignedAgreement, Ledger]:
        signed = decode_signed_agreement(document)
        partner = signed.agreement.other(self._context.ledger).ledger
        record = self._partner(partner)
        if signed.agreement.party(partner).keys != record.keys:
            raise Refusal(Code.PARTNER_MISMATCH, f"the document names other keys than {partner} is known by")
        verify_agreement(signed, complete=False)
        return signed, partner

    def _partner(self, ledger: Ledger) -> PartnerRecord:
        record = self._context.reader.record(PARTNERS, ledger)
        if record is None:
            raise Refusal(Code.PARTNER_UNKNOWN, f"there is no partner {ledger}")
        return record

    def _keep(
        self, signed: SignedAgreement, partner: Ledger, direction: Literal["sent", "received"]
    ) -> Pending[ProposalView]:
        digest = agreement_digest(signed.agreement)
        kept = [each for each in self._context.reader.proposals() if each.partner == partner]
        if len(kept) >= PROPOSALS_PER_PARTNER_MAX and digest not in {each.digest for each in kept}:
            raise NodeRefusal(NodeCode.PROPOSALS_FULL, f"{len(kept)} proposals with {partner} wait for an answer")
        document, now = encode_signed_agreement(signed), self._context.now
        view = ProposalView(
            digest=digest, partner=partner, direction=direction, received_at=now, proposal=document_in(document)
        )
        work = KeepWork(PutProposal(digest, partner, document, now), signed, ours=direction == "sent")
        future = self._context.writer.submit(work)
        future.add_done_callback(lambda _: self._changed.set())
        return Pending(future, lambda _: view)

    def _signed(self, agreement: Agreement) -> SignedAgreement:
        key = self._context.keyring.key(Role.APPROVAL)
        return SignedAgreement(
            agreement=agreement, signatures=(sign_agreement(agreement, ledger=self._context.ledger, key=key),)
        )

    def _completed(self, signed: SignedAgreement) -> SignedAgreement:
        """Return what the partner has signed with our signature beside its own."""
        theirs = [item for item in signed.signatures if item.ledger != self._context.ledger]
        both = sorted([*self._signed(signed.agreement).signatures, *theirs], key=lambda item: item.ledger)
        return SignedAgreement(agreement=signed.agreement, signatures=tuple(both))

    def _entering(self, signed: SignedAgreement, *, forced: bool, accepting: bool) -> EnterWork:
        digest = agreement_digest(signed.agreement)
        # Whoever enters it, by whatever way it came: the same document is the same request.
        command = EnterAgreement(id=agreement_id(digest), request=digest, signed=signed, forced=forced)
        own, papers = self._context.ledger, self._context.reader
        return EnterWork(command, digest, own=own, papers=papers, accepting=accepting)

    def _enter(self, signed: SignedAgreement, *, forced: bool, accepting: bool) -> Pending[EntryAnswer]:
        future = self._context.writer.submit(self._entering(signed, forced=forced, accepting=accepting))
        future.add_done_callback(lambda _: self._changed.set())
        return Pending(future, self._context.render_first)

    def _proposal_view(self, proposal: Proposal) -> ProposalView:
        signed = decode_signed_agreement(proposal.document)
        return ProposalView(
            digest=proposal.digest,
            partner=proposal.partner,
            direction="sent" if self._is_ours(signed) else "received",
            received_at=proposal.received_at,
            proposal=document_of(signed),
        )


def _view(digest: Digest, record: AgreementRecord) -> AgreementView:
    return AgreementView(
        digest=digest,
        partner=record.partner,
        number=record.signed.agreement.number,
        entered_at=record.entered_at,
        superseded_at=record.superseded_at,
        ends_at=record.ends_at,
        agreement=document_of(record.signed),
    )
