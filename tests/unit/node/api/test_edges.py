"""What holds before any route is met: members' apps in browsers, and partners' certificates."""

from collections.abc import Iterator

import httpx
import pytest

from node.api.app import create_app
from tests.support.api import Api, api_of

ORIGIN = "https://app.aurora.example"
ASKING = {"origin": ORIGIN, "access-control-request-method": "POST", "access-control-request-headers": "authorization"}


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with api_of(tmp_path_factory.mktemp("edges") / "aurora") as api:
        yield api


def call(api: Api, method: str, path: str, headers: dict[str, str], **options: object) -> httpx.Response:
    """Return what an application with other options than usual answers."""
    app = create_app(api.node, **options)  # type: ignore[arg-type]

    async def answered() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://node") as client:
            return await client.request(method, path, headers=headers)

    return api.runner.run(answered())


def test_a_members_app_may_ask_from_its_origin(node: Api) -> None:
    asked = call(node, "OPTIONS", "/v1/me", ASKING, origins=[ORIGIN])
    assert asked.status_code == 200
    assert asked.headers["access-control-allow-origin"] == ORIGIN
    assert "access-control-allow-credentials" not in asked.headers
    answer = call(node, "GET", "/v1/me", {"origin": ORIGIN}, origins=[ORIGIN])
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (401, ORIGIN)
    assert "x-request-id" in answer.headers


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/v1/me", {**ASKING, "origin": "https://elsewhere.example"}),
        ("/v1/me", {**ASKING, "origin": "null"}),
        ("/v1/accounts", ASKING),
        ("/v1/members", ASKING),
    ],
)
def test_no_other_origin_and_no_other_route(node: Api, path: str, headers: dict[str, str]) -> None:
    answer = call(node, "OPTIONS", path, headers, origins=[ORIGIN])
    assert "access-control-allow-origin" not in answer.headers


def test_nobody_may_without_a_setting(node: Api) -> None:
    assert "access-control-allow-origin" not in call(node, "GET", "/v1/me", {"origin": ORIGIN}).headers


@pytest.mark.parametrize("path", ["/peer/v1/envelopes", "/peer/v1/proposals", "/witness/v1/add-checkpoint"])
def test_partners_show_certificates_where_they_are_asked_to(node: Api, path: str) -> None:
    refused = call(node, "POST", path, {}, partners_show_certificates=True)
    assert (refused.status_code, refused.json()["code"]) == (403, "certificate_missing")
    assert "certificate_missing" not in call(node, "POST", path, {}).text
    assert call(node, "GET", "/livez", {}, partners_show_certificates=True).status_code == 200
