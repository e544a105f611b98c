"""What a node refuses by itself, beside the rules of its ledger: each with a stable code."""

from enum import StrEnum, unique

from protocol.errors import TallystickError


@unique
class NodeCode(StrEnum):
    """The codes that are the node's own; those of the ledger are `protocol.errors.Code`."""

    BUSY = "busy"
    FINGERPRINT_MISMATCH = "fingerprint_mismatch"
    FORBIDDEN = "forbidden"
    INTERNAL = "internal"
    JSON_INVALID = "json_invalid"
    LOG_INCONSISTENT = "log_inconsistent"
    LOG_UNREACHABLE = "log_unreachable"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    NOT_FOUND = "not_found"
    PAYLOAD_TOO_LARGE = "payload_too_large"
    PROPOSALS_CROSS = "proposals_cross"
    PROPOSALS_FULL = "proposals_full"
    PROPOSAL_UNKNOWN = "proposal_unknown"
    REQUEST_INVALID = "request_invalid"
    SIGNER_REFUSED = "signer_refused"
    SIGNER_UNAVAILABLE = "signer_unavailable"
    STOPPED = "stopped"
    STORE_BUSY = "store_busy"
    STORE_CORRUPT = "store_corrupt"
    STORE_FAILED = "store_failed"
    STORE_FULL = "store_full"
    STORE_READ_ONLY = "store_read_only"
    FORK_REFUSED = "fork_refused"
    UNAUTHORIZED = "unauthorized"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    UNWITNESSED = "unwitnessed"
    VALUE_UNSTORABLE = "value_unstorable"


class NodeRefusal(TallystickError):
    """The node refuses a request; nothing was written. `refusal.code` says why."""

    def __init__(self, code: NodeCode, detail: str) -> None:
        super().__init__(detail)
        self.code = code.value
        self.detail = detail
