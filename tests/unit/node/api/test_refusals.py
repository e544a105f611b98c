"""Each refusal has its own code and status, and nothing is written."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from protocol.limits import INTEGER_MAX
from tests.support.api import ANN, BOB, POINTS, Api, Json, link_from_bluebird, request_id
from tests.support.documents import AURORA, BLUEBIRD, COPPER, uuid

NOBODY = f"member/{uuid('nobody')}"


@contextmanager
def unchanged(api: Api) -> Iterator[None]:
    before = api.rows()
    yield
    assert api.rows() == before


def refused(api: Api, path: str, body: object, *, status: int, code: str) -> Json:
    with unchanged(api):
        response = api.post(path, body)
    assert (response.status_code, response.json()["code"]) == (status, code), response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem: Json = response.json()
    assert problem["type"] == f"urn:tallystick:problem:{code}"
    assert problem["status"] == status
    return problem


def transaction(kind: str, **changes: object) -> Json:
    return {"id": request_id("refused"), "type": kind, "account": ANN, "amount": 100, **changes}


@pytest.mark.parametrize("amount", [0, -1, -INTEGER_MAX, 1.5, 100.0, 1e3, INTEGER_MAX + 1, 10**30, "100", True, None])
def test_an_amount_is_a_positive_integer(api: Api, amount: object) -> None:
    for kind, more in (("issue", {}), ("redeem", {}), ("transfer", {"to": BOB})):
        body = transaction(kind, amount=amount, **more)
        refused(api, "/v1/transactions", body, status=422, code="amount_invalid")
    hold = {"id": request_id("refused"), "account": ANN, "amount": amount}
    refused(api, "/v1/holds", hold, status=422, code="amount_invalid")
    order = {"id": request_id("refused"), "account": ANN, "partner": BLUEBIRD.ledger, "amount": amount}
    refused(api, "/v1/conversions", order, status=422, code="amount_invalid")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (transaction("issue", account=NOBODY), 404, "account_unknown"),
        (transaction("redeem", account=NOBODY), 404, "account_unknown"),
        (transaction("transfer", to=NOBODY), 404, "account_unknown"),
        (transaction("transfer", to=ANN), 422, "same_account"),
        (transaction("redeem", amount=POINTS + 1), 422, "insufficient_points"),
        (transaction("redeem", account=BOB), 422, "insufficient_points"),
        (transaction("issue", amount=INTEGER_MAX), 422, "balance_overflow"),
        (transaction("issue", occurred_on="2026-02-30"), 422, "date_invalid"),
        (transaction("issue", occurred_on="2027-01-01"), 422, "date_invalid"),
        (transaction("issue", occurred_on=20260101), 422, "date_invalid"),
        (transaction("issue", expires_on="2026-02-28"), 422, "date_invalid"),
        (transaction("issue", account="member/ann"), 422, "request_invalid"),
        (transaction("issue", account="issuance"), 422, "request_invalid"),
        (transaction("issue", id="1"), 422, "request_invalid"),
        (transaction("burn"), 422, "request_invalid"),
        (transaction("redeem", to=BOB), 422, "request_invalid"),
        (transaction("issue", note="hello"), 422, "request_invalid"),
        (transaction("issue", metadata={"text": "x" * 4096}), 422, "request_invalid"),
        (transaction("issue", metadata={"rate": 1.5}), 422, "request_invalid"),
        (transaction("issue", metadata={"number": INTEGER_MAX + 1}), 422, "request_invalid"),
        (transaction("issue", metadata=[]), 422, "request_invalid"),
        (transaction("issue", metadata={"a": [[[[[[[[1]]]]]]]]}), 422, "request_invalid"),
        ([], 422, "request_invalid"),
        ("issue", 422, "request_invalid"),
        (None, 422, "request_invalid"),
    ],
)
def test_a_transaction_is_refused(api: Api, body: object, status: int, code: str) -> None:
    refused(api, "/v1/transactions", body, status=status, code=code)


def test_an_account_is_refused(api: Api) -> None:
    open_again = {"id": request_id("again"), "kind": "member"}
    api.done("/v1/accounts", open_again)
    refused(api, "/v1/accounts", {**open_again, "kind": "employee"}, status=409, code="id_reused")
    refused(api, "/v1/accounts", {"id": uuid("ann"), "kind": "shop"}, status=422, code="request_invalid")
    close = {"id": request_id("close")}
    full = f"member/{request_id('again')}"
    api.done("/v1/transactions", {"id": request_id("fill"), "type": "issue", "account": full, "amount": 1})
    refused(api, f"/v1/accounts/{full}/close", close, status=409, code="account_not_empty")
    refused(api, f"/v1/accounts/{NOBODY}/close", close, status=404, code="account_unknown")
    refused(api, "/v1/accounts/member/ann/close", close, status=422, code="request_invalid")


def test_a_closed_account_takes_no_part(api: Api) -> None:
    closed = uuid("closed")
    account = f"member/{closed}"
    api.done("/v1/accounts", {"id": closed, "kind": "member"})
    api.done(f"/v1/accounts/{account}/close", {"id": request_id("close it")})
    for body in (transaction("issue", account=account), transaction("transfer", to=account)):
        refused(api, "/v1/transactions", body, status=409, code="account_closed")
    hold = {"id": request_id("refused"), "account": account, "amount": 1}
    refused(api, "/v1/holds", hold, status=409, code="account_closed")
    link = {"id": request_id("refused"), "account": account, "partner": BLUEBIRD.ledger}
    refused(api, "/v1/links", link, status=409, code="account_closed")
    order = {"id": request_id("refused"), "account": account, "partner": BLUEBIRD.ledger, "amount": 1000}
    refused(
        api, "/v1/quotes", {k: order[k] for k in ("account", "partner", "amount")}, status=409, code="account_closed"
    )
    refused(api, f"/v1/accounts/{account}/close", {"id": request_id("twice")}, status=409, code="account_closed")


def test_a_hold_is_refused(api: Api) -> None:
    hold = request_id("hold")
    api.done("/v1/holds", {"id": hold, "account": ANN, "amount": 100, "expires_at": "2026-03-02T00:00:00Z"})
    capture, release = f"/v1/holds/{hold}/capture", f"/v1/holds/{hold}/release"
    body = {"id": request_id("refused")}
    refused(api, capture, {**body, "amount": 101}, status=422, code="hold_too_small")
    refused(api, capture, {**body, "amount": 0}, status=422, code="amount_invalid")
    refused(api, f"/v1/holds/{uuid('none')}/capture", body, status=404, code="hold_unknown")
    refused(api, f"/v1/holds/{uuid('none')}/release", body, status=404, code="hold_unknown")
    late = {**body, "account": ANN, "amount": 1, "expires_at": "2026-02-28T12:00:00Z"}
    refused(api, "/v1/holds", late, status=422, code="hold_expired")
    refused(api, "/v1/holds", {**late, "expires_at": "2026-03-02"}, status=422, code="request_invalid")
    refused(api, "/v1/holds", {**late, "expires_at": "2026-02-30T00:00:00Z"}, status=422, code="request_invalid")
    api.done(release, {"id": request_id("release")})
    for path in (capture, release):
        refused(api, path, body, status=409, code="hold_closed")


def test_a_conversion_is_refused(api: Api) -> None:
    order: Json = {"id": request_id("refused"), "account": ANN, "partner": BLUEBIRD.ledger, "amount": 1_000}

    def no(status: int, code: str, **changes: object) -> None:
        refused(api, "/v1/conversions", {**order, **changes}, status=status, code=code)
        quote = {key: value for key, value in {**order, **changes}.items() if key != "id"}
        if "accept_within_seconds" not in changes:
            refused(api, "/v1/quotes", quote, status=status, code=code)

    no(422, "less_than_a_step", amount=399)
    no(422, "steps_below_minimum", amount=799)
    no(422, "steps_above_maximum", amount=400 * 21)
    no(404, "partner_unknown", partner=COPPER.ledger)
    no(404, "account_unknown", account=NOBODY)
    no(404, "link_unknown", account=BOB)
    no(422, "request_invalid", accept_within_seconds=0)
    no(422, "request_invalid", accept_within_seconds=8 * 86_400)
    no(422, "request_invalid", partner="bluebird.example")


def test_a_conversions_hold_moves_only_by_it(api: Api) -> None:
    conversion = request_id("held conversion")
    api.done("/v1/conversions", {"id": conversion, "account": ANN, "partner": BLUEBIRD.ledger, "amount": 800})
    body = {"id": request_id("refused")}
    for verb in ("capture", "release"):
        refused(api, f"/v1/holds/{conversion}/{verb}", body, status=409, code="hold_of_conversion")


def test_points_on_hold_for_a_conversion_cannot_be_spent(api: Api) -> None:
    available = api.read(f"/v1/accounts/{ANN}")["available"]
    assert isinstance(available, int)
    body = transaction("redeem", amount=available + 1)
    refused(api, "/v1/transactions", body, status=422, code="insufficient_points")


def test_a_link_is_refused(api: Api) -> None:
    body = {"id": request_id("refused"), "account": BOB}
    refused(api, "/v1/links", {**body, "partner": COPPER.ledger}, status=404, code="partner_unknown")
    link = link_from_bluebird("bob")
    forged = {**link, "signature": link_from_bluebird("other")["signature"]}
    refused(api, "/v1/links/accept", {**body, "document": forged}, status=422, code="signature_invalid")
    refused(api, "/v1/links/accept", {**body, "document": {"link": 1}}, status=422, code="link_invalid")
    refused(api, "/v1/links/accept", {**body, "document": {"Link": 1}}, status=422, code="encoding_invalid")
    second = {**body, "account": ANN, "document": link}
    refused(api, "/v1/links/accept", second, status=409, code="link_exists")


def test_what_is_not_there_is_not_found(api: Api) -> None:
    nothing = uuid("nothing")
    for path, code in (
        (f"/v1/accounts/{NOBODY}", "account_unknown"),
        (f"/v1/accounts/{NOBODY}/history", "account_unknown"),
        (f"/v1/transactions/{nothing}", "not_found"),
        (f"/v1/transactions/{uuid('ann')}", "not_found"),
        (f"/v1/holds/{nothing}", "hold_unknown"),
        (f"/v1/conversions/{nothing}", "conversion_unknown"),
        (f"/v1/agreements/{'0' * 64}", "agreement_unknown"),
        ("/v1/entries/999999", "not_found"),
        ("/v1/entries/999999/receipt", "not_found"),
        ("/tile/0/x001/000", "not_found"),
        ("/tile/0/0", "not_found"),
        ("/tile/entries/000", "not_found"),
        ("/messages/7", "not_found"),
        ("/v1/nothing", "not_found"),
        ("/v1/accounts/", "not_found"),
    ):
        response = api.get(path)
        assert (response.status_code, response.json()["code"]) == (404, code), path
    refused(api, f"/v1/conversions/{nothing}/cancel", {}, status=404, code="conversion_unknown")


def test_a_method_that_a_resource_lacks_is_said_so(api: Api) -> None:
    response = api.call("DELETE", "/v1/accounts")
    assert (response.status_code, response.json()["code"]) == (405, "method_not_allowed")
    assert response.headers["allow"] == "GET, POST"


def test_each_method_of_a_resource_is_named_where_another_is_asked_for(api: Api) -> None:
    document = api.get("/openapi.json").json()
    places = {path: {method.upper() for method in item} for path, item in document["paths"].items()}
    several = {path: methods for path, methods in places.items() if len(methods) > 1}
    assert several["/v1/program"] == {"GET", "PUT"}
    for path, methods in several.items():
        there = path.format(kind="member", account_id=uuid("ann"), webhook_id=uuid("webhook"))
        assert set(api.call("PATCH", there).headers["allow"].split(", ")) == methods, path


def test_the_fields_that_are_wrong_are_named_but_never_repeated(api: Api) -> None:
    secret = "x" * 40
    body = {**transaction("issue", account=secret), "kind": secret}
    problem = refused(api, "/v1/transactions", body, status=422, code="request_invalid")
    errors = problem["errors"]
    assert isinstance(errors, list)
    assert {error["field"].rpartition(".")[2] for error in errors} == {"account", "kind"}
    assert secret not in str(problem)


def test_own_ledger_is_no_partner(api: Api) -> None:
    invitation = api.done("/v1/partners/invitations", {})
    refused(api, "/v1/partners", {"invitation": invitation}, status=422, code="partner_mismatch")
    assert AURORA.ledger in str(invitation)
