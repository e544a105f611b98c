"""What routes share that take many items at once: what became of each, or which one refused all of them."""

from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus

import msgspec
from starlette.responses import Response

from node.api.fields import Body
from node.api.problems import STATUS, problem, problem_document
from node.api.routes import answered
from node.services.batches import ItemRefused
from node.services.written import AnswerRow
from protocol.errors import Refusal


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


async def answered_each(
    pending: Awaitable[Sequence[AnswerRow | Refusal]], status_of: Callable[[AnswerRow], HTTPStatus]
) -> Response:
    """Return what became of each item once that is known, or which one of them refused all."""
    try:
        results = await pending
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
