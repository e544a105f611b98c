"""The direct way: a single transaction, answered by the server's own hand without a task of its own.

Whoever asks for one transaction a request pays for all that stands around it: a task, its events, two messages for the
answer and two writes on the connection took twice as long as reading what is asked. So the server hands over a small
request as soon as all of it is there, and is told the answer when it is durable. What is said is the quick way's, which
answers whatever this one passes over.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, TypeAlias

from starlette.types import Scope

from node.api.observed import REQUEST_ID_HEADER, failure_of
from node.api.quick import TRANSACT, QuickWay
from node.api.quick_bodies import read_transaction
from node.api.requests import first_headers, plain_length
from node.api.routes import JSON
from node.services.answers import encode_answer
from node.services.pending import Pending
from node.services.written import AnswerRow
from node.telemetry import log_context
from protocol.errors import TallystickError

BODY_BYTES_MAX: Final = 4_096
"""A longer body goes the quick way, which lets it in before it is read."""

_CREATED: Final = HTTPStatus.CREATED.value
_JSON: Final = (b"content-type", JSON.encode("ascii"))

Headers: TypeAlias = Sequence[tuple[bytes, bytes]]
Reply: TypeAlias = Callable[[int, Headers, bytes], None]
"""Sends a whole answer: its status, headers and body."""


@dataclass(slots=True)
class _Asked:
    """A request under way."""

    scope: Scope
    reply: Reply
    request_id: str
    length: int
    began: float


class DirectWay:
    """Answers a request that the server has read whole."""

    def __init__(self, quick: QuickWay) -> None:
        """Answer as `quick` does."""
        self._quick = quick

    def takes(self, scope: Scope) -> bool:
        """Return whether a request is to be handed over once its body is there."""
        if scope["path"] != TRANSACT or scope["method"] != "POST" or scope["query_string"]:
            return False
        return plain_length(first_headers(scope), BODY_BYTES_MAX) is not None

    def answer(self, scope: Scope, body: bytes, reply: Reply) -> bool:
        """Let `reply` send the answer once there is one, or return False where the application is to be asked."""
        quick = self._quick
        length = quick.let_in(scope)
        if length is None:
            return False
        asked = _Asked(scope, reply, quick.observer.request_id(scope), length, time.perf_counter())
        try:
            pending = self._ask(asked, body)
        except Exception as error:  # noqa: BLE001 - whoever asks is told
            self._fail(asked, error)
            return True
        if pending is not None:
            pending.tell(lambda answer: self._tell(asked, answer))
        return pending is not None

    def _ask(self, asked: _Asked, body: bytes) -> Pending[AnswerRow] | None:
        admission = self._quick.admission
        admission.enter(asked.length)
        try:
            request = read_transaction(body)
            pending = None if request is None else self._quick.node.points.write(request)
        except BaseException:
            admission.leave(asked.length)
            raise
        if pending is None:
            admission.leave(asked.length)
        return pending

    def _tell(self, asked: _Asked, answer: Callable[[], AnswerRow]) -> None:
        self._quick.admission.leave(asked.length)
        try:
            body = encode_answer(answer())
        except Exception as error:  # noqa: BLE001 - whoever asks is told
            self._fail(asked, error)
        else:
            self._send(asked, _CREATED, [(b"content-length", b"%d" % len(body)), _JSON], body)

    def _fail(self, asked: _Asked, error: Exception) -> None:
        with log_context(request=asked.request_id):
            response = (
                self._quick.refused(error) if isinstance(error, TallystickError) else failure_of(asked.scope, error)
            )
        if response is not None:
            self._send(asked, response.status_code, response.raw_headers, bytes(response.body))

    def _send(self, asked: _Asked, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        headers.append((REQUEST_ID_HEADER, asked.request_id.encode("ascii")))
        asked.reply(status, headers, body)
        self._quick.observer.answered(
            asked.scope,
            request_id=asked.request_id,
            status=status,
            seconds=time.perf_counter() - asked.began,
        )
