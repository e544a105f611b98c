"""Problem details (RFC 9457): how every refusal is told, and the one table from codes to HTTP status."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Final, TypeAlias

import msgspec
from starlette.exceptions import HTTPException
from starlette.responses import Response

from node.services.access.rates import RateLimited
from node.services.refusals import NodeCode
from protocol import errors as documents_errors
from protocol.errors import Code, TallystickError
from protocol.ledger.limiting import LimitReached

MEDIA_TYPE: Final = "application/problem+json"
ERRORS_MAX: Final = 16
"""How many wrong fields one problem names."""

_CONFLICT: Final = (
    Code.ACCOUNT_BUSY,
    Code.ACCOUNT_CLOSED,
    Code.ACCOUNT_EXISTS,
    Code.ACCOUNT_FROZEN,
    Code.ACCOUNT_NOT_FROZEN,
    Code.KIND_NOT_ALLOWED,
    Code.LIMIT_REACHED,
    Code.PROGRAM_UNCHANGED,
    Code.REVIEW_CLOSED,
    Code.REVIEW_REQUIRED,
    Code.TRANSFER_CLOSED,
    Code.TRANSFER_COOLING_OFF,
    Code.TRANSFER_LAPSED,
    Code.TRANSFER_NOT_LAPSED,
    Code.ACCOUNT_IMPORTING,
    Code.ACCOUNT_NOT_EMPTY,
    Code.ACTION_DECIDED,
    Code.ACTION_EXISTS,
    Code.ACTION_EXPIRED,
    Code.AGREEMENT_EXISTS,
    Code.AGREEMENT_LOOP,
    Code.APPROVAL_MISSING,
    Code.APPEAL_DECIDED,
    Code.APPEAL_FULL,
    Code.CAP_REACHED,
    Code.CONVERSION_DECIDED,
    Code.CONVERSION_EXISTS,
    Code.FOUR_EYES,
    Code.HOLD_CLOSED,
    Code.HOLD_OF_CONVERSION,
    Code.ID_REUSED,
    Code.IMPORT_MISMATCH,
    Code.IMPORT_OPEN,
    Code.IN_FLIGHT_LIMIT,
    Code.LEDGER_EXISTS,
    Code.LINK_COOLING_OFF,
    Code.LINK_EXHAUSTED,
    Code.LINK_EXISTS,
    Code.LINK_EXPIRED,
    Code.LINK_REVOKED,
    Code.MEMBER_LIMIT,
    Code.LINES_TOO_MANY,
    Code.LOT_NOT_DUE,
    Code.LINE_DISPUTED,
    Code.PARTNER_BUSY,
    Code.PARTNER_ENDED,
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
    Code.REVERSAL_EXCEEDED,
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
        NodeCode.NOT_WRITING.value,
        NodeCode.SIGNER_REFUSED.value,
        NodeCode.SIGNER_UNAVAILABLE.value,
    }
)
"""What is told in full: an operator is to do something, and the text says what."""

_NODE: Final[Mapping[NodeCode, HTTPStatus]] = {
    NodeCode.BUSY: HTTPStatus.SERVICE_UNAVAILABLE,
    NodeCode.CERTIFICATE_MISSING: HTTPStatus.FORBIDDEN,
    NodeCode.CREDENTIAL_LAST: HTTPStatus.CONFLICT,
    NodeCode.CREDENTIAL_UNKNOWN: HTTPStatus.NOT_FOUND,
    NodeCode.CONSENT_TRIES: HTTPStatus.TOO_MANY_REQUESTS,
    NodeCode.CONSENT_UNKNOWN: HTTPStatus.NOT_FOUND,
    NodeCode.FINGERPRINT_MISMATCH: HTTPStatus.UNPROCESSABLE_ENTITY,
    NodeCode.FORBIDDEN: HTTPStatus.FORBIDDEN,
    NodeCode.FORK_REFUSED: HTTPStatus.SERVICE_UNAVAILABLE,
    NodeCode.HEAD_TOO_LARGE: HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    NodeCode.HTTP_INVALID: HTTPStatus.BAD_REQUEST,
    NodeCode.INTERNAL: HTTPStatus.INTERNAL_SERVER_ERROR,
    NodeCode.ISSUER_UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
    NodeCode.JSON_INVALID: HTTPStatus.BAD_REQUEST,
    NodeCode.LINK_REQUEST_UNKNOWN: HTTPStatus.NOT_FOUND,
    NodeCode.LOG_INCONSISTENT: HTTPStatus.CONFLICT,
    NodeCode.LOG_UNREACHABLE: HTTPStatus.CONFLICT,
    NodeCode.METHOD_NOT_ALLOWED: HTTPStatus.METHOD_NOT_ALLOWED,
    NodeCode.NOT_FOUND: HTTPStatus.NOT_FOUND,
    NodeCode.NOT_WRITING: HTTPStatus.SERVICE_UNAVAILABLE,
    NodeCode.PARTNER_UNREACHABLE: HTTPStatus.CONFLICT,
    NodeCode.PAYLOAD_TOO_LARGE: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    NodeCode.PERSON_UNKNOWN: HTTPStatus.NOT_FOUND,
    NodeCode.PROPOSALS_CROSS: HTTPStatus.CONFLICT,
    NodeCode.PROPOSALS_FULL: HTTPStatus.CONFLICT,
    NodeCode.PROPOSAL_UNKNOWN: HTTPStatus.NOT_FOUND,
    NodeCode.REDIRECT_UNREGISTERED: HTTPStatus.UNPROCESSABLE_ENTITY,
    NodeCode.REFERENCE_TAKEN: HTTPStatus.CONFLICT,
    NodeCode.RATE_LIMITED: HTTPStatus.TOO_MANY_REQUESTS,
    NodeCode.REQUEST_INVALID: HTTPStatus.UNPROCESSABLE_ENTITY,
    NodeCode.REQUEST_TIMEOUT: HTTPStatus.REQUEST_TIMEOUT,
    NodeCode.SIGNER_REFUSED: HTTPStatus.SERVICE_UNAVAILABLE,
    NodeCode.SIGNER_UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
    NodeCode.STOPPED: HTTPStatus.SERVICE_UNAVAILABLE,
    NodeCode.STORE_BUSY: HTTPStatus.SERVICE_UNAVAILABLE,
    NodeCode.STORE_CORRUPT: HTTPStatus.INTERNAL_SERVER_ERROR,
    NodeCode.STORE_FAILED: HTTPStatus.SERVICE_UNAVAILABLE,
    NodeCode.STORE_FULL: HTTPStatus.INSUFFICIENT_STORAGE,
    NodeCode.STORE_NEWER: HTTPStatus.SERVICE_UNAVAILABLE,
    NodeCode.STORE_READ_ONLY: HTTPStatus.SERVICE_UNAVAILABLE,
    NodeCode.UNAUTHORIZED: HTTPStatus.UNAUTHORIZED,
    NodeCode.UNSUPPORTED_MEDIA_TYPE: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    NodeCode.UNWITNESSED: HTTPStatus.SERVICE_UNAVAILABLE,
    NodeCode.VALUE_UNSTORABLE: HTTPStatus.UNPROCESSABLE_ENTITY,
    NodeCode.WEBHOOK_EXISTS: HTTPStatus.CONFLICT,
    NodeCode.WEBHOOK_UNKNOWN: HTTPStatus.NOT_FOUND,
    NodeCode.WEBHOOK_URL_REFUSED: HTTPStatus.UNPROCESSABLE_ENTITY,
    NodeCode.WEBHOOKS_FULL: HTTPStatus.CONFLICT,
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

    def __init__(
        self,
        code: NodeCode | Code,
        detail: str,
        *,
        status: HTTPStatus | None = None,
        errors: Sequence[FieldError] = (),
    ) -> None:
        super().__init__(status or STATUS[code.value], detail)
        self.code = code.value
        self.errors = errors

    def answer(self) -> Response:
        """Return the answer that tells it."""
        return problem(self.code, self.detail, status=HTTPStatus(self.status_code), errors=self.errors)


def problem(
    code: str,
    detail: str,
    *,
    status: HTTPStatus | None = None,
    errors: Sequence[FieldError] = (),
    headers: Mapping[str, str] | None = None,
    limit: LimitReached | None = None,
) -> Response:
    """Return the answer that refuses a request."""
    status = status or STATUS[code]
    document = problem_document(code, detail, status=status)
    if limit is not None:
        document["limit"] = {**msgspec.to_builtins(limit.limit), "left": limit.left, "free_on": limit.free_on}
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
    if isinstance(error, LimitReached):
        return problem(error.code, str(error), limit=error)
    if isinstance(error, RateLimited):
        return problem(error.code, str(error), headers=_rate_headers(error))
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR and error.code not in _TOLD:
        return problem(error.code, "the node cannot write now; repeat the request later", status=status)
    return problem(error.code, str(error), status=status)


def _rate_headers(error: RateLimited) -> Mapping[str, str]:
    """Return when to come back, and what the caller may ask (draft-ietf-httpapi-ratelimit-headers)."""
    return {
        "Retry-After": str(error.retry_after),
        "RateLimit-Policy": f'"minute";q={error.per_minute};w=60',
        "RateLimit": f'"minute";r=0;t={error.retry_after}',
    }


def title_of(code: str) -> str:
    """Return a code as a few words for a person."""
    return code.replace("_", " ").capitalize()


_BESIDE: Final[Mapping[str, str]] = {
    Code.ACCOUNT_UNKNOWN: Code.ACCOUNT_IMPORTING,
    Code.PARTNER_UNKNOWN: Code.PARTNER_ENDED,
}
"""Whatever asks for an account may meet one that is not imported yet, and for a partner one that has ended."""


def document_problems(codes: Iterable[str]) -> dict[int | str, dict[str, object]]:
    """Return the OpenAPI responses of a route that may be refused with `codes`, one a status."""
    grouped: dict[int, list[str]] = {}
    named = set(codes)
    for code in sorted(named | {beside for code, beside in _BESIDE.items() if code in named}):
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
