"""What no well-meaning client sends: refused with 4xx, nothing written, and the node goes on."""

from collections.abc import AsyncIterator

import httpx
import pytest

from node.api.requests import BODY_BYTES_MAX, LARGE_BODY_BYTES_MAX
from tests.support.api import ANN, Api, request_id
from tests.support.documents import uuid

JSON = {"content-type": "application/json"}
CHUNK = b" " * 65_536
MEGABYTES_10 = 10 * 1024 * 1024
FIELDS = f'"id":"{request_id("hostile")}","type":"issue","account":"{ANN}"'


def send(api: Api, content: bytes, path: str = "/v1/transactions") -> httpx.Response:
    before = api.rows()
    response = api.call("POST", path, content=content, headers=JSON)
    assert api.rows() == before
    assert api.get(f"/v1/accounts/{ANN}").status_code == 200
    return response


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b" ",
        b"{",
        b"{}{}",
        b"\xff",
        b'{"id":"\xc3"}',
        "\ufeff{}".encode(),
        b'{"id":"\\ud800"}',
        b'{"a":{"\\udfff":1}}',
        b'{"id":1,"id":2}',
        b'{"a":[{"b":1,"b":1}]}',
        b'{"amount":NaN}',
        b'{"amount":Infinity}',
        b'{"amount":-Infinity}',
        b'{"amount":' + b"9" * 5_000 + b"}",
        b"[" * 17 + b"]" * 17,
        b"[" * 100_000,
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        b"{'id':1}",
        b'{"id":1,}',
        b'{"id":01}',
        b"// comment\n{}",
    ],
)
def test_json_has_one_reading(api: Api, content: bytes) -> None:
    response = send(api, content)
    if content.strip():
        assert (response.status_code, response.json()["code"]) == (400, "json_invalid")
    else:
        assert response.status_code in {400, 422}


def test_nesting_is_bounded_where_any_json_is_taken(api: Api) -> None:
    deep = f'{{{FIELDS},"amount":1,"metadata":{{"a":' + "[" * 15 + "]" * 15 + "}}"
    response = send(api, deep.encode())
    assert (response.status_code, response.json()["code"]) == (400, "json_invalid")


def test_numbers_are_not_converted(api: Api) -> None:
    for number in ("1.0", "1e2", "-0", '"1"', "true", "null", "[1]", "9007199254740992"):
        response = send(api, f'{{{FIELDS},"amount":{number}}}'.encode())
        assert (response.status_code, response.json()["code"]) == (422, "amount_invalid"), number


def test_a_body_that_says_it_is_too_long_is_not_read(api: Api) -> None:
    response = send(api, b"{" + b" " * BODY_BYTES_MAX)
    assert (response.status_code, response.json()["code"]) == (413, "payload_too_large")


@pytest.mark.parametrize("path", ["/v1/transactions", "/v1/transactions/batch", "/v1/accounts"])
def test_a_body_of_10_megabytes_is_given_up_while_it_is_read(api: Api, path: str) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < MEGABYTES_10:
            sent += len(CHUNK)
            yield CHUNK

    headers = {**JSON, "authorization": f"Bearer {api.token()}"}
    response = api.runner.run(api.client.post(path, content=endless(), headers=headers))
    assert (response.status_code, response.json()["code"]) == (413, "payload_too_large")
    assert sent <= LARGE_BODY_BYTES_MAX + 2 * len(CHUNK)
    assert api.get(f"/v1/accounts/{ANN}").status_code == 200


def test_partners_bodies_are_bounded_too(api: Api) -> None:
    for path in ("/peer/v1/envelopes", "/peer/v1/proposals", "/peer/v1/agreements"):
        response = api.call("POST", path, content=b" " * (LARGE_BODY_BYTES_MAX + 1), role=None)
        assert response.status_code == 413, path


@pytest.mark.parametrize("media_type", ["text/plain", "application/xml", "application/json-seq", "multipart/form-data"])
def test_another_media_type_is_not_guessed(api: Api, media_type: str) -> None:
    response = api.call("POST", "/v1/accounts", content=b"{}", headers={"content-type": media_type})
    assert (response.status_code, response.json()["code"]) == (415, "unsupported_media_type")


def test_a_charset_beside_the_media_type_is_passed_over(api: Api) -> None:
    body = f'{{"id":"{uuid("charset")}","kind":"member"}}'.encode()
    headers = {"content-type": "application/json; charset=utf-8"}
    assert api.call("POST", "/v1/accounts", content=body, headers=headers).status_code == 201


def test_a_body_without_a_media_type_is_refused(api: Api) -> None:
    assert api.call("POST", "/v1/accounts", content=b"{}").status_code == 415


def test_strangers_learn_nothing_before_their_credential_is_known(api: Api) -> None:
    headers = {**JSON, "authorization": "Bearer ts_operator_00000000_" + "a" * 43}
    response = api.call("POST", "/v1/accounts", content=b"{", headers=headers, role=None)
    assert response.status_code == 401


@pytest.mark.parametrize("content", [b"", b"{", b"[" * 100_000, b"\xff", b'{"bodies":[],"envelope":{}}', b"null"])
def test_what_no_partner_sends_is_refused(api: Api, content: bytes) -> None:
    before = api.rows()
    for path, code in (
        ("/peer/v1/envelopes", "envelope_invalid"),
        ("/peer/v1/proposals", "agreement_invalid"),
        ("/peer/v1/agreements", "agreement_invalid"),
    ):
        response = api.call("POST", path, content=content, role=None)
        assert (response.status_code, response.json()["code"]) == (422, code)
    assert api.rows() == before


@pytest.mark.parametrize(
    "path",
    [
        "/v1/accounts?limit=0",
        "/v1/accounts?limit=257",
        "/v1/accounts?limit=ten",
        "/v1/accounts?after=%00",
        "/v1/accounts?after=member/ann",
        "/v1/entries?after=-1",
        "/v1/entries/-1",
        "/v1/entries/1.0",
        "/v1/entries/+1",
        "/v1/entries/01",
        "/v1/entries/1_0",
        "/v1/entries/%201",
        f"/v1/entries/{2**64}",
        "/v1/conversions?state=lost",
        "/v1/links",
        "/tile/64/000",
        "/messages/-1",
        f"/v1/conversions/{uuid('x')}?wait=31",
        "/v1/accounts/member/%00",
        "/v1/accounts/member/..%2F..%2Fetc",
    ],
)
def test_a_query_or_a_path_is_refused(api: Api, path: str) -> None:
    response = api.get(path)
    assert (response.status_code, response.json()["code"]) in {(422, "request_invalid"), (404, "not_found")}
    assert response.headers["content-type"] == "application/problem+json"
