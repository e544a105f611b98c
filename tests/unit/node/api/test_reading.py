"""What can be read back of accounts, holds, links and partners; and parcels, over the whole application."""

import json

import msgspec
import pytest

from protocol.agreement import key_of
from protocol.documents import SignedLink, open_invitation, parse_link, verify_link
from protocol.encoding import encode
from protocol.envelope import decode_parcel, verify_envelope
from protocol.keys import Role
from tests.support.api import ANN, Api, Json, agree, request_id
from tests.support.documents import AURORA, BLUEBIRD, COPPER, NETWORK, hello, introduction, uuid
from tests.support.parcels import parcel_bytes


def account(api: Api, name: str) -> str:
    api.done("/v1/accounts", {"id": uuid(name), "kind": "member"})
    return f"member/{uuid(name)}"


def issue(api: Api, account_name: str, amount: int, **more: object) -> Json:
    body = {"id": request_id(f"{account_name} {amount} {more}"), "type": "issue", "account": account_name}
    return api.done("/v1/transactions", {**body, "amount": amount, **more})


def test_an_account_shows_its_lots_in_the_order_of_their_use(api: Api) -> None:
    carl = account(api, "carl")
    for amount, more in ((5, {}), (7, {"expires_on": "2027-01-31"}), (9, {"expires_on": "2026-06-30"})):
        issue(api, carl, amount, **more)
    api.done("/v1/transactions", {"id": request_id("carl"), "type": "redeem", "account": carl, "amount": 4})
    api.done("/v1/holds", {"id": request_id("carl holds"), "account": carl, "amount": 2})
    shown = api.read(f"/v1/accounts/{carl}")
    lots = shown.pop("lots")
    assert isinstance(lots, list)
    assert [(lot["expires_on"], lot["remaining"]) for lot in lots] == [("2026-06-30", 3), ("2027-01-31", 7), (None, 5)]
    assert shown == {
        "account": carl,
        "status": "open",
        "posted": 17,
        "held": 2,
        "pending": 0,
        "available": 15,
        "next_expiry": {"date": "2026-06-30", "amount": 3},
        "next_pending": None,
        "open_conversions": 0,
    }


def test_accounts_are_listed_by_page(api: Api) -> None:
    for number in range(5):
        account(api, f"listed {number}")
    cursor: object = None
    seen: list[str] = []
    while cursor is not None or not seen:
        page = api.read(f"/v1/accounts?limit=2&after={cursor}" if cursor else "/v1/accounts?limit=2")
        assert isinstance(page["accounts"], list)
        seen += [one["account"] for one in page["accounts"]]
        cursor = page["next"]
    assert seen == sorted(set(seen))
    assert {f"member/{uuid(f'listed {number}')}" for number in range(5)} <= set(seen)


def test_a_history_is_newest_first_by_page(api: Api) -> None:
    dora = account(api, "dora")
    for amount in (1, 2, 3):
        issue(api, dora, amount)
    first = api.read(f"/v1/accounts/{dora}/history?limit=3")
    second = api.read(f"/v1/accounts/{dora}/history?limit=3&before={first['next']}")
    assert isinstance(first["entries"], list)
    assert isinstance(second["entries"], list)
    assert [one["postings"][1][2] for one in first["entries"]] == [3, 2, 1]
    assert [one["kind"] for one in second["entries"]] == ["account_opened"]
    assert second["next"] is None


def test_a_hold_shows_what_remains(api: Api) -> None:
    hold = request_id("shown hold")
    placed = {"id": hold, "account": ANN, "amount": 30, "expires_at": "2026-03-05T10:00:00.5Z"}
    assert api.done("/v1/holds", placed)["expires_at"] == "2026-03-05T10:00:00.500000Z"
    api.done(f"/v1/holds/{hold}/capture", {"id": request_id("part"), "amount": 12, "final": False})
    assert api.read(f"/v1/holds/{hold}") == {
        "id": hold,
        "account": ANN,
        "amount": 30,
        "remaining": 18,
        "expires_at": "2026-03-05T10:00:00.500000Z",
        "state": "open",
        "conversion": False,
    }
    api.done(f"/v1/holds/{hold}/capture", {"id": request_id("rest")})
    assert api.read(f"/v1/holds/{hold}")["state"] == "closed"


def test_a_link_is_signed_for_one_partner_and_names_no_account(api: Api) -> None:
    emma = account(api, "emma")
    body = {"id": request_id("emma links"), "account": emma, "partner": BLUEBIRD.ledger}
    answer = api.done("/v1/links", body)
    document = answer["document"]
    signed = parse_link(encode(json.loads(json.dumps(document))))
    verify_link(signed, key=key_of(api.node.ledger_keys, Role.CHANNEL))
    assert (signed.link.issuer, signed.link.audience, signed.link.network) == (AURORA.ledger, BLUEBIRD.ledger, NETWORK)
    assert (signed.link.alias, signed.link.issued_at) == (answer["alias"], answer["time"])
    assert uuid("emma") not in str(document)
    listed = api.read(f"/v1/links?account={emma}")
    unlimited = {"until": None, "conversions_left": None, "points_left": None, "cooling_off_until": None}
    link = {"direction": "issued", "partner": BLUEBIRD.ledger, "alias": answer["alias"], "state": "active", **unlimited}
    assert listed == {"links": [link]}
    assert msgspec.convert(document, SignedLink) == signed


def test_two_links_of_one_account_have_nothing_in_common(api: Api) -> None:
    fred = account(api, "fred")
    body = {"account": fred, "partner": BLUEBIRD.ledger}
    first = api.done("/v1/links", {"id": request_id("fred 1"), **body})
    second = api.done("/v1/links", {"id": request_id("fred 2"), **body})
    assert first["alias"] != second["alias"]


def test_an_invitation_is_what_a_partner_can_accept(api: Api) -> None:
    own = open_invitation(encode(api.done("/v1/partners/invitations", {})))  # type: ignore[arg-type]
    given = open_invitation(encode(api.done("/v1/partners/invitations", {"network": NETWORK})))  # type: ignore[arg-type]
    assert (own.ledger, own.url, given.network) == (AURORA.ledger, "http://aurora.example:8420", NETWORK)
    assert own.network != NETWORK
    assert own.fingerprint() == api.created.fingerprint


def test_partners_are_shown_as_an_operator_needs_them(api: Api) -> None:
    partners = api.read("/v1/partners")["partners"]
    assert isinstance(partners, list)
    (partner,) = partners
    assert isinstance(partner, dict)
    shown = ("ledger", "points", "network", "fingerprint", "channel")
    assert [partner[name] for name in shown] == [
        BLUEBIRD.ledger,
        "BLU",
        NETWORK,
        introduction(BLUEBIRD).fingerprint(),
        "waiting",
    ]
    agreements = api.read("/v1/agreements")["agreements"]
    assert isinstance(agreements, list)
    assert partner["agreement"] == agreements[0]["digest"]


@pytest.mark.parametrize("spoken", ["lower", "spaces", "dashes"])
def test_a_fingerprint_is_compared_as_it_is_spoken(api: Api, spoken: str) -> None:
    text = introduction(BLUEBIRD).fingerprint()
    given = {"lower": text.lower(), "spaces": text.replace("-", " "), "dashes": text}[spoken]
    invitation = json.loads(json.dumps(msgspec.to_builtins(introduction(BLUEBIRD))))
    body = {"invitation": {"introduction": invitation, "signature": "x" * 88}, "fingerprint": given}
    refused = api.post("/v1/partners", body)
    assert refused.json()["code"] == "signature_invalid"


def test_a_parcel_is_answered_by_a_parcel(api: Api) -> None:
    parcel = parcel_bytes([hello(BLUEBIRD, AURORA)], sender=BLUEBIRD, receiver=AURORA)
    response = api.call("POST", "/peer/v1/envelopes", content=parcel, role=None)
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/vnd.tallystick.parcel.v1+json"
    answer = decode_parcel(response.content)
    header = verify_envelope(answer.envelope, key=key_of(api.node.ledger_keys, Role.CHANNEL))
    assert (header.sender, header.receiver) == (AURORA.ledger, BLUEBIRD.ledger)
    assert header.acknowledgement is not None


def test_a_strangers_or_forgers_parcel_is_refused(api: Api) -> None:
    before = api.rows()
    strange = parcel_bytes([hello(COPPER, AURORA)], sender=COPPER, receiver=AURORA)
    response = api.call("POST", "/peer/v1/envelopes", content=strange, role=None)
    assert (response.status_code, response.json()["code"]) == (403, "partner_unknown")
    misled = parcel_bytes([hello(BLUEBIRD, COPPER)], sender=BLUEBIRD, receiver=COPPER)
    response = api.call("POST", "/peer/v1/envelopes", content=misled, role=None)
    assert (response.status_code, response.json()["code"]) == (422, "envelope_invalid")
    assert api.rows() == before


def test_agreements_are_found_by_their_digest(api: Api) -> None:
    digest = agree(api, notice_days=1)
    assert api.read(f"/v1/agreements/{digest}")["digest"] == digest
