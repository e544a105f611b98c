"""What a request leaves in the log: no alarm over a caller who is gone, or over what the node refuses on purpose."""

import pytest
from starlette.types import Message, Scope
from structlog.testing import capture_logs

from node.api.app import create_app
from node.services.access.credentials import CallerRole
from node.store.errors import StoreFailed
from protocol.errors import Code, Refusal, TallystickError
from tests.support.api import ANN, Api


def scope_of(api: Api, path: str) -> Scope:
    headers = {
        "authorization": f"Bearer {api.token(CallerRole.ADMINISTRATOR)}",
        "content-type": "application/json",
        "content-length": "100",
    }
    return {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "server": ("node", 80),
        "client": ("caller", 1),
    }


@pytest.mark.parametrize(("path", "event"), [("/peer/v1/envelopes", "caller_gone"), ("/v1/accounts", "request")])
def test_a_caller_who_is_gone_in_the_middle_of_a_request_is_no_failure(api: Api, path: str, event: str) -> None:
    received: list[Message] = [
        {"type": "http.request", "body": b'{"id":', "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive() -> Message:
        return received.pop(0)

    async def send(message: Message) -> None:
        assert event == "request", message

    with capture_logs() as lines:
        api.runner.run(create_app(api.node)(scope_of(api, path), receive, send))
    assert [(line["event"], line["log_level"], line["route"]) for line in lines] == [(event, "info", path)]


@pytest.mark.parametrize(
    ("error", "level"),
    [
        (Refusal(Code.CLOCK, "it jumped"), "warning"),
        (StoreFailed("no disk"), "error"),
        (Refusal(Code.CHAIN_BROKEN, ""), "error"),
    ],
)
def test_only_what_fails_is_an_alarm(
    api: Api, monkeypatch: pytest.MonkeyPatch, error: TallystickError, level: str
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(api.node.accounts, "show", fail)
    with capture_logs() as lines:
        assert api.get(f"/v1/accounts/{ANN}").status_code >= 500
    assert [line["log_level"] for line in lines if line["event"] == "request_not_done"] == [level]
