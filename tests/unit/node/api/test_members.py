"""Members' tokens over HTTP: those of the brand's issuer are believed, and no others, for their own account alone."""

import base64
import hmac
import json
from collections.abc import Iterator

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from node.services.access.member_tokens import LIFETIME_SECONDS_MAX, SKEW_SECONDS, TOKEN_CHARACTERS_MAX
from tests.support.api import ANN, BOB, Api, api_of, open_accounts
from tests.support.documents import uuid
from tests.support.issuers import ISSUER, claims_at, issuer_of, rsa_key, signed, with_issuer

MINE = "/v1/me/appeals"


@pytest.fixture(scope="module")
def brand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    directory = tmp_path_factory.mktemp("brand")
    with api_of(directory / "aurora", settings=with_issuer(directory)) as api:
        open_accounts(api)
        yield api


def asked(api: Api, token: str, path: str = MINE) -> tuple[int, str | None]:
    response = api.call("GET", path, headers={"authorization": f"Bearer {token}"}, role=None)
    return response.status_code, response.json().get("code")


def now(api: Api) -> float:
    return api.clock.now().timestamp()


def test_a_member_is_who_its_token_says(brand: Api) -> None:
    assert asked(brand, signed(claims_at(now(brand), sub=ANN))) == (200, None)


def test_a_member_reaches_nothing_that_is_not_its_own(brand: Api) -> None:
    token = signed(claims_at(now(brand), sub=ANN))
    for path in (f"/v1/accounts/{ANN}", f"/v1/accounts/{BOB}", "/v1/accounts", "/v1/entries"):
        assert asked(brand, token, path) == (403, "forbidden")


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://id.elsewhere.example"},
        {"aud": "another"},
        {"aud": ["another"]},
        {"exp": None},
        {"iat": None},
        {"nbf": None},
        {"aud": None},
        {"iss": None},
    ],
)
def test_a_token_of_other_parties_is_refused(brand: Api, changes: dict[str, object]) -> None:
    assert asked(brand, signed(claims_at(now(brand), sub=ANN, **changes))) == (401, "unauthorized")


@pytest.mark.parametrize(
    ("begins", "issued", "ends", "holds"),
    [
        (0, 0, 600, True),
        (0, 0, LIFETIME_SECONDS_MAX, True),
        (0, 0, LIFETIME_SECONDS_MAX + 1, False),
        (-600, 0, LIFETIME_SECONDS_MAX, False),
        (0, -600, LIFETIME_SECONDS_MAX, False),
        (-600, -600, -SKEW_SECONDS + 1, True),
        (-600, -600, -SKEW_SECONDS, False),
        (SKEW_SECONDS, 0, 600, True),
        (SKEW_SECONDS + 1, 0, 600, False),
        (0, SKEW_SECONDS + 1, 600, False),
    ],
)
def test_a_token_holds_for_a_short_while(brand: Api, *, begins: int, issued: int, ends: int, holds: bool) -> None:
    at = int(now(brand))
    times: dict[str, object] = {"nbf": at + begins, "iat": at + issued, "exp": at + ends}
    assert asked(brand, signed(claims_at(at, sub=ANN, **times)))[0] == (200 if holds else 401)


@pytest.mark.parametrize("value", ["soon", True, -1, 2**50, None, {}])
def test_times_are_numbers(brand: Api, value: object) -> None:
    claims = claims_at(now(brand), sub=ANN)
    assert asked(brand, signed({**claims, "exp": value})) == (401, "unauthorized")


@pytest.mark.parametrize(
    "subject",
    [None, "", "nobody", 7, f"member/{uuid('nobody')}", "member/x", f"MEMBER/{uuid('ann')}", "x" * 257, ["a"]],
)
def test_a_member_without_an_account_is_told_so(brand: Api, subject: object) -> None:
    assert asked(brand, signed(claims_at(now(brand), sub=subject))) == (403, "forbidden")


def test_a_closed_account_is_nobodys(brand: Api) -> None:
    brand.done("/v1/accounts", {"id": uuid("eve"), "kind": "member"})
    token = signed(claims_at(now(brand), sub=f"member/{uuid('eve')}"))
    assert asked(brand, token) == (200, None)
    brand.done(f"/v1/accounts/member/{uuid('eve')}/close", {"id": uuid("close eve")})
    assert asked(brand, token) == (403, "forbidden")


def test_the_brands_own_name_for_a_member_is_looked_up(brand: Api) -> None:
    body = {"external_ref": "crm-77", "locale": "en"}
    response = brand.call("PUT", f"/v1/accounts/{BOB}/personal", body=body)
    assert response.is_success, response.text
    assert asked(brand, signed(claims_at(now(brand), sub="crm-77"))) == (200, None)


def part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def forged(api: Api) -> dict[str, str]:
    """Return tokens that somebody made who has not the issuer's private key, or who confuses how it is used."""
    claims, issuer = claims_at(now(api), sub=ANN), issuer_of()
    good = signed(claims)
    head, body, signature = good.split(".")
    public = issuer.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    shared_head = f"{part({'alg': 'HS256', 'kid': issuer.key_id})}.{body}"
    shared = base64.urlsafe_b64encode(hmac.digest(public, shared_head.encode(), "sha256")).decode().rstrip("=")
    other = issuer_of("stranger")
    assert other.key_id != issuer.key_id
    return {
        "unsigned": f"{part({'alg': 'none', 'kid': issuer.key_id})}.{body}.",
        "a shared secret": f"{shared_head}.{shared}",
        "another's key": signed(claims, other),
        "another's key under this name": signed(claims, other, headers={"kid": issuer.key_id}),
        "another algorithm": jwt.encode(claims, rsa_key(), algorithm="RS256", headers={"kid": issuer.key_id}),
        "no key": jwt.encode(claims, issuer.key, algorithm="ES256"),
        "a long key id": signed(claims, headers={"kid": "k" * 129}),
        "critical": signed(claims, headers={"crit": ["exp"], "exp": 1}),
        "other words": f"{head}.{part({**claims, 'sub': BOB})}.{signature}",
        "cut": good[:-10],
        "two parts": f"{head}.{body}",
        "not a token": "a.b.c",
        "deep": f"{head}.{base64.urlsafe_b64encode(b'[' * 4_000).decode().rstrip('=')}.{signature}",
        "no object": f"{head}.{part([1])}.{signature}",
        "too long": signed({**claims, "padding": "x" * TOKEN_CHARACTERS_MAX}),
        "text that is none": "é" * 20,
    }


FORGED = (
    "unsigned",
    "a shared secret",
    "another's key",
    "another's key under this name",
    "another algorithm",
    "no key",
    "a long key id",
    "critical",
    "other words",
    "cut",
    "two parts",
    "not a token",
    "deep",
    "no object",
    "too long",
    "text that is none",
)


def test_every_forgery_is_tried(brand: Api) -> None:
    assert tuple(forged(brand)) == FORGED


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_token_is_refused(brand: Api, name: str) -> None:
    header = b"Bearer " + forged(brand)[name].encode("latin-1")
    response = brand.runner.run(brand.client.get(MINE, headers=[(b"authorization", header)]))
    assert (response.status_code, response.json()["code"]) == (401, "unauthorized")


def test_without_an_issuer_no_member_has_a_token(tmp_path_factory: pytest.TempPathFactory) -> None:
    with api_of(tmp_path_factory.mktemp("bare") / "aurora") as api:
        open_accounts(api)
        assert asked(api, signed(claims_at(now(api), sub=ANN))) == (401, "unauthorized")


def test_an_issuer_that_cannot_be_read_is_not_the_callers_fault(tmp_path_factory: pytest.TempPathFactory) -> None:
    directory = tmp_path_factory.mktemp("down")
    settings = {"oidc_issuer": ISSUER, "oidc_audience": "tallystick", "oidc_jwks": "missing.json"}
    with api_of(directory / "aurora", settings=settings) as api:
        open_accounts(api)
        assert asked(api, signed(claims_at(now(api), sub=ANN))) == (503, "issuer_unavailable")
