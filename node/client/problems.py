"""What a node refuses, as exceptions: one class a kind of refusal, and always the node's stable code."""

from http import HTTPStatus
from typing import Final

import msgspec

from protocol.errors import CouldNotCheck, TallystickError


class FieldFault(msgspec.Struct, frozen=True):
    """One field that a request has wrong."""

    field: str
    reason: str


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """A refusal as a node words it (RFC 9457), with our stable code; `type` is `urn:tallystick:problem:<code>`."""

    status: int
    code: str
    type: str = ""
    title: str = ""
    detail: str = ""
    errors: tuple[FieldFault, ...] = ()


class RequestRefused(TallystickError):
    """A node answered that it will not do it; `code` says why, and the same request will be refused again."""

    def __init__(self, problem: Problem) -> None:
        said = problem.detail or problem.title
        faults = [f"{fault.field}: {fault.reason}" for fault in problem.errors]
        # A node's detail says the first fault already.
        super().__init__("; ".join([said, *(fault for fault in faults if fault not in said)]))
        self.problem = problem
        self.code = problem.code


class RequestInvalid(RequestRefused):
    """The request itself is wrong: a field, an amount, a date, a document."""


class Unauthorized(RequestRefused):
    """The credential is missing, unknown, expired or revoked."""


class Forbidden(RequestRefused):
    """The credential's role may not do this."""


class NotFound(RequestRefused):
    """What the request names does not exist."""


class RequestConflicts(RequestRefused):
    """The state of things does not allow it now: read it, and decide anew."""


class NodeUnreachable(CouldNotCheck):
    """A node gave no answer that can be read, or said that it cannot answer now."""

    code = "node_unreachable"


class TokenUnreadable(NodeUnreachable):
    """The file that should hold the credential cannot be read: no node was asked."""

    code = "token_unreadable"


class NodeUnavailable(NodeUnreachable):
    """A node said that it cannot do it now; `problem.code` says why. Nothing was written, unless a repeat says so."""

    def __init__(self, problem: Problem, url: str) -> None:
        super().__init__(f"{url} cannot answer now: {problem.code}: {problem.detail or problem.title}")
        self.problem = problem


class TooManyRequests(NodeUnavailable):
    """The credential has asked too often; the node said after how long it may ask again."""


_BY_STATUS: Final = {
    HTTPStatus.UNAUTHORIZED: Unauthorized,
    HTTPStatus.FORBIDDEN: Forbidden,
    HTTPStatus.NOT_FOUND: NotFound,
    HTTPStatus.CONFLICT: RequestConflicts,
}


def raised_by(problem: Problem, url: str) -> TallystickError:
    """Return the exception that a problem of the node at `url` is."""
    if problem.status == HTTPStatus.TOO_MANY_REQUESTS:
        return TooManyRequests(problem, url)
    if problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return NodeUnavailable(problem, url)
    return _BY_STATUS.get(HTTPStatus(problem.status), RequestInvalid)(problem)
