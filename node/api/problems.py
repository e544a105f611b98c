"""Problem details (RFC 9457): how every refusal is told, and the one table from codes to HTTP status."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Final, TypeAlias

import msgspec
from starlette.exceptions import HTTPException
from starlette.responses import Response

from node.services.refusals import NodeCode
from protocol import errors as documents_errors
from protocol.errors import Code, TallystickError

MEDIA_TYPE: Final = "application/problem+json"
ERRORS_MAX: Final = 16
"""How many wrong fields one problem names."""

_CONFLICT: Final = (
    Code.ACCOUNT_BUSY,
    Code.ACCOUNT_CLOSED,
    Code.ACCOUNT_EXISTS,
    Code.ACCOUNT_NOT_EMPTY,
    Code.AGREEMENT_EXISTS,
    Code.AGREEMENT_LOOP,
    Code.CAP_REACHED,
    Code.CONVERSION_DECIDED,
    Code.CONVERSION_EXISTS,
    Code.HOLD_CLOSED,
    Code.HOLD_OF_CONVERSION,
    Code.ID_REUSED,
    Code.IN_FLIGHT_LIMIT,
    Code.LEDGER_EXISTS,
    Code.LINK_EXISTS,
    Code.MEMBER_LIMIT,
    Code.LINES_TOO_MANY,
    Code.LINE_DISPUTED,
    Code.PARTNER_EXISTS,
    Code.PARTNER_NOT_SUSPENDED,
    Code.PARTNER_SUSPENDED,
    Code.PAYMENT_MISMATCH,
    Code.STATEMENT_MISMATCH,
    Code.WINDOW_AGREED,
    Code.WINDOW_CLOSED,
    Code.WINDOW_CONFIRMED,
    Code.WINDOW_MISMATCH,
    Code.WINDOW_NOT_AGREED,
    Code.WINDOW_NOT_PAID,
    Code.WINDOW_NOT_RECONCILED,
    Code.WINDOW_OPEN,
    Code.WINDOW_PAID,
    Code.REFUND_EXCEEDED,
    Code.RECOVERY_MISMATCH,
    Code.SUCCESSION_INVALID,
)
_WAITS: Final = frozenset({Code.CLOCK, Code.RECOVERING, Code.START_UNANSWERED, Code.STORE_BEHIND})
"""To a caller, a node that cannot write now: until an operator has looked at it, or partners have answered."""

_TOLD: Final = frozenset(
    {
        Code.RECOVERING.value,
        Code.START_UNANSWERED.value,
        Code.STORE_BEHIND.value,
        NodeCode.SIGNER_REFUSED.value,
        NodeCode.SIGNER_UNAVAILABLE.value,
    }
)
"""What is told in full: an operator is to do something, and the text says what."""

_NODE: Final[Mapping[NodeCode, HTTPStatus]] = {
    NodeCode.BUSY: HTTPStatus.SERVICE_UNAVAILABLE,
    NodeCode.FINGERPRINT_MISMATCH: HTTPStatus.UNPROCESSABLE_ENTITY,
    NodeCode.FORBIDDEN: HTTPStatus.FORBIDDEN,
    NodeCode.FORK_REFUSED: HTTPStatus.SERVICE_UNAVAILABLE,
    NodeCode.INTERNAL: HTTPStatus.INTERNAL_SERVER_ERROR,
    NodeCode.JSON_INVALID: HTTPStatus.BAD_REQUEST,
    NodeCode.LOG_INCONSISTENT: HTTPStatus.CONFLICT,
    NodeCode.LOG_UNREACHABLE: HTTPStatus.CONFLICT,
    NodeCode.METHOD_NOT_ALLOWED: HTTPStatus.METHOD_NOT_ALLOWED,
    NodeCode.NOT_FOUND: HTTPStatus.NOT_FOUND,
    NodeCode.PAYLOAD_TOO_LARGE: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    NodeCode.PROPOSALS_CROSS: HTTPStatus.CONFLICT,
    NodeCode.PROPOSALS_FULL: HTTPStatus.CONFLICT,
    NodeCode.PROPOSAL_UNKNOWN: HTTPStatus.NOT_FOUND,
    NodeCode.REQUEST_INVALID: HTTPStatus.UNPROCESSABLE_ENTITY,
    NodeCode.SIGNER_REFUSED: HTTPStatus.SERVICE_UNAVAILABLE,
    NodeCode.SIGNER_UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
    NodeCode.STOPPED: HTTPStatus.SERVICE_UNAVAILABLE,
    NodeCode.STORE_BUSY: HTTPStatus.SERVICE_UNAVAILABLE,
    NodeCode.STORE_CORRUPT: HTTPStatus.INTERNAL_SERVER_ERROR,
    NodeCode.STORE_FAILED: HTTPStatus.SERVICE_UNAVAILABLE,
    NodeCode.STORE_FULL: HTTPStatus.INSUFFICIENT_STORAGE,
    NodeCode.STORE_READ_ONLY: HTTPStatus.SERVICE_UNAVAILABLE,
    NodeCode.UNAUTHORIZED: HTTPStatus.UNAUTHORIZED,
    NodeCode.UNSUPPORTED_MEDIA_TYPE: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    NodeCode.UNWITNESSED: HTTPStatus.SERVICE_UNAVAILABLE,
    NodeCode.VALUE_UNSTORABLE: HTTPStatus.UNPROCESSABLE_ENTITY,
}


def _document_codes() -> Iterator[str]:
    for each in vars(documents_errors).values():
        if isinstance(each, type) and issubclass(each, documents_errors.ProtocolError):
            yield each.code


def _status_of(code: Code) -> HTTPStatus:
    if code in _CONFLICT:
        return HTTPStatus.CONFLICT
    if code in {Code.CHAIN_BROKEN, Code.LEDGER_MISSING}:
        return HTTPStatus.INTERNAL_SERVER_ERROR
    if code in _WAITS:
        return HTTPStatus.SERVICE_UNAVAILABLE
    return HTTPStatus.NOT_FOUND if code.endswith("_unknown") else HTTPStatus.UNPROCESSABLE_ENTITY


STATUS: Final[Mapping[str, HTTPStatus]] = {
    **dict.fromkeys(_document_codes(), HTTPStatus.UNPROCESSABLE_ENTITY),
    **{code.value: _status_of(code) for code in Code},
    **{code.value: status for code, status in _NODE.items()},
}
"""The HTTP status of every code: of documents that do not hold, of the ledger's refusals, and of the node's own."""

FieldError: TypeAlias = tuple[str, str]
"""A field of the request, and why it cannot be used."""


class ProblemRaised(HTTPException):
    """A refusal that the HTTP layer itself makes. FastAPI lets it pass where it would reword other exceptions."""

    def __init__(self, code: NodeCode | Code, detail: str, *, status: HTTPStatus | None = None) -> None:
        super().__init__(status or STATUS[code.value], detail)
        self.code = code.value


def problem(
    code: str,
    detail: str,
    *,
    status: HTTPStatus | None = None,
    errors: Sequence[FieldError] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return the answer that refuses a request."""
    status = status or STATUS[code]
    document = problem_document(code, detail, status=status)
    if errors:
        document["errors"] = [{"field": field, "reason": reason} for field, reason in errors[:ERRORS_MAX]]
    return Response(
        msgspec.json.encode(document),
        status_code=status.value,
        media_type=MEDIA_TYPE,
        headers={"Cache-Control": "no-store", **_headers_of(status), **(headers or {})},
    )


def problem_document(code: str, detail: str, *, status: HTTPStatus | None = None) -> dict[str, object]:
    """Return a refusal as a problem's members."""
    return {
        "type": f"urn:tallystick:problem:{code}",
        "title": title_of(code),
        "status": (status or STATUS[code]).value,
        "code": code,
        "detail": detail,
    }


def problem_of(error: TallystickError) -> Response:
    """Return the answer that tells a refusal of the services; what is the node's own fault is told without detail."""
    status = STATUS.get(error.code, HTTPStatus.INTERNAL_SERVER_ERROR)
    if error.code not in STATUS or status is HTTPStatus.INTERNAL_SERVER_ERROR:
        return problem(NodeCode.INTERNAL, "the node failed; nothing was written unless a repeat says so")
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR and error.code not in _TOLD:
        return problem(error.code, "the node cannot write now; repeat the request later", status=status)
    return problem(error.code, str(error), status=status)


def title_of(code: str) -> str:
    """Return a code as a few words for a person."""
    return code.replace("_", " ").capitalize()


def document_problems(codes: Iterable[str]) -> dict[int | str, dict[str, object]]:
    """Return the OpenAPI responses of a route that may be refused with `codes`, one a status."""
    grouped: dict[int, list[str]] = {}
    for code in sorted(set(codes)):
        grouped.setdefault(STATUS[code].value, []).append(code)
    return {status: _response(status, group) for status, group in sorted(grouped.items())}


def _response(status: int, codes: Sequence[str]) -> dict[str, object]:
    return {
        "description": f"{HTTPStatus(status).phrase}: {', '.join(codes)}",
        "content": {
            MEDIA_TYPE: {
                "schema": {"$ref": "#/components/schemas/Problem"},
                "example": problem_document(codes[0], "why, in a sentence"),
            }
        },
    }


def _headers_of(status: HTTPStatus) -> Mapping[str, str]:
    if status is HTTPStatus.UNAUTHORIZED:
        return {"WWW-Authenticate": "Bearer"}
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        return {"Retry-After": "1"}
    return {}
