"""Account links: a member's account here and there, joined by a random alias that one partner alone is told."""

from dataclasses import dataclass
from typing import Final, Literal

from node.services.answers import EntryAnswer, LinkAnswer, LinkIssuedAnswer, Pending
from node.services.context import Context
from node.services.render import document_in
from node.services.requests import AcceptLinkRequest, IssueLinkRequest, digest_request
from protocol.agreement import key_of
from protocol.documents import AccountLink, parse_link, sign_link, verify_link
from protocol.errors import Code, Refusal
from protocol.identifiers import Account, Alias, Ledger, Network
from protocol.keys import Role
from protocol.ledger.commands import AcceptLink, IssueLink
from protocol.ledger.state import PARTNERS, PartnerRecord

ALIAS_BYTES: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkView:
    """A link of an account: `issued` receives from the partner, `accepted` sends to it."""

    direction: Literal["issued", "accepted"]
    partner: str
    alias: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkList:
    """All links of an account."""

    links: tuple[LinkView, ...]


class LinksService:
    """Issues and accepts account links."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def issue(self, request: IssueLinkRequest) -> Pending[LinkIssuedAnswer]:
        """Give an account an alias for one partner; the answer carries the link signed for it."""
        # The alias is drawn anew each time and is no part of the request: a repeat is answered with the stored one.
        command = IssueLink(
            id=request.id,
            request=digest_request(self._context.digests, request),
            occurred_on=request.occurred_on,
            account=request.account,
            partner=request.partner,
            alias=Alias(self._context.randomness.token(ALIAS_BYTES).hex()),
        )
        pending = self._context.execute(command)
        return pending.then(self._with_document)

    def accept(self, request: AcceptLinkRequest) -> Pending[EntryAnswer]:
        """Join an account with what a partner's link stands for, or raise a `ProtocolError` or `Refusal`."""
        signed = parse_link(request.document.encode())
        link = signed.link
        partner = self._partner(link.issuer)
        if link.network != partner.network or link.audience != self._context.ledger:
            raise Refusal(Code.PARTNER_MISMATCH, "the link was issued for another ledger or network")
        verify_link(signed, key=key_of(partner.keys, Role.CHANNEL))
        return self._context.execute(
            AcceptLink(
                id=request.id,
                request=digest_request(self._context.digests, request),
                occurred_on=request.occurred_on,
                account=request.account,
                partner=link.issuer,
                alias=link.alias,
            )
        )

    def of_account(self, account: Account) -> LinkList:
        """Return the links of an account."""
        reader = self._context.reader
        issued = [
            LinkView(direction="issued", partner=partner, alias=alias)
            for partner, alias, _ in reader.issued_links(account)
        ]
        accepted = [
            LinkView(direction="accepted", partner=partner, alias=link.alias)
            for partner, link in reader.accepted_links(account)
        ]
        return LinkList(links=tuple(issued + accepted))

    def _partner(self, ledger: Ledger) -> PartnerRecord:
        record = self._context.reader.record(PARTNERS, ledger)
        if record is None:
            raise Refusal(Code.PARTNER_UNKNOWN, f"there is no partner {ledger}")
        return record

    def _with_document(self, answer: EntryAnswer) -> LinkIssuedAnswer:
        assert isinstance(answer, LinkAnswer), "a link was issued"
        network = self._partner(Ledger(answer.partner)).network
        return LinkIssuedAnswer(
            id=answer.id,
            kind=answer.kind,
            seq=answer.seq,
            leaf=answer.leaf,
            time=answer.time,
            occurred_on=answer.occurred_on,
            account=answer.account,
            partner=answer.partner,
            alias=answer.alias,
            document=document_in(self._signed(answer, network)),
        )

    def _signed(self, answer: LinkAnswer, network: Network) -> bytes:
        link = AccountLink(
            network=network,
            issuer=self._context.ledger,
            audience=Ledger(answer.partner),
            alias=Alias(answer.alias),
            issued_at=answer.time,
        )
        # Ed25519 is deterministic, so the same entry leads to the same paper.
        return sign_link(link, key=self._context.keyring.key(Role.CHANNEL))
