"""What a node refuses by itself, beside the rules of its ledger: each with a stable code."""

from enum import StrEnum, unique

from protocol.errors import TallystickError


@unique
class NodeCode(StrEnum):
    """The codes that are the node's own; those of the ledger are `protocol.errors.Code`."""

    BUSY = "busy"
    CERTIFICATE_MISSING = "certificate_missing"
    CREDENTIAL_LAST = "credential_last"
    CREDENTIAL_UNKNOWN = "credential_unknown"
    CONSENT_TRIES = "consent_tries"
    CONSENT_UNKNOWN = "consent_unknown"
    FINGERPRINT_MISMATCH = "fingerprint_mismatch"
    FORBIDDEN = "forbidden"
    HEAD_TOO_LARGE = "head_too_large"
    HTTP_INVALID = "http_invalid"
    INTERNAL = "internal"
    ISSUER_UNAVAILABLE = "issuer_unavailable"
    JSON_INVALID = "json_invalid"
    LINK_REQUEST_UNKNOWN = "link_request_unknown"
    LOG_INCONSISTENT = "log_inconsistent"
    LOG_UNREACHABLE = "log_unreachable"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    NOT_FOUND = "not_found"
    NOT_WRITING = "not_writing"
    PARTNER_UNREACHABLE = "partner_unreachable"
    PAYLOAD_TOO_LARGE = "payload_too_large"
    PERSON_UNKNOWN = "person_unknown"
    PROPOSALS_CROSS = "proposals_cross"
    PROPOSALS_FULL = "proposals_full"
    PROPOSAL_UNKNOWN = "proposal_unknown"
    REDIRECT_UNREGISTERED = "redirect_unregistered"
    REFERENCE_TAKEN = "reference_taken"
    RATE_LIMITED = "rate_limited"
    REQUEST_INVALID = "request_invalid"
    REQUEST_TIMEOUT = "request_timeout"
    SIGNER_REFUSED = "signer_refused"
    SIGNER_UNAVAILABLE = "signer_unavailable"
    STOPPED = "stopped"
    STORE_BUSY = "store_busy"
    STORE_CORRUPT = "store_corrupt"
    STORE_FAILED = "store_failed"
    STORE_FULL = "store_full"
    STORE_NEWER = "store_newer"
    STORE_READ_ONLY = "store_read_only"
    FORK_REFUSED = "fork_refused"
    UNAUTHORIZED = "unauthorized"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    UNWITNESSED = "unwitnessed"
    VALUE_UNSTORABLE = "value_unstorable"
    WEBHOOK_EXISTS = "webhook_exists"
    WEBHOOK_UNKNOWN = "webhook_unknown"
    WEBHOOK_URL_REFUSED = "webhook_url_refused"
    WEBHOOKS_FULL = "webhooks_full"


class NodeRefusal(TallystickError):
    """The node refuses a request; nothing was written. `refusal.code` says why."""

    def __init__(self, code: NodeCode, detail: str) -> None:
        super().__init__(detail)
        self.code = code.value
        self.detail = detail
