"""A stand-in for a node's HTTP API: answers by method and path, and remembers what it was asked."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx

Answer = Callable[[httpx.Request], httpx.Response]


def answer(body: object, *, status: int = 200) -> Answer:
    """Return an answer with a JSON body."""
    return lambda _request: httpx.Response(status, json=body)


def refuse(status: int, code: str, detail: str = "no", **more: object) -> Answer:
    """Return a problem document."""
    document = {"type": f"urn:tallystick:problem:{code}", "title": code, "status": status, "code": code} | more
    content = json.dumps({**document, "detail": detail})
    headers = {"Content-Type": "application/problem+json"}
    return lambda _request: httpx.Response(status, content=content, headers=headers)


def break_off(_request: httpx.Request) -> httpx.Response:
    """Lose the answer, as a node does that closes an idle connection."""
    raise httpx.RemoteProtocolError("Server disconnected without sending a response.")


def be_away(_request: httpx.Request) -> httpx.Response:
    """Be unreachable."""
    raise httpx.ConnectError("Connection refused")


@dataclass
class NodeStandIn:
    """Answers each route with its answers in turn, the last one again and again."""

    routes: dict[tuple[str, str], list[Answer]] = field(default_factory=dict)
    requests: list[httpx.Request] = field(default_factory=list)

    def on(self, method: str, path: str, *answers: Answer) -> None:
        """Answer `method` on `path` so."""
        self.routes[method, path] = list(answers)

    def handle(self, request: httpx.Request) -> httpx.Response:
        """Answer a request."""
        self.requests.append(request)
        answers = self.routes.get((request.method, request.url.path), [refuse(404, "not_found")])
        chosen = answers.pop(0) if len(answers) > 1 else answers[0]
        return chosen(request)

    @property
    def transport(self) -> httpx.MockTransport:
        """Return a transport that ends here."""
        return httpx.MockTransport(self.handle)

    def body(self, at: int = -1) -> dict[str, object]:
        """Return the JSON body of a request that came in."""
        body: dict[str, object] = json.loads(self.requests[at].content)
        return body
