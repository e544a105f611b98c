"""A request to issue a link is recognised as the one of before links had limits."""

from dataclasses import replace

from node.services.request_digest import RequestDigests
from node.services.requests import IssueLinkRequest, digest_request
from protocol.identifiers import Account
from tests.support.documents import BLUEBIRD, SOON, uuid

DIGESTS = RequestDigests(b"k" * 32)
REQUEST = IssueLinkRequest(id=uuid("link"), account=Account(f"member/{uuid('ann')}"), partner=BLUEBIRD.ledger)


def test_what_is_not_limited_is_the_request_of_before() -> None:
    before = {"id": REQUEST.id, "account": REQUEST.account, "partner": REQUEST.partner, "occurred_on": None}
    assert digest_request(DIGESTS, REQUEST) == DIGESTS.digest("IssueLinkRequest", before)


def test_every_limit_makes_another_request() -> None:
    others = [replace(REQUEST, until=SOON), replace(REQUEST, conversions_max=1), replace(REQUEST, points_max=1)]
    assert len({digest_request(DIGESTS, each) for each in (REQUEST, *others)}) == 4
