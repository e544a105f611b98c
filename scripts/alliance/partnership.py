"""Two brands become partners and agree on rates, step by step as their operators would."""

import time
from collections.abc import Mapping
from typing import Final

import msgspec

from node.cli.request import JsonObject
from node.cli.terms import direction_terms
from node.client import NodeClient
from node.client.answers import PartnerList
from protocol.documents import Introduction, open_invitation
from protocol.encoding import JsonValue
from protocol.points import Step
from scripts.alliance.brands import CURRENCY, Brand, rate
from scripts.alliance.process import AllianceFailed
from scripts.alliance.progress import say

Operators = Mapping[Brand, NodeClient]
WAIT_SECONDS_MAX: Final = 20.0
LOOK_SECONDS: Final = 0.05


class _Accepted(msgspec.Struct, frozen=True):
    reply: msgspec.Raw


class _Proposed(msgspec.Struct, frozen=True):
    proposal: msgspec.Raw


def introduce(operators: Operators, first: Brand, second: Brand, *, network: str | None) -> str:
    """Let two brands accept each other's invitations, and return the network that they share."""
    invitation = operators[first].post("/v1/partners/invitations", {"network": network}).data
    introduction = read_invitation(invitation)
    if second.program in _partner_programs(operators[first]) and first.program in _partner_programs(operators[second]):
        return introduction.network
    say(f"{first.title} and {second.title} become partners")
    reply = operators[second].post("/v1/partners", _accepting(invitation)).read(_Accepted).reply
    operators[first].post("/v1/partners", _accepting(bytes(reply)))
    return introduction.network


def read_invitation(document: bytes) -> Introduction:
    """Return what an invitation in an answer says, after checking its signature."""
    return open_invitation(msgspec.json.encode(msgspec.json.decode(document), order="sorted"))


def _accepting(invitation: bytes) -> JsonObject:
    # The operators compare the fingerprint by telephone; here it is read from the document itself.
    fingerprint = read_invitation(invitation).fingerprint()
    return {"invitation": msgspec.json.decode(invitation), "fingerprint": fingerprint}


def _partner_programs(client: NodeClient) -> set[str]:
    rows = client.get("/v1/partners").read(PartnerList).partners
    return {row.ledger.partition("/")[0] for row in rows}


def has_agreement(client: NodeClient, partner: Brand) -> bool:
    """Return whether an agreement with `partner` binds at this node."""
    rows = client.get("/v1/partners").read(PartnerList).partners
    return any(row.agreement is not None for row in rows if row.ledger == partner.ledger)


def agree(operators: Operators, first: Brand, second: Brand) -> None:
    """Let `first` propose and `second` accept, and wait until the agreement binds in both ledgers."""
    if not has_agreement(operators[second], first):
        say(f"{first.title} and {second.title} agree on their rates")
        terms: JsonValue = {"currency": CURRENCY, "directions": [_terms(first, second), _terms(second, first)]}
        body: JsonObject = {"partner": second.ledger, "terms": terms}
        proposed = operators[first].post("/v1/agreements/proposals", body).read(_Proposed)
        operators[second].post("/v1/agreements", {"proposal": msgspec.json.decode(bytes(proposed.proposal))})
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while not has_agreement(operators[first], second):
        if time.monotonic() > deadline:
            raise AllianceFailed(f"{first.title} has not entered the agreement with {second.title}")
        time.sleep(LOOK_SECONDS)


def _terms(source: Brand, destination: Brand) -> JsonValue:
    one = rate(source, destination)
    step = Step(source=one.source_step, destination=one.destination_step)
    return direction_terms(source.ledger, step, price=one.price, fee=one.fee_points, days=one.expires_days)
