"""The quick way: transactions, orders, balances and partners' parcels answered before any route is looked for.

Most of what a programme's systems and partners ask is one of a few requests, and finding their routes, solving
dependencies and checking bodies field by field took longer than writing the ledger. Here they are recognised by method
and path, read in one pass and answered. Whatever is not plainly right (an unknown token, a wrong field) goes the long
way instead, with its body if that was read: the routes say what is wrong, and only they do.
"""

import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeAlias, TypeVar

from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from node.api.admission import Admission
from node.api.conversions import do_order, do_orders, do_show
from node.api.edges import shows_certificate
from node.api.observed import REQUEST_ID_HEADER, Observer, failure_of
from node.api.parcels import PARCEL_TYPE, answer_to
from node.api.problems import ProblemRaised
from node.api.quick_bodies import read_batch, read_transaction
from node.api.quick_orders import read_order, read_orders, read_wait
from node.api.requests import BODY_BYTES_MAX, LARGE_BODY_BYTES_MAX, first_headers, plain_length
from node.api.routes import JSON, answered
from node.api.threads import on_thread
from node.api.transactions import do_batch, do_transaction
from node.services.access.credentials import SCOPES
from node.services.access.credentials import Scope as Permission
from node.services.node import Node
from node.services.refusals import NodeRefusal
from node.telemetry import log_context
from protocol.errors import TallystickError
from protocol.identifiers import HOLDER_PATTERN, UUID_PATTERN, Account, Id

_T = TypeVar("_T")

Refused: TypeAlias = Callable[[TallystickError], Response]
Answer: TypeAlias = Callable[[], Awaitable[Response]]

ACCOUNTS: Final = "/v1/accounts/"
CONVERSIONS: Final = "/v1/conversions/"
TRANSACT: Final = "/v1/transactions"
THREAD_BYTES: Final = 65_536
"""A longer body is read on a thread, while the loop serves others."""

_ACCOUNT: Final = re.compile(HOLDER_PATTERN)
_CONVERSION: Final = re.compile(UUID_PATTERN)
_BEARER: Final = b"bearer"
_EXPECTED: Final = JSON.encode("ascii")


@dataclass(frozen=True, slots=True)
class QuickRoute:
    """A route that has a quick way, what it asks of its caller (a partner signs), and how long its body may be."""

    route: APIRoute
    permission: Permission | None
    bytes_max: int = 0


class QuickWay:
    """In front of the whole application: answers what it knows at sight, and hands on everything else to `app`."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        node: Node,
        observer: Observer,
        routes: Sequence[APIRoute],
        refused: Refused,
        partners_show_certificates: bool = False,
    ) -> None:
        """Answer for `node` in the name of `routes`; `refused` makes the answer of what the services refuse."""
        by_name = {each.name: each for each in routes}
        self._app = app
        self.node = node
        self.observer = observer
        self.admission = Admission(node)
        self.refused = refused
        self._account = QuickRoute(by_name["show_account"], Permission.ACCOUNTS_READ)
        self._conversion = QuickRoute(by_name["show_conversion"], Permission.CONVERSIONS_READ)
        writes = Permission.TRANSACTIONS_WRITE
        posts = (
            QuickRoute(by_name["transact"], writes, BODY_BYTES_MAX),
            QuickRoute(by_name["transact_batch"], writes, LARGE_BODY_BYTES_MAX),
            QuickRoute(by_name["order_conversion"], Permission.CONVERSIONS_WRITE, BODY_BYTES_MAX),
            QuickRoute(by_name["order_conversions"], Permission.CONVERSIONS_WRITE, LARGE_BODY_BYTES_MAX),
        )
        self._parcel = QuickRoute(by_name["exchange"], None, LARGE_BODY_BYTES_MAX)
        self._posts = {each.route.path: each for each in (*posts, self._parcel)}
        self._certificates = partners_show_certificates

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        quick = self._quick(scope)
        length = None if quick is None else self._recognise(scope, quick)
        if quick is None or length is None:
            await self._app(scope, receive, send)
            return
        scope["route"] = quick.route
        began, request_id = time.perf_counter(), self.observer.request_id(scope)
        response: Response | None
        with log_context(request=request_id):
            try:
                response, receive = await self._answer(quick, length, scope, receive)
            except TallystickError as error:
                response = self.refused(error)
            except ProblemRaised as error:
                response = error.answer()
            except Exception as error:  # noqa: BLE001 - whoever asks is told
                response = failure_of(scope, error)
                if response is None:
                    return
        if response is None:
            await self._app(scope, receive, send)
            return
        response.raw_headers.append((REQUEST_ID_HEADER, request_id.encode("ascii")))
        await response(scope, receive, send)
        seconds = time.perf_counter() - began
        self.observer.answered(scope, request_id=request_id, status=response.status_code, seconds=seconds)

    def _quick(self, scope: Scope) -> QuickRoute | None:
        if scope["type"] != "http":
            return None
        path: str = scope["path"]
        plain = not scope["query_string"]
        if scope["method"] == "POST":
            return self._posts.get(path) if plain else None
        if scope["method"] != "GET":
            return None
        if plain and path.startswith(ACCOUNTS) and _ACCOUNT.fullmatch(path, len(ACCOUNTS)):
            return self._account
        if path.startswith(CONVERSIONS) and _CONVERSION.fullmatch(path, len(CONVERSIONS)):
            return self._conversion
        return None

    def let_in(self, scope: Scope) -> int | None:
        """Return the length of a single transaction whose caller is known at once, and count it; else None."""
        quick = self._posts[TRANSACT]
        length = self._recognise(scope, quick)
        if length is not None:
            scope["route"] = quick.route
        return length

    def _recognise(self, scope: Scope, quick: QuickRoute) -> int | None:
        """Return the length of the body if the caller is known at once and may do this, and count it; else None."""
        headers = first_headers(scope)
        length = plain_length(headers, quick.bytes_max)
        if quick.permission is None:
            return None if self._certificates and not shows_certificate(scope) else length
        if quick.bytes_max and not (length and _is_json(headers)):
            return None
        state = scope.setdefault("state", {})
        try:
            caller = self.node.callers.remembered(_token(headers))
            if caller is None or quick.permission not in SCOPES[caller.role]:
                return None
            if "caller" not in state:
                self.node.callers.count(caller)
        except NodeRefusal:
            return None
        # No other way need count it again.
        state["caller"] = caller
        return length or 0

    async def _answer(
        self, quick: QuickRoute, length: int, scope: Scope, receive: Receive
    ) -> tuple[Response | None, Receive]:
        """Return the answer; or None where the long way is to make it, with what gives it the body once more."""
        if quick is self._account:
            account = Account(scope["path"][len(ACCOUNTS) :])
            return answered(await on_thread(lambda: self.node.accounts.show(account))), receive
        if quick is self._conversion:
            return await self._state(scope), receive
        if quick is self._parcel:
            parcel = await _body(receive)
            return Response(await answer_to(self.node.exchange, parcel), media_type=PARCEL_TYPE), receive
        with self.admission.let_in(length):
            body = await _body(receive)
            answer = await self._read(quick, body, scope)
            return (None if answer is None else await answer()), _again(body, receive)

    async def _state(self, scope: Scope) -> Response | None:
        seconds = read_wait(scope["query_string"])
        if seconds is None:
            return None
        conversion = Id(scope["path"][len(CONVERSIONS) :])
        scope["path_params"] = {"conversion_id": conversion}
        return await do_show(self.node, conversion, wait_seconds=seconds)

    async def _read(self, quick: QuickRoute, body: bytes, scope: Scope) -> Answer | None:
        """Return what makes the answer to a body, or None where it is not plainly right."""
        node = self.node
        if quick.route.name == "transact":
            request = read_transaction(body)
            return None if request is None else lambda: do_transaction(node, request)
        if quick.route.name == "order_conversion":
            order = read_order(body)
            if order is None:
                return None
            scope["state"]["conversion"] = order.request.id
            return lambda: do_order(node, order)
        if quick.route.name == "order_conversions":
            many = await _made_of(body, read_orders)
            return None if many is None else lambda: do_orders(node, many.orders, atomic=many.atomic)
        asked = await _made_of(body, read_batch)
        return None if asked is None else lambda: do_batch(node, asked.requests, atomic=asked.atomic)


def _token(headers: Mapping[bytes, bytes]) -> str:
    scheme, _, rest = headers.get(b"authorization", b"").partition(b" ")
    return rest.decode("latin-1") if scheme.lower() == _BEARER else ""


def _is_json(headers: Mapping[bytes, bytes]) -> bool:
    kind = headers.get(b"content-type", b"")
    return kind == _EXPECTED or kind.partition(b";")[0].strip().lower() == _EXPECTED


async def _body(receive: Receive) -> bytes:
    """Return a body; the server lets it be no longer than it has said."""
    parts = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return parts[0] if len(parts) == 1 else b"".join(parts)


async def _made_of(body: bytes, read: Callable[[bytes], _T]) -> _T:
    """Return what `read` makes of a body."""
    return await on_thread(partial(read, body)) if len(body) > THREAD_BYTES else read(body)


def _again(body: bytes, receive: Receive) -> Receive:
    """Return what gives a body that was read once more."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return waiting.pop() if waiting else await receive()

    return again
