"""The command line run in this process, with a stand-in where the node would be."""

from collections.abc import Callable
from dataclasses import dataclass

import httpx
import pytest

from node.cli.main import run
from tests.support.node_stand_in import NodeStandIn, answer

NODE = "http://node.example"


@dataclass(frozen=True)
class Finished:
    """What a command left behind."""

    status: int
    out: str
    err: str


Command = Callable[..., Finished]


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> NodeStandIn:
    """Return the node that every URL leads to; it has two partners."""
    stand_in = NodeStandIn()
    stand_in.on(
        "GET",
        "/v1/partners",
        answer(
            {
                "partners": [
                    {"ledger": "bluebird.example/main.1", "points": "BLU", "url": "http://b", "channel": "ready"},
                    {"ledger": "cedar.example/main.1", "points": "CED", "agreement": "ab" * 32},
                ]
            }
        ),
    )

    def handle(_transport: httpx.HTTPTransport, request: httpx.Request) -> httpx.Response:
        request.read()
        return stand_in.handle(request)

    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", handle)
    return stand_in


@pytest.fixture
def tallystick(
    node: NodeStandIn,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Command:
    """Return a function that runs a command line against the stand-in."""
    token = tmp_path_factory.mktemp("tokens") / "backend.token"
    token.write_text("ts_backend_00000000_secret\n")
    monkeypatch.setenv("TALLYSTICK_NODE", NODE)
    monkeypatch.setenv("TALLYSTICK_TOKEN_FILE", str(token))
    monkeypatch.setenv("COLUMNS", "200")

    def run_command(*arguments: str) -> Finished:
        capsys.readouterr()
        status = run(arguments)
        said = capsys.readouterr()
        return Finished(status, said.out, said.err)

    return run_command
