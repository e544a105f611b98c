"""A partner's parcel on its way through a node: taken in, written, answered.

Each step begins where the one before has ended, on whatever thread that was, and the event loop is woken once, for the
answer. What it takes to solve a route, and to come back to the loop after each step, was a fifth of what a parcel cost.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from http import HTTPStatus
from typing import Final, TypeVar

from node.api.problems import ProblemRaised
from node.services.arriving import arrival
from node.services.channel.exchange import Exchange
from protocol.errors import Code, TallystickError
from protocol.identifiers import Ledger

_T = TypeVar("_T")

PARCEL_TYPE: Final = "application/vnd.tallystick.parcel.v1+json"

_UNKNOWN: Final = "partner_unknown"
_THREADS: Final = ThreadPoolExecutor(32, thread_name_prefix="parcel")
"""Threads of their own: a partner's epoch may be opened here, which waits for a commit, and nobody else is to."""


async def answer_to(exchange: Exchange, parcel: bytes) -> bytes:
    """Take in a partner's parcel, and return the one that answers it once all it has led to is durable.

    Raises what `Exchange.receive` and the commit raise; an unknown partner is told that it may not come in. No thread
    waits for the commit: parcels of many partners would keep all of them from others.
    """
    passage = _Passage(exchange, parcel)
    _THREADS.submit(copy_context().run, passage.take)
    return await arrival(passage.answer)


def for_partners(call: Callable[[], _T]) -> _T:
    """Return what `call` returns; an unknown partner is told that it may not come in."""
    try:
        return call()
    except TallystickError as error:
        if error.code != _UNKNOWN:
            raise
        # To a stranger an unknown sender is no missing resource: it is not let in.
        raise ProblemRaised(Code.PARTNER_UNKNOWN, str(error), status=HTTPStatus.FORBIDDEN) from error


class _Passage:
    """One parcel under way; whatever befalls it is told by `answer`."""

    def __init__(self, exchange: Exchange, parcel: bytes) -> None:
        self._exchange = exchange
        self._parcel = parcel
        self.answer: Future[bytes] = Future()

    def take(self) -> None:
        """Queue the parcel, and go on once it is written."""
        try:
            sender, applied = for_partners(partial(self._exchange.receive, self._parcel, posted=True))
        except BaseException as failure:  # noqa: BLE001 - whoever waits is told
            self.answer.set_exception(failure)
        else:
            # What is logged there names the request, too.
            applied.add_done_callback(partial(self._written, partial(copy_context().run, self._reply, sender)))

    def _written(self, reply: Callable[[], None], applied: "Future[int]") -> None:
        """Have the answer made: on a thread, since this one is the writer's."""
        try:
            applied.result()
            _THREADS.submit(reply)
        except BaseException as failure:  # noqa: BLE001 - whoever waits is told
            self.answer.set_exception(failure)

    def _reply(self, sender: Ledger) -> None:
        try:
            answer = for_partners(partial(self._exchange.reply, sender))
        except BaseException as failure:  # noqa: BLE001 - whoever waits is told
            self.answer.set_exception(failure)
        else:
            self.answer.set_result(answer)
