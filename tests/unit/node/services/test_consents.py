"""Links by consent: by redirect with a one-time code and PKCE, by a typed code, limited, and revoked by either side."""

from collections.abc import Iterator
from dataclasses import replace
from typing import cast

import msgspec
import pytest

from node.engine.work import Desk
from node.peers.links import LINKS_PATH
from node.ports import LinkReply, TransportFailed
from node.services.members.consents import ExchangeWork
from node.services.refusals import NodeRefusal
from node.store.rows_members import ErasePerson, LinkConsent
from protocol.consent import LinkExchange, challenge_of, sign_exchange
from protocol.identifiers import Account, Ledger
from protocol.keys import Role
from scripts.alliance.brands import AURORA, BLUEBIRD, CEDAR, Brand
from tests.support.documents import COPPER as OTHER
from tests.support.documents import uuid
from tests.support.linked import STEP, Linked, linked, query_of
from tests.support.whole_nodes import JSON, NETWORK, LoopbackLinks

PAGE = "https://bluebird.example/link/authorize"
BACK = "https://aurora.example/linked?shop=1"


@pytest.fixture(scope="module")
def brands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Linked]:
    with linked(tmp_path_factory.mktemp("linked")) as found:
        found.done(AURORA, "/v1/links/pages", {"partner": BLUEBIRD.ledger, "consent_url": PAGE})
        found.done(BLUEBIRD, "/v1/links/pages", {"partner": AURORA.ledger, "redirect_url": BACK})
        yield found
        found.check()


def begun(brands: Linked, here: str) -> dict[str, str]:
    body = {"id": brands.fresh(), "account": here, "partner": BLUEBIRD.ledger, "redirect_url": BACK}
    return query_of(str(brands.done(AURORA, "/v1/links/requests", body)["url"]))


def consented(brands: Linked, there: str, asked: dict[str, str], **changes: object) -> dict[str, object]:
    return {
        "account": there,
        "partner": asked["client_id"],
        "redirect_url": asked["redirect_uri"],
        "state": asked["state"],
        "code_challenge": asked["code_challenge"],
        "code_challenge_method": asked["code_challenge_method"],
        **changes,
    }


def test_a_member_links_by_redirect_and_converts(brands: Linked) -> None:
    here, there = brands.open(AURORA), brands.open(BLUEBIRD, points=0)
    asked = begun(brands, here)
    assert (asked["response_type"], asked["code_challenge_method"]) == ("code", "S256")
    assert here not in str(asked)
    body = consented(brands, there, asked)
    answer = brands.done(BLUEBIRD, "/v1/links/consents", body)
    back = query_of(str(answer["redirect_to"]))
    assert str(answer["redirect_to"]).startswith(BACK + "&")
    assert (back["state"], back["shop"]) == (asked["state"], "1")
    completion = {"state": back["state"], "code": back["code"]}
    linked_by = brands.done(AURORA, "/v1/links/completions", completion)
    assert (linked_by["kind"], linked_by["account"]) == ("link_accepted", here)
    # The same answer for the same request, without a second link.
    assert brands.done(AURORA, "/v1/links/completions", completion) == linked_by
    assert brands.convert(AURORA, here, BLUEBIRD)["state"] == "completed"
    assert brands.read(BLUEBIRD, f"/v1/accounts/{there}")["available"] == STEP


def test_a_code_is_for_one_exchange(brands: Linked) -> None:
    here, other, there = brands.open(AURORA), brands.open(AURORA), brands.open(BLUEBIRD, points=0)
    code = brands.typed_code(BLUEBIRD, there, AURORA)
    body = {"id": brands.fresh(), "account": here, "partner": BLUEBIRD.ledger, "code": code.lower()}
    first = brands.done(AURORA, "/v1/links/typed", body)
    assert brands.done(AURORA, "/v1/links/typed", body) == first
    assert brands.refused(AURORA, "/v1/links/typed", {**body, "account": other}) == "id_reused"
    again = {**body, "id": brands.fresh(), "account": other}
    assert brands.refused(AURORA, "/v1/links/typed", again) == "consent_unknown"


def test_a_code_is_for_one_partner(brands: Linked) -> None:
    there = brands.open(BLUEBIRD, points=0)
    elsewhere = brands.open(CEDAR)
    code = brands.typed_code(BLUEBIRD, there, AURORA)
    body = {"id": brands.fresh(), "account": elsewhere, "partner": BLUEBIRD.ledger, "code": code}
    assert brands.refused(CEDAR, "/v1/links/typed", body) == "consent_unknown"


@pytest.mark.parametrize(("seconds", "typed"), [(121, False), (601, True)])
def test_a_code_lives_shortly(brands: Linked, *, seconds: int, typed: bool) -> None:
    here, there = brands.open(AURORA), brands.open(BLUEBIRD, points=0)
    if typed:
        code = brands.typed_code(BLUEBIRD, there, AURORA)
        path = "/v1/links/typed"
        body = {"id": brands.fresh(), "account": here, "partner": BLUEBIRD.ledger, "code": code}
    else:
        asked = begun(brands, here)
        answer = brands.done(BLUEBIRD, "/v1/links/consents", consented(brands, there, asked))
        path, body = "/v1/links/completions", {"state": asked["state"], "code": str(answer["code"])}
    brands.street.clock.advance(seconds)
    assert brands.refused(AURORA, path, body) == "consent_unknown"


def test_a_code_needs_the_verifier_of_its_challenge(brands: Linked) -> None:
    here, there = brands.open(AURORA), brands.open(BLUEBIRD, points=0)
    asked = begun(brands, here)
    stolen = consented(brands, there, asked, code_challenge=challenge_of("x" * 43))
    code = brands.done(BLUEBIRD, "/v1/links/consents", stolen)["code"]
    body = {"state": asked["state"], "code": code}
    assert brands.refused(AURORA, "/v1/links/completions", body) == "consent_unknown"


def test_members_are_sent_back_only_where_the_partner_wants_them(brands: Linked) -> None:
    here, there = brands.open(AURORA), brands.open(BLUEBIRD, points=0)
    asked = begun(brands, here)
    for partner, url in ((AURORA, "https://evil.example/"), (CEDAR, BACK)):
        body = consented(brands, there, asked, partner=partner.ledger, redirect_url=url)
        assert brands.refused(BLUEBIRD, "/v1/links/consents", body) == "redirect_unregistered"
    body = {"id": brands.fresh(), "account": here, "partner": CEDAR.ledger, "redirect_url": BACK}
    assert brands.refused(AURORA, "/v1/links/requests", body) == "redirect_unregistered"


def test_pages_are_shown_as_they_were_set(brands: Linked) -> None:
    assert brands.read(AURORA, f"/v1/links/pages?partner={BLUEBIRD.ledger}")["consent_url"] == PAGE
    assert brands.read(CEDAR, f"/v1/links/pages?partner={BLUEBIRD.ledger}")["consent_url"] is None
    assert brands.refused(AURORA, "/v1/links/pages", {"partner": "nobody.example/main.1"}) == "partner_unknown"


@pytest.mark.parametrize("field", ["consent_url", "redirect_url"])
def test_no_page_has_a_fragment_in_which_its_server_would_not_see_the_code(brands: Linked, field: str) -> None:
    body = {"partner": BLUEBIRD.ledger, field: f"{PAGE}#/back"}
    assert brands.refused(AURORA, "/v1/links/pages", body) == "request_invalid"


def test_a_begun_link_ends_with_its_time(brands: Linked) -> None:
    here, there = brands.open(AURORA), brands.open(BLUEBIRD, points=0)
    asked = begun(brands, here)
    brands.street.clock.advance(901)
    code = brands.done(BLUEBIRD, "/v1/links/consents", consented(brands, there, asked))["code"]
    body = {"state": asked["state"], "code": code}
    assert brands.refused(AURORA, "/v1/links/completions", body) == "link_request_unknown"
    body = {"state": "never-begun", "code": code}
    assert brands.refused(AURORA, "/v1/links/completions", body) == "link_request_unknown"


def test_guessing_is_stopped(brands: Linked) -> None:
    here = brands.open(AURORA)
    body = {"account": here, "partner": BLUEBIRD.ledger, "code": "2222-2222"}
    codes = [brands.refused(AURORA, "/v1/links/typed", {**body, "id": brands.fresh()}) for _ in range(6)]
    assert codes == ["consent_unknown"] * 5 + ["consent_tries"]
    assert brands.refused(AURORA, "/v1/links/typed", {**body, "id": brands.fresh(), "code": "0000-0000"}) in {
        "consent_tries",
        "link_invalid",
    }
    brands.street.clock.advance(601)
    assert brands.refused(AURORA, "/v1/links/typed", {**body, "id": brands.fresh()}) == "consent_unknown"
    malformed = {**body, "id": brands.fresh(), "code": "0000-0000"}
    assert brands.refused(AURORA, "/v1/links/typed", malformed) == "link_invalid"


def test_a_partner_that_guesses_is_stopped(brands: Linked) -> None:
    codes = []
    for _ in range(21):
        here = brands.open(CEDAR, points=0)
        for _ in range(5):
            body = {"id": brands.fresh(), "account": here, "partner": BLUEBIRD.ledger, "code": "2222-2222"}
            codes.append(brands.refused(CEDAR, "/v1/links/typed", body))
    assert codes == ["consent_unknown"] * 100 + ["consent_tries"] * 5
    # Nobody else is stopped by it.
    here, there = brands.open(AURORA), brands.open(BLUEBIRD, points=0)
    assert brands.link(BLUEBIRD, there, AURORA, here)


@pytest.mark.parametrize("limits", [{"conversions_max": 2}, {"points_max": 2 * STEP}])
def test_a_link_is_used_as_often_as_it_may_be(brands: Linked, limits: dict[str, int]) -> None:
    here, there = brands.open(AURORA), brands.open(BLUEBIRD, points=0)
    brands.link(BLUEBIRD, there, AURORA, here, **limits)
    states = [brands.convert(AURORA, here, BLUEBIRD) for _ in range(3)]
    assert [state["state"] for state in states] == ["completed", "completed", "returned"]
    assert states[-1]["reason"] == "link_exhausted"
    (link,) = links_of(brands, BLUEBIRD, there)
    assert link["state"] == "used"


def test_a_link_holds_until_its_time(brands: Linked) -> None:
    here, there = brands.open(AURORA), brands.open(BLUEBIRD, points=0)
    brands.link(BLUEBIRD, there, AURORA, here, until="2027-01-01T00:00:00Z")
    assert brands.convert(AURORA, here, BLUEBIRD)["state"] == "completed"
    (link,) = links_of(brands, AURORA, here)
    assert (link["state"], link["until"]) == ("active", "2027-01-01T00:00:00.000000Z")


class SpentDesk:
    """A desk in whose commit another exchange has just spent the code."""

    def __init__(self, row: LinkConsent | ErasePerson) -> None:
        self._row = row

    def staged(self) -> list[object]:
        return [self._row]


@pytest.mark.parametrize("erased", [False, True])
def test_a_code_is_spent_once_in_one_commit_too(brands: Linked, *, erased: bool) -> None:
    there = Account(brands.open(BLUEBIRD, points=0))
    brands.typed_code(BLUEBIRD, there, AURORA)
    node = brands.node(BLUEBIRD).node
    (kept,) = node.reader.link_consents(there)
    exchange = LinkExchange(
        network=NETWORK,
        sender=Ledger(AURORA.ledger),
        receiver=Ledger(BLUEBIRD.ledger),
        id=uuid("mine"),
        code="22222222",
        verifier=None,
    )
    work = ExchangeWork(node.consents._context, exchange, kept.code)
    row = ErasePerson(there) if erased else replace(kept, spent_by=uuid("another's"))
    with pytest.raises(NodeRefusal) as caught:
        work.run(cast("Desk", SpentDesk(row)))
    assert caught.value.code == "consent_unknown"


def test_strangers_exchange_nothing(brands: Linked) -> None:
    node = brands.node(BLUEBIRD)
    exchange = LinkExchange(
        network=NETWORK,
        sender=Ledger("copper.example/main.1"),
        receiver=Ledger(BLUEBIRD.ledger),
        id=uuid("strange"),
        code="22222222",
        verifier=None,
    )
    aurora = msgspec.structs.replace(exchange, sender=Ledger(AURORA.ledger))
    elsewhere = msgspec.structs.replace(aurora, receiver=Ledger(CEDAR.ledger))
    key = OTHER.signing_keys[Role.CHANNEL]
    for asked, status, code in (
        (exchange, 403, "partner_unknown"),
        (aurora, 422, "signature_invalid"),
        (elsewhere, 422, "partner_mismatch"),
    ):
        content = sign_exchange(asked, key=key)
        response = node.loop.run(node.client.post(LINKS_PATH, content=content, headers={"content-type": JSON}))
        assert (response.status_code, response.json()["code"]) == (status, code)
    response = node.loop.run(node.client.post(LINKS_PATH, content=b"{}", headers={"content-type": JSON}))
    assert (response.status_code, response.json()["code"]) == (422, "link_invalid")


def test_a_partner_that_answers_badly_is_told_of(brands: Linked, monkeypatch: pytest.MonkeyPatch) -> None:
    here = brands.open(AURORA)
    body = {"id": brands.fresh(), "account": here, "partner": BLUEBIRD.ledger, "code": "2222-2222"}
    replies = [LinkReply(status=502, body=b"gone"), LinkReply(status=429, body=b'{"code":"consent_tries"}')]
    monkeypatch.setattr(LoopbackLinks, "exchange", lambda *_: replies.pop(0))
    assert brands.refused(AURORA, "/v1/links/typed", body) == "partner_unreachable"
    assert brands.refused(AURORA, "/v1/links/typed", body) == "consent_tries"

    def away(*_: object) -> LinkReply:
        raise TransportFailed("nobody is there")

    monkeypatch.setattr(LoopbackLinks, "exchange", away)
    assert brands.refused(AURORA, "/v1/links/typed", body) == "partner_unreachable"


def links_of(brands: Linked, brand: Brand, account: str) -> list[dict[str, object]]:
    found = brands.read(brand, f"/v1/links?account={account}")["links"]
    assert isinstance(found, list)
    return found


@pytest.mark.parametrize("by", [AURORA, BLUEBIRD])
def test_either_side_ends_a_link(brands: Linked, by: Brand) -> None:
    here, there = brands.open(AURORA), brands.open(BLUEBIRD, points=0)
    alias = brands.link(BLUEBIRD, there, AURORA, here)
    account, partner, direction = (here, BLUEBIRD, "accepted") if by is AURORA else (there, AURORA, "issued")
    body = {"account": account, "partner": partner.ledger, "alias": alias, "direction": direction}
    ended = brands.done(by, "/v1/links/revocations", body)
    assert ended["kind"] == "link_revoked"
    assert brands.done(by, "/v1/links/revocations", body) == ended
    order = {"account": here, "partner": BLUEBIRD.ledger, "amount": STEP, "accept_within_seconds": 60}
    brands.street.talk()
    assert brands.refused(AURORA, "/v1/conversions", {"id": brands.fresh(), **order}) == "link_revoked"
    assert [link["state"] for link in links_of(brands, AURORA, here)] == ["revoked"]
    assert [link["state"] for link in links_of(brands, BLUEBIRD, there)] == ["revoked"]
    # The way is free for another link.
    brands.link(BLUEBIRD, there, AURORA, here)
    assert brands.convert(AURORA, here, BLUEBIRD)["state"] == "completed"


def test_what_is_under_way_when_a_link_ends_is_decided_by_the_destination(brands: Linked) -> None:
    here, there = brands.open(AURORA), brands.open(BLUEBIRD, points=0)
    alias = brands.link(BLUEBIRD, there, AURORA, here)
    order = {"account": here, "partner": BLUEBIRD.ledger, "amount": STEP, "accept_within_seconds": 600}
    ordered = brands.done(AURORA, "/v1/conversions", {"id": brands.fresh(), **order})
    body = {"account": there, "partner": AURORA.ledger, "alias": alias, "direction": "issued"}
    brands.done(BLUEBIRD, "/v1/links/revocations", body)
    brands.street.talk()
    state = brands.read(AURORA, f"/v1/conversions/{ordered['id']}")
    assert (state["state"], state["reason"]) == ("returned", "link_revoked")


def test_nobody_ends_what_is_no_link_of_its_own(brands: Linked) -> None:
    here, there, other = brands.open(AURORA), brands.open(BLUEBIRD, points=0), brands.open(AURORA)
    alias = brands.link(BLUEBIRD, there, AURORA, here)
    for direction in ("issued", "accepted"):
        body = {"account": other, "partner": BLUEBIRD.ledger, "alias": alias, "direction": direction}
        assert brands.refused(AURORA, "/v1/links/revocations", body) == "link_unknown"


def test_a_link_that_is_handed_in_where_it_was_issued_says_where_to(brands: Linked) -> None:
    there = brands.open(BLUEBIRD)
    asked = {"id": brands.fresh(), "account": there, "partner": AURORA.ledger}
    issued = brands.done(BLUEBIRD, "/v1/links", asked)
    brought = {"id": brands.fresh(), "account": there, "document": issued["document"]}
    answer = brands.call(BLUEBIRD, "POST", "/v1/links/accept", brought).json()
    assert answer["code"] == "partner_unknown"
    assert answer["detail"] == f"the link was issued here: it is accepted at {AURORA.ledger}"
