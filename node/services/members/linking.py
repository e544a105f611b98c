"""Links that our members begin: the member consents at the partner, and our node gets the link for the code.

What our node shows the partner of an exchange is drawn for it alone: it leads to nothing that another partner is told.
"""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Final
from urllib.parse import urlencode

import msgspec

from node.kinds import known
from node.ports import LinkReply, Links, TransportFailed
from node.services.access.tries import Tries
from node.services.answers import EntryAnswer
from node.services.at_once import AtOnce
from node.services.context import Context, WriteWork
from node.services.members.consents import LAPSED_ROWS, TRIES_SECONDS
from node.services.members.links import known_partner, verified_link
from node.services.pending import Pending
from node.services.refusals import NodeCode, NodeRefusal
from node.services.requests import RedeemCodeRequest, digest_request
from node.store.rows_members import DropRequest, LinkRequest
from protocol.consent import (
    LinkExchange,
    challenge_of,
    encode_url_safe,
    parse_typed,
    sign_exchange,
)
from protocol.errors import Code, Refusal
from protocol.fields import later
from protocol.identifiers import Account, Digest, Id, Ledger, id_from_random
from protocol.keys import Role
from protocol.ledger.commands import AcceptLink
from protocol.ledger.state import ACCOUNTS, IDS
from protocol.member_entries import limits_or_none

REQUEST_SECONDS: Final = 900
"""How long a member has to consent at the partner and come back."""
TYPED_TRIES: Final = 5
"""Wrong codes that an account may type in `TRIES_SECONDS`."""
EXCHANGES_AT_ONCE: Final = 4
"""Exchanges with one partner at once: one that does not answer keeps no more threads than that."""
_SECRET_BYTES: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class BeginLinkRequest:
    """Send a member to consent at `partner`, and back to `redirect_url`; `id` will be that of the link's entry."""

    id: Id
    account: Account
    partner: Ledger
    redirect_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkBegun:
    """Where the member's browser is sent to consent; `state` comes back with the code."""

    url: str
    state: str
    expires_at: str


class LinkingService:
    """Begins links, and gets them from partners for codes."""

    def __init__(self, context: Context, links: Links) -> None:
        self._context = context
        self._links = links
        self._tries = Tries(context.clock, most=TYPED_TRIES, seconds=TRIES_SECONDS)
        self._of_accounts, self._of_partners = AtOnce(each=1), AtOnce(each=EXCHANGES_AT_ONCE)

    def begin(self, request: BeginLinkRequest) -> Pending[LinkBegun]:
        """Begin a link of an account, or raise `redirect_unregistered`."""
        account, partner = request.account, request.partner
        known_partner(self._context, partner)
        self._check_account(account)
        pages = self._context.reader.link_pages(partner)
        if pages is None or pages.consent_url is None:
            raise NodeRefusal(NodeCode.REDIRECT_UNREGISTERED, f"nobody has said where members of {partner} consent")
        state, verifier = self._secret(), self._secret()
        expires_at = later(self._context.now, seconds=REQUEST_SECONDS)
        question = {
            "response_type": "code",
            "client_id": self._context.ledger,
            "redirect_uri": request.redirect_url,
            "state": state,
            "code_challenge": challenge_of(verifier),
            "code_challenge_method": "S256",
        }
        joint = "&" if "?" in pages.consent_url else "?"
        begun = LinkBegun(url=f"{pages.consent_url}{joint}{urlencode(question)}", state=state, expires_at=expires_at)
        row = LinkRequest(
            state=self._state_digest(state),
            id=request.id,
            account=account,
            partner=partner,
            verifier=verifier,
            expires_at=expires_at,
        )
        lapsed = self._context.reader.lapsed_requests(self._context.now, LAPSED_ROWS)
        future = self._context.writer.submit(WriteWork([*map(DropRequest, lapsed), row]))
        return Pending(future, lambda _: begun)

    def complete(self, *, state: str, code: str, account: Account | None) -> EntryAnswer:
        """Get the link for the code with which a member came back; with `account`, only if it began the link.

        Raises `link_request_unknown`, `consent_unknown`, `partner_unreachable`, `busy`, a `ProtocolError` or a
        `Refusal`.
        """
        kept = self._context.reader.link_request(self._state_digest(state))
        is_known = kept is not None and kept.expires_at > self._context.now and account in {None, kept.account}
        if kept is None or not is_known:
            raise NodeRefusal(NodeCode.LINK_REQUEST_UNKNOWN, "no such link was begun, or it is too long ago")
        request = RedeemCodeRequest(id=kept.id, account=kept.account, partner=kept.partner, code=code)
        with self._of_accounts.one(request.account):
            return self._redeem(request, verifier=kept.verifier)

    def redeem(self, request: RedeemCodeRequest) -> EntryAnswer:
        """Get the link for the code that a member has typed; raises as `complete`, and `consent_tries`."""
        known_partner(self._context, request.partner)
        self._check_account(request.account)
        # One code after the other: of many at once each would be tried before the first was known to be wrong.
        with self._of_accounts.one(request.account):
            return self._redeem_typed(request)

    def _redeem_typed(self, request: RedeemCodeRequest) -> EntryAnswer:
        self._tries.check(request.account)
        code = parse_typed(request.code)
        typed = RedeemCodeRequest(id=request.id, account=request.account, partner=request.partner, code=code)
        try:
            return self._redeem(typed, verifier=None)
        except NodeRefusal as refusal:
            if refusal.code == NodeCode.CONSENT_UNKNOWN:
                self._tries.fail(request.account)
            raise

    def _redeem(self, request: RedeemCodeRequest, *, verifier: str | None) -> EntryAnswer:
        digest = digest_request(self._context.digests, request)
        before = self._context.reader.record(IDS, request.id)
        if before is not None:
            return self._repeated(before.seq, digest == before.request)
        document = self._fetch(request, verifier)
        signed = verified_link(self._context, document)
        if signed.link.issuer != request.partner:
            raise Refusal(Code.PARTNER_MISMATCH, "the link is another partner's")
        command = AcceptLink(
            id=request.id,
            request=digest,
            account=request.account,
            partner=signed.link.issuer,
            alias=signed.link.alias,
            limits=limits_or_none(signed.link.limits),
        )
        return self._context.execute(command).result()

    def _repeated(self, seq: int, same: bool) -> EntryAnswer:  # noqa: FBT001 - what was found out
        if not same:
            raise Refusal(Code.ID_REUSED, "the id was used for something else")
        sealed = self._context.entry(seq)
        assert sealed is not None, "an id's entry exists"
        return self._context.render(sealed)

    def _fetch(self, request: RedeemCodeRequest, verifier: str | None) -> bytes:
        partner = known_partner(self._context, request.partner)
        url = self._context.reader.partner_url(request.partner)
        if not url:
            raise NodeRefusal(NodeCode.PARTNER_UNREACHABLE, f"{request.partner} listens nowhere")
        exchange = LinkExchange(
            network=partner.network,
            sender=self._context.ledger,
            receiver=request.partner,
            id=self._exchange_id(request.id),
            code=request.code,
            verifier=verifier,
        )
        data = sign_exchange(exchange, key=self._context.keyring.key(Role.CHANNEL))
        try:
            with self._of_partners.one(request.partner):
                reply = self._links.exchange(url, data)
        except TransportFailed as error:
            raise NodeRefusal(NodeCode.PARTNER_UNREACHABLE, f"{request.partner} cannot be reached: {error}") from error
        return _link_in(reply, request.partner)

    def _exchange_id(self, link_id: Id) -> Id:
        """Return the id by which the partner knows a repeat: the same for the same link, and nobody else's."""
        digest = self._context.digests.digest("link_exchange", {"id": link_id})
        return id_from_random(bytes.fromhex(digest)[:16])

    def _check_account(self, account: Account) -> None:
        if self._context.reader.record(ACCOUNTS, account) is None:
            raise Refusal(Code.ACCOUNT_UNKNOWN, f"there is no account {account}")

    def _state_digest(self, state: str) -> Digest:
        return self._context.digests.digest("link_state", {"state": state})

    def _secret(self) -> str:
        return encode_url_safe(self._context.randomness.token(_SECRET_BYTES))


class _Problem(msgspec.Struct, frozen=True):
    code: str = ""


def _link_in(reply: LinkReply, partner: Ledger) -> bytes:
    if reply.status == HTTPStatus.OK:
        return reply.body
    said = _code_in(reply.body)
    if said == NodeCode.CONSENT_UNKNOWN:
        raise NodeRefusal(NodeCode.CONSENT_UNKNOWN, "the code is wrong, was used, or is too old")
    if said == NodeCode.CONSENT_TRIES:
        raise NodeRefusal(NodeCode.CONSENT_TRIES, f"{partner} takes no more codes for now; wait ten minutes")
    raise NodeRefusal(NodeCode.PARTNER_UNREACHABLE, f"{partner} answered {reply.status}")


def _code_in(body: bytes) -> str:
    try:
        return msgspec.json.decode(body, type=known(_Problem)).code
    except msgspec.MsgspecError:
        return ""
