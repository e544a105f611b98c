"""What routes share that take many items at once: what became of each, or which one refused all of them."""

from collections.abc import Callable, Sequence
from functools import partial
from http import HTTPStatus
from typing import Final, Protocol, TypeVar

import msgspec
from starlette.responses import Response

from node.api.fields import Body
from node.api.problems import STATUS, problem, problem_document
from node.api.routes import answered
from node.api.threads import on_thread
from node.services.batches import ItemRefused
from node.services.pending import Pending
from node.services.written import AnswerRow
from protocol.errors import Refusal

_I = TypeVar("_I")
_I_contra = TypeVar("_I_contra", contravariant=True)

THREAD_ITEMS: Final = 128
"""More items are made ready on a thread, while the loop serves others."""


class WriteEach(Protocol[_I_contra]):
    """A service's way to write many items in one commit, with `atomic` all or none."""

    def __call__(self, items: Sequence[_I_contra], /, *, atomic: bool) -> Pending[list[AnswerRow | Refusal]]:
        """Write `items`; the answers are to be encoded, and nothing else."""


class BatchItemProblem(Body):
    """Why an item was refused."""

    type: str
    title: str
    status: int
    code: str
    detail: str


class _Done(msgspec.Struct, frozen=True):
    """What became of an item, on its way out."""

    status: int
    answer: AnswerRow


class _Refused(msgspec.Struct, frozen=True):
    status: int
    problem: dict[str, object]


async def do_each(
    write_each: WriteEach[_I], items: Sequence[_I], *, atomic: bool, status_of: Callable[[AnswerRow], HTTPStatus]
) -> Response:
    """Do many items in one commit; return what became of each once it is durable, or which one refused all."""
    write = partial(write_each, items, atomic=atomic)
    pending = await on_thread(write) if len(items) > THREAD_ITEMS else write()
    try:
        results = await pending.wait()
    except ItemRefused as refused:
        return item_refused(refused)
    return answered({"results": [_result(each, status_of) for each in results]})


def item_refused(refused: ItemRefused, *, field: str = "items") -> Response:
    """Return the answer that refuses all items of `field` for one of them, and names it."""
    return problem(refused.code, refused.detail, errors=[(f"{field}.{refused.index}", refused.detail)])


def _result(result: AnswerRow | Refusal, status_of: Callable[[AnswerRow], HTTPStatus]) -> "_Done | _Refused":
    if isinstance(result, Refusal):
        return _Refused(STATUS[result.code].value, problem_document(result.code, result.detail))
    return _Done(status_of(result).value, result)
