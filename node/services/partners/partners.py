"""Partners: invitations out, invitations in, and what is known of each."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Literal

from node.engine.work import Answer, Desk
from node.services.answers import Document, EntryAnswer, PartnerAcceptedAnswer, PartnerAnswer
from node.services.context import Context
from node.services.conversions.exposures import ExposureView, exposures
from node.services.pending import Pending
from node.services.refusals import NodeCode, NodeRefusal
from node.services.render import document_in, fingerprint_of
from node.services.requests import PartnerRequest, digest_request
from node.store.rows import PartnerUrl
from protocol.documents import Introduction, open_invitation, sign_invitation
from protocol.identifiers import Ledger, Network
from protocol.keys import Role
from protocol.ledger import rules
from protocol.ledger.commands import AddPartner
from protocol.ledger.names import partner_id
from protocol.ledger.state import PartnerRecord
from protocol.ledger.view import Need, Overlay

NETWORK_SETTING: Final = "network"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """How it goes with a partner: `ready` both ways, `waiting` for its first answer, or `behind` its own words."""

    channel: Literal["ready", "waiting", "behind"]
    last_contact: str | None


ContactOf = Callable[[Ledger], Contact]


@dataclass(frozen=True, slots=True, kw_only=True)
class PartnerView:
    """A partner: `agreement` is the digest of the one that binds, `fingerprint` what operators read aloud.

    `exposure` has both directions once there is an agreement; nothing new begins with one that is
    `suspended`, and nothing at all with one that has `ended`.
    """

    ledger: str
    points: str
    network: str
    url: str | None
    fingerprint: str
    agreement: str | None
    last_contact: str | None
    channel: Literal["ready", "waiting", "behind"]
    suspended: bool
    ended: bool
    exposure: tuple[ExposureView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PartnerList:
    """All partners."""

    partners: tuple[PartnerView, ...]


class AcceptPartner:
    """Knows a partner by its keys and sets where it listens; a repeat may move it to another address."""

    def __init__(self, command: AddPartner, url: PartnerUrl) -> None:
        self._command = command
        self._url = url

    def needs(self, view: Overlay) -> Iterator[Need]:
        """Yield what the command reads."""
        yield from rules.needs(view, self._command)

    def run(self, desk: Desk) -> list[Answer]:
        """Add the partner unless it is known by these keys, and set its address."""
        answer = desk.execute(self._command)
        desk.stage(self._url)
        return [answer]


class PartnersService:
    """Invites and accepts partners."""

    def __init__(self, context: Context, *, url: str, contact_of: ContactOf) -> None:
        self._context = context
        self._url = url
        self._contact_of = contact_of

    def invitation(self, network: Network | None) -> Document:
        """Return this node's signed invitation to `network`, or to its own."""
        introduction = Introduction(
            network=network or self._own_network(),
            ledger=self._context.ledger,
            points=self._context.record.points,
            currencies=self._context.record.currencies,
            url=self._url or None,
            keys=self._context.record.keys,
        )
        return document_in(sign_invitation(introduction, key=self._context.keyring.key(Role.APPROVAL)))

    def accept(self, invitation: bytes, *, fingerprint: str | None) -> Pending[PartnerAcceptedAnswer]:
        """Know the ledger that `invitation` introduces, or raise.

        Raises a `ProtocolError` for an invitation that does not hold, and `fingerprint_mismatch` when its keys are
        not those that the partner's operator read aloud.
        """
        introduction = open_invitation(invitation)
        if fingerprint is not None and _spoken(fingerprint) != _spoken(introduction.fingerprint()):
            raise NodeRefusal(
                NodeCode.FINGERPRINT_MISMATCH,
                f"the invitation's keys have the fingerprint {introduction.fingerprint()}",
            )
        # The address is no part of what was asked: a partner that moves sends a new invitation with the same keys.
        asked = PartnerRequest(
            network=introduction.network,
            ledger=introduction.ledger,
            points=introduction.points,
            keys=tuple(item.key for item in introduction.keys),
        )
        command = AddPartner(
            id=partner_id(introduction.ledger),
            request=digest_request(self._context.digests, asked),
            network=introduction.network,
            ledger=introduction.ledger,
            points=introduction.points,
            keys=introduction.keys,
        )
        work = AcceptPartner(command, PartnerUrl(introduction.ledger, introduction.url or ""))
        pending = Pending(self._context.writer.submit(work), self._context.render_first)
        return pending.then(self._with_reply)

    def all(self) -> PartnerList:
        """Return all partners."""
        urls = self._context.reader.partner_urls()
        found = self._context.reader.partners()
        return PartnerList(partners=tuple(self._view(ledger, record, urls.get(ledger)) for ledger, record in found))

    def _view(self, ledger: Ledger, record: PartnerRecord, url: str | None) -> PartnerView:
        current = self._context.reader.current_agreement(ledger)
        contact = self._contact_of(ledger)
        return PartnerView(
            ledger=ledger,
            points=record.points,
            network=record.network,
            url=url or None,
            fingerprint=fingerprint_of(record.keys),
            agreement=None if current is None else current[0],
            last_contact=contact.last_contact,
            channel=contact.channel,
            suspended=record.suspended_seq is not None,
            ended=record.ended_seq is not None,
            exposure=() if current is None else tuple(exposures(self._context, ledger)),
        )

    def _with_reply(self, answer: EntryAnswer) -> PartnerAcceptedAnswer:
        assert isinstance(answer, PartnerAnswer), "a partner was added"
        return PartnerAcceptedAnswer(
            id=answer.id,
            seq=answer.seq,
            leaf=answer.leaf,
            time=answer.time,
            occurred_on=answer.occurred_on,
            network=answer.network,
            ledger=answer.ledger,
            points=answer.points,
            fingerprint=answer.fingerprint,
            reply=self.invitation(Network(answer.network)),
        )

    def _own_network(self) -> Network:
        found = self._context.reader.setting(NETWORK_SETTING)
        assert found is not None, "a node draws its network's id when its directory is made"
        return Network(found)


def _spoken(fingerprint: str) -> str:
    return fingerprint.upper().replace("-", "").replace(" ", "")
