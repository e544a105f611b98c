"""Consents of our members to links: a one-time code each, which the partner's node exchanges for the signed link.

What is kept of a code is a keyed digest. A consent enters nothing into the ledger: the exchange does.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import urlencode

from node.engine.work import Answer, Desk
from node.services.access.tries import Tries
from node.services.context import Context, WriteWork
from node.services.members.links import issue_command, known_partner, link_document
from node.services.pending import Pending
from node.services.refusals import NodeCode, NodeRefusal
from node.services.requests import IssueLinkRequest
from node.store.rows_members import DropConsent, ErasePerson, LinkConsent, LinkPages
from protocol.agreement import key_of
from protocol.consent import (
    CODE_BYTES,
    TYPED_CHARACTERS,
    LinkExchange,
    challenge_of,
    encode_url_safe,
    parse_exchange,
    show_typed,
    typed_code,
    verify_exchange,
)
from protocol.documents import LinkLimits
from protocol.errors import Code, Refusal
from protocol.fields import later
from protocol.identifiers import Account, Digest, Ledger, id_from_random
from protocol.keys import Role
from protocol.ledger import rules
from protocol.ledger.commands import IssueLink
from protocol.ledger.state import ACCOUNTS, AccountStatus
from protocol.ledger.view import Need, Overlay

CODE_SECONDS: Final = 120
"""How long the code of a redirect lives."""
TYPED_SECONDS: Final = 600
"""How long a code lives that is read and typed."""
TYPED_TRIES: Final = 100
"""Wrong typed codes that a partner may show in `TRIES_SECONDS`."""
TRIES_SECONDS: Final = 600.0
LAPSED_ROWS: Final = 256
_DRAWN_BYTES: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentRequest:
    """A member consents to be known to `partner` by an alias, within `limits`."""

    account: Account
    partner: Ledger
    limits: LinkLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class RedirectRequest(ConsentRequest):
    """What the partner's node has put into the address by which its member came (RFC 6749 §4.1.1, RFC 7636 §4.3)."""

    redirect_url: str
    state: str
    challenge: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentView:
    """A one-time code, and where the member's browser is sent with it."""

    code: str
    redirect_to: str
    expires_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TypedCodeView:
    """A code for the member to type at the partner."""

    code: str
    expires_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkPagesView:
    """Where a partner's members consent to links, and where it wants ours to be sent back to."""

    partner: str
    consent_url: str | None
    redirect_url: str | None


class ExchangeWork:
    """Issues the link of a consent, once: whoever asks again in the same exchange is told the same."""

    def __init__(self, context: Context, exchange: LinkExchange, digest: str) -> None:
        """Exchange what is kept under the code's `digest`."""
        self._context = context
        self._exchange = exchange
        self._digest = digest
        kept = context.reader.link_consent(digest)
        self._command = None if kept is None else self._issue(kept)

    def _issue(self, consent: LinkConsent) -> IssueLink:
        return issue_command(
            self._context,
            IssueLinkRequest(
                id=consent.id,
                account=consent.account,
                partner=consent.partner,
                until=consent.link_until,
                conversions_max=consent.link_conversions,
                points_max=consent.link_points,
            ),
        )

    def needs(self, view: Overlay) -> Iterator[Need]:
        """Yield what issuing the link reads."""
        if self._command is not None:
            yield from rules.needs(view, self._command)

    def run(self, desk: Desk) -> Answer:
        """Issue the link, or raise `consent_unknown` for a code that is wrong, spent, late or another partner's."""
        consent, exchange = self._kept(desk.staged()), self._exchange
        if consent is None or self._command is None or not self._is_for(consent):
            raise _unknown()
        answer = desk.execute(self._command)
        desk.stage(replace(consent, spent_by=exchange.id))
        return answer

    def _kept(self, staged: Sequence[object]) -> LinkConsent | None:
        """Return the consent as the works before this one have left it."""
        kept = self._context.reader.link_consent(self._digest)
        for write in staged:
            if isinstance(write, LinkConsent) and write.code == self._digest:
                kept = write
            elif isinstance(write, ErasePerson) and kept is not None and write.account == kept.account:
                kept = None
        return kept

    def _is_for(self, consent: LinkConsent) -> bool:
        exchange = self._exchange
        if consent.partner != exchange.sender:
            return False
        proved = None if exchange.verifier is None else challenge_of(exchange.verifier)
        if proved != consent.challenge:
            return False
        if consent.spent_by is not None:
            return consent.spent_by == exchange.id
        return self._context.now < consent.expires_at


class ConsentsService:
    """Takes our members' consents, and exchanges their codes for links."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._tries = Tries(context.clock, most=TYPED_TRIES, seconds=TRIES_SECONDS)

    def set_pages(
        self, partner: Ledger, *, consent_url: str | None, redirect_url: str | None
    ) -> Pending[LinkPagesView]:
        """Keep where links with a partner are consented to, or raise `partner_unknown`."""
        known_partner(self._context, partner)
        pages = LinkPages(partner=partner, consent_url=consent_url, redirect_url=redirect_url)
        future = self._context.writer.submit(WriteWork([pages]))
        return Pending(future, lambda _: _pages_view(pages))

    def pages(self, partner: Ledger) -> LinkPagesView:
        """Return where links with a partner are consented to, or raise `partner_unknown`."""
        known_partner(self._context, partner)
        kept = self._context.reader.link_pages(partner)
        return _pages_view(kept or LinkPages(partner=partner, consent_url=None, redirect_url=None))

    def consent(self, request: RedirectRequest) -> Pending[ConsentView]:
        """Take a member's consent and return the code with which its browser goes back to the partner.

        Raises `redirect_unregistered` unless it goes where the partner is known to want it.
        """
        known = self.pages(request.partner).redirect_url
        if known is None or known != request.redirect_url:
            raise NodeRefusal(
                NodeCode.REDIRECT_UNREGISTERED, f"{request.partner} is not known to want members back there"
            )
        code = encode_url_safe(self._context.randomness.token(CODE_BYTES))
        expires_at = later(self._context.now, seconds=CODE_SECONDS)
        answer = {"code": code, "state": request.state}
        joint = "&" if "?" in known else "?"
        view = ConsentView(code=code, redirect_to=f"{known}{joint}{urlencode(answer)}", expires_at=expires_at)
        return self._keep(request, code, request.challenge, expires_at).then(lambda _: view)

    def code(self, request: ConsentRequest) -> Pending[TypedCodeView]:
        """Take a member's consent and return the code that it types at the partner."""
        code = None
        while code is None:
            code = typed_code(self._context.randomness.token(_DRAWN_BYTES))
        expires_at = later(self._context.now, seconds=TYPED_SECONDS)
        view = TypedCodeView(code=show_typed(code), expires_at=expires_at)
        return self._keep(request, code, None, expires_at).then(lambda _: view)

    def exchange(self, document: bytes) -> bytes:
        """Return the signed link for a partner's signed exchange, or raise `consent_unknown` or a `ProtocolError`."""
        signed = parse_exchange(document)
        exchange = signed.exchange
        partner = known_partner(self._context, exchange.sender)
        if exchange.network != partner.network or exchange.receiver != self._context.ledger:
            raise Refusal(Code.PARTNER_MISMATCH, "the exchange is for another ledger or network")
        verify_exchange(signed, key=key_of(partner.keys, Role.CHANNEL))
        is_typed = len(exchange.code) == TYPED_CHARACTERS
        if is_typed:
            self._tries.check(exchange.sender)
        work = ExchangeWork(self._context, exchange, self._digest(exchange.sender, exchange.code))
        try:
            answer = self._context.writer.submit(work).result()
        except NodeRefusal:
            if is_typed:
                self._tries.fail(exchange.sender)
            raise
        return link_document(self._context, answer.sealed.entry.seq)

    def _keep(self, request: ConsentRequest, code: str, challenge: str | None, expires_at: str) -> Pending[None]:
        known_partner(self._context, request.partner)
        record = self._context.reader.record(ACCOUNTS, request.account)
        if record is None:
            raise Refusal(Code.ACCOUNT_UNKNOWN, f"there is no account {request.account}")
        if record.status is AccountStatus.CLOSED:
            raise Refusal(Code.ACCOUNT_CLOSED, f"the account {request.account} is closed")
        row = LinkConsent(
            code=self._digest(request.partner, code),
            id=id_from_random(self._context.randomness.token(16)),
            account=request.account,
            partner=request.partner,
            challenge=challenge,
            expires_at=expires_at,
            link_until=request.limits.until,
            link_conversions=request.limits.conversions,
            link_points=request.limits.points,
            spent_by=None,
        )
        # What is long over goes when something new comes, so that nothing has to sweep.
        long_ago = later(self._context.now, seconds=-int(TRIES_SECONDS))
        lapsed = self._context.reader.lapsed_consents(long_ago, LAPSED_ROWS)
        future = self._context.writer.submit(WriteWork([*map(DropConsent, lapsed), row]))
        return Pending(future, lambda _: None)

    def _digest(self, partner: Ledger, code: str) -> Digest:
        return self._context.digests.digest("link_code", {"partner": partner, "code": code})


def _unknown() -> NodeRefusal:
    return NodeRefusal(NodeCode.CONSENT_UNKNOWN, "the code is wrong, was used, or is too old")


def _pages_view(pages: LinkPages) -> LinkPagesView:
    return LinkPagesView(partner=pages.partner, consent_url=pages.consent_url, redirect_url=pages.redirect_url)
