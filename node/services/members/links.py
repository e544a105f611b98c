"""Account links: a member's account here and there, joined by a random alias that one partner alone is told."""

from dataclasses import dataclass
from typing import Final, Literal

from node.services.answers import EntryAnswer, LinkAnswer, LinkIssuedAnswer
from node.services.context import Context
from node.services.pending import Pending
from node.services.render import document_in
from node.services.requests import AcceptLinkRequest, IssueLinkRequest, RevokeLinkRequest, digest_request
from protocol.agreement import key_of
from protocol.documents import AccountLink, LinkLimits, SignedLink, parse_link, sign_link, verify_link
from protocol.entries import LinkIssued, unseal
from protocol.errors import Code, Refusal
from protocol.fields import later
from protocol.identifiers import Account, Alias, Ledger
from protocol.keys import Role
from protocol.ledger.commands import AcceptLink, IssueLink, RevokeLink
from protocol.ledger.names import unlinked_id
from protocol.ledger.state import PARTNERS, AcceptedLink, IssuedLink, PartnerRecord
from protocol.member_entries import LinkWay, UnlinkReason, limits_or_none

ALIAS_BYTES: Final = 16
_HOUR_SECONDS: Final = 3_600

Way = Literal["issued", "accepted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkView:
    """A link of an account: `issued` receives from the partner, `accepted` sends to it.

    `state` is `active`, `revoked`, `expired` or `used` (as often as it may be). Until `cooling_off_until`, no large
    conversion goes over it.
    """

    direction: Way
    partner: str
    alias: str
    state: Literal["active", "revoked", "expired", "used"]
    until: str | None
    conversions_left: int | None
    points_left: int | None
    cooling_off_until: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkList:
    """All links of an account."""

    links: tuple[LinkView, ...]


class LinksService:
    """Issues, accepts and revokes account links."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def issue(self, request: IssueLinkRequest) -> Pending[LinkIssuedAnswer]:
        """Give an account an alias for one partner; the answer carries the link signed for it."""
        pending = self._context.execute(issue_command(self._context, request))
        return pending.then(self._with_document)

    def accept(self, request: AcceptLinkRequest) -> Pending[EntryAnswer]:
        """Join an account with what a partner's link stands for, or raise a `ProtocolError` or `Refusal`."""
        signed = verified_link(self._context, request.document.encode())
        digest = digest_request(self._context.digests, request)
        command = AcceptLink(
            id=request.id,
            request=digest,
            occurred_on=request.occurred_on,
            account=request.account,
            partner=signed.link.issuer,
            alias=signed.link.alias,
            limits=limits_or_none(signed.link.limits),
        )
        return self._context.execute(command)

    def revoke(self, request: RevokeLinkRequest) -> Pending[EntryAnswer]:
        """End a link of an account from now on, and tell the partner."""
        return self._context.execute(revoke_command(self._context, request))

    def of_account(self, account: Account) -> LinkList:
        """Return the links of an account, those that have ended too."""
        reader = self._context.reader
        issued = [self._issued(partner, alias, link) for partner, alias, link in reader.issued_links(account)]
        accepted = [self._accepted(partner, link) for partner, link in reader.accepted_links(account)]
        return LinkList(links=tuple(issued + accepted))

    def _issued(self, partner: Ledger, alias: Alias, link: IssuedLink) -> LinkView:
        used = link.conversions_left == 0 or link.points_left == 0
        return LinkView(
            direction="issued",
            partner=partner,
            alias=alias,
            state=self._state(link, used=used),
            until=link.until,
            conversions_left=link.conversions_left,
            points_left=link.points_left,
            cooling_off_until=None,
        )

    def _accepted(self, partner: Ledger, link: AcceptedLink) -> LinkView:
        cool_at = later(link.accepted_at, seconds=self._context.terms.links.cooling_off_hours * _HOUR_SECONDS)
        return LinkView(
            direction="accepted",
            partner=partner,
            alias=link.alias,
            state=self._state(link, used=False),
            until=link.until,
            conversions_left=None,
            points_left=None,
            cooling_off_until=cool_at if cool_at > self._context.now else None,
        )

    def _state(self, link: IssuedLink | AcceptedLink, *, used: bool) -> Literal["active", "revoked", "expired", "used"]:
        if link.revoked_seq is not None:
            return "revoked"
        if link.until is not None and link.until <= self._context.now:
            return "expired"
        return "used" if used else "active"

    def _with_document(self, answer: EntryAnswer) -> LinkIssuedAnswer:
        assert isinstance(answer, LinkAnswer), "a link was issued"
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
            limits=answer.limits,
            document=document_in(link_document(self._context, answer.seq)),
        )


def known_partner(context: Context, ledger: Ledger) -> PartnerRecord:
    """Return a partner, or raise `partner_unknown`."""
    record = context.reader.record(PARTNERS, ledger)
    if record is None:
        raise Refusal(Code.PARTNER_UNKNOWN, f"there is no partner {ledger}")
    return record


def issue_command(context: Context, request: IssueLinkRequest) -> IssueLink:
    """Return the command that issues a link, with an alias of its own."""
    # The alias is drawn anew each time and is no part of the request: a repeat is answered with the stored one.
    return IssueLink(
        id=request.id,
        request=digest_request(context.digests, request),
        occurred_on=request.occurred_on,
        account=request.account,
        partner=request.partner,
        alias=Alias(context.randomness.token(ALIAS_BYTES).hex()),
        limits=LinkLimits(until=request.until, conversions=request.conversions_max, points=request.points_max),
    )


def revoke_command(
    context: Context, request: RevokeLinkRequest, reason: UnlinkReason = UnlinkReason.REVOKED
) -> RevokeLink:
    """Return the command that ends a link by this side's word."""
    own, partner = context.ledger, request.partner
    issuer = own if request.direction == LinkWay.ISSUED.value else partner
    return RevokeLink(
        id=unlinked_id(issuer, request.alias, by=own, reason=reason),
        request=digest_request(context.digests, request),
        account=request.account,
        partner=partner,
        issuer=issuer,
        alias=request.alias,
        reason=reason,
    )


def verified_link(context: Context, document: bytes) -> SignedLink:
    """Return a partner's link for this ledger, or raise a `ProtocolError` or `Refusal`."""
    signed = parse_link(document)
    if signed.link.issuer == context.ledger:
        raise Refusal(Code.PARTNER_UNKNOWN, f"the link was issued here: it is accepted at {signed.link.audience}")
    partner = known_partner(context, signed.link.issuer)
    if signed.link.network != partner.network or signed.link.audience != context.ledger:
        raise Refusal(Code.PARTNER_MISMATCH, "the link was issued for another ledger or network")
    verify_link(signed, key=key_of(partner.keys, Role.CHANNEL))
    return signed


def link_document(context: Context, seq: int) -> bytes:
    """Return the signed link that the entry `seq` issued: the same bytes each time, for Ed25519 is deterministic."""
    data = context.reader.entry(seq)
    assert data is not None, "the entry was answered"
    entry = unseal(data).entry
    assert isinstance(entry, LinkIssued), "a link was issued"
    link = AccountLink(
        network=known_partner(context, entry.partner).network,
        issuer=context.ledger,
        audience=entry.partner,
        alias=entry.alias,
        issued_at=entry.time,
        limits=entry.limits,
    )
    return sign_link(link, key=context.keyring.key(Role.CHANNEL))
