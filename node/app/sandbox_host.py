"""What the sandbox does by itself, so that the first hour needs no operator there: it accepts, opens, links, issues."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Final

import structlog

from node.app.files import make_private_directory, write_private
from node.app.sandbox_parts import Performance
from node.engine.work import CommandWork
from node.services.node import Node
from node.services.requests import IssueLinkRequest, IssueRequest, OpenAccountRequest
from protocol.errors import TallystickError
from protocol.identifiers import Account, Digest, Id, Ledger, id_from_random

INTERVAL_SECONDS: Final = 0.2
LINKS: Final = "links"
GUEST_POINTS: Final = 1_000_000
_LOG: Final = structlog.get_logger()


class SandboxHost:
    """Receives partners: each gets a guest account with points and a link to it, and its proposals are accepted."""

    def __init__(self, node: Node, directory: Path, performance: Performance) -> None:
        self._node = node
        self._links = directory / LINKS
        self._performance = performance
        self._refused: set[str] = set()

    def step(self) -> None:
        """Do what is to be done now."""
        for command in self._performance.take_late():
            self._node.submit(CommandWork([command])).result()
        self._repeat()
        self._accept_proposals()
        for partner in self._node.exchange.partners():
            if not self.link_path(partner).exists():
                self._welcome(partner)

    def link_path(self, partner: Ledger) -> Path:
        """Return where the link for a partner's member lies."""
        return self._links / f"{partner.replace('/', '-')}.json"

    def _repeat(self) -> None:
        repeated = self._performance.take_repeated()
        if repeated is None:
            return
        peer = self._node.exchange.peer(repeated.partner)
        with peer.lock:
            on_its_way = repeated.digest in peer.outgoing.frames
            peer.outgoing.offer(repeated.digest, repeated.body)
        if on_its_way:
            self._performance.put_back(repeated)

    def _accept_proposals(self) -> None:
        for proposal in self._node.agreements.proposals().proposals:
            if proposal.direction != "received" or proposal.digest in self._refused:
                continue
            try:
                self._node.agreements.accept(None, Digest(proposal.digest), forced=True).result()
                _LOG.info("sandbox_agreed", partner=proposal.partner, agreement=proposal.digest)
            except TallystickError as error:
                self._refused.add(proposal.digest)
                _LOG.warning("sandbox_cannot_agree", partner=proposal.partner, code=error.code, detail=str(error))

    def _welcome(self, partner: Ledger) -> None:
        """Open the guest's account and write its link; what an interrupted welcome has done is answered again."""
        node, guest = self._node, guest_of(partner)
        node.points.open_account(OpenAccountRequest(id=_id(partner, "open"), account=guest)).result()
        node.points.transact(IssueRequest(id=_id(partner, "issue"), account=guest, amount=GUEST_POINTS)).result()
        issued = node.links.issue(IssueLinkRequest(id=_id(partner, "link"), account=guest, partner=partner)).result()
        make_private_directory(self._links)
        write_private(self.link_path(partner), json.dumps(issued.document, sort_keys=True) + "\n")
        _LOG.info("sandbox_linked", partner=partner, link=str(self.link_path(partner)), account=guest)


def guest_of(partner: Ledger) -> Account:
    """Return the account here that a partner's member is linked with."""
    return Account(f"member/{_id(partner, 'guest')}")


def _id(partner: Ledger, purpose: str) -> Id:
    return id_from_random(sha256(f"sandbox {purpose} {partner}".encode()).digest()[:16])
