"""Every way in which data, a command or a check can fail, each with a stable code.

Three things are told apart: data that breaks a rule of the formats (`ProtocolError`), a command that a rule of the
ledger refuses (`Refusal`), and a check that lacks what it needs (`CouldNotCheck`). Codes never change; texts may.
"""

from enum import StrEnum, unique


class TallystickError(Exception):
    """The root of all errors that this project raises on purpose."""

    code: str = "error"


class ProtocolError(TallystickError):
    """Bytes, a document or a proof from outside breaks a rule of its format."""

    code = "protocol_error"


class EncodingInvalid(ProtocolError):
    """Bytes are not the canonical encoding of a value in the restricted JSON subset."""

    code = "encoding_invalid"


class IdentifierInvalid(ProtocolError):
    """A name or id does not follow its grammar."""

    code = "identifier_invalid"


class KeyInvalid(ProtocolError):
    """A key, key file or verifier key cannot be read."""

    code = "key_invalid"


class SignatureInvalid(ProtocolError):
    """A signature does not verify, or is missing where one is required."""

    code = "signature_invalid"


class NoteInvalid(ProtocolError):
    """Bytes are not a C2SP signed note."""

    code = "note_invalid"


class CheckpointInvalid(ProtocolError):
    """A note's text is not a C2SP checkpoint."""

    code = "checkpoint_invalid"


class ProofInvalid(ProtocolError):
    """A Merkle proof does not lead to the claimed root."""

    code = "proof_invalid"


class TileInvalid(ProtocolError):
    """A tile, an entry bundle or a tile path is malformed."""

    code = "tile_invalid"


class AddCheckpointInvalid(ProtocolError):
    """Bytes are not a request to a witness, or not the answer to one (C2SP tlog-witness)."""

    code = "add_checkpoint_invalid"


class PolicyInvalid(ProtocolError):
    """Bytes are not a trust policy (C2SP tlog-policy), or it contradicts itself."""

    code = "policy_invalid"


class EntryInvalid(ProtocolError):
    """Bytes are not a ledger entry."""

    code = "entry_invalid"


class BodyInvalid(ProtocolError):
    """Bytes are not a message body."""

    code = "body_invalid"


class EnvelopeInvalid(ProtocolError):
    """An envelope, its frames or its bodies are malformed or do not belong together."""

    code = "envelope_invalid"


class AgreementInvalid(ProtocolError):
    """An agreement's document is malformed or contradicts itself."""

    code = "agreement_invalid"


class ProgramInvalid(ProtocolError):
    """A program's terms are malformed or contradict themselves."""

    code = "program_invalid"


class StatementInvalid(ProtocolError):
    """A settlement statement's document is malformed, contradicts itself or does not follow the one before."""

    code = "statement_invalid"


class LinkInvalid(ProtocolError):
    """An account link's document is malformed."""

    code = "link_invalid"


class InvitationInvalid(ProtocolError):
    """A partner invitation's document is malformed."""

    code = "invitation_invalid"


class EvidenceInvalid(ProtocolError):
    """A file of evidence does not show what it claims."""

    code = "evidence_invalid"


class ExchangeFileInvalid(ProtocolError):
    """Bytes are not an exchange file, or it contradicts itself."""

    code = "exchange_file_invalid"


class ExchangeFileIncomplete(ExchangeFileInvalid):
    """An exchange file ends before its trailer."""

    code = "exchange_file_incomplete"


class ExchangeFileDamaged(ExchangeFileInvalid):
    """An exchange file's lines are not those that its trailer was made for."""

    code = "exchange_file_damaged"


class ExchangeFileMisaddressed(ExchangeFileInvalid):
    """An exchange file is for another ledger."""

    code = "exchange_file_misaddressed"


class ReconciliationInvalid(ProtocolError):
    """Bytes are not a partner's daily file, or two of them are not of one day between the same ledgers."""

    code = "reconciliation_invalid"


class CouldNotCheck(TallystickError):
    """A check lacks what it needs: neither held nor disproved."""

    code = "could_not_check"


class QuorumMissing(CouldNotCheck):
    """Too few of the witnesses that a trust policy asks for have cosigned; later cosignatures may make it enough.

    `lines` say of each group of the policy who has, and who is missing.
    """

    code = "quorum_missing"

    def __init__(self, text: str, *, lines: tuple[str, ...] = ()) -> None:
        super().__init__(text)
        self.lines = lines


@unique
class Code(StrEnum):
    """The stable codes of refusals, as programs and peers see them."""

    ACCOUNT_BUSY = "account_busy"
    ACCOUNT_CLOSED = "account_closed"
    ACCOUNT_EXISTS = "account_exists"
    ACCOUNT_FROZEN = "account_frozen"
    ACCOUNT_IMPORTING = "account_importing"
    ACCOUNT_NOT_EMPTY = "account_not_empty"
    ACCOUNT_NOT_FROZEN = "account_not_frozen"
    ACCOUNT_UNKNOWN = "account_unknown"
    ACTION_DECIDED = "action_decided"
    ACTION_EXISTS = "action_exists"
    ACTION_EXPIRED = "action_expired"
    ACTION_UNKNOWN = "action_unknown"
    AGREEMENT_EXISTS = "agreement_exists"
    AGREEMENT_INVALID = "agreement_invalid"
    AGREEMENT_LAPSED = "agreement_lapsed"
    AGREEMENT_LOOP = "agreement_loop"
    AGREEMENT_NOT_YET = "agreement_not_yet"
    AGREEMENT_UNKNOWN = "agreement_unknown"
    AMOUNT_INVALID = "amount_invalid"
    AMOUNT_MISMATCH = "amount_mismatch"
    APPEAL_DECIDED = "appeal_decided"
    APPEAL_FULL = "appeal_full"
    APPEAL_MISMATCH = "appeal_mismatch"
    APPEAL_UNKNOWN = "appeal_unknown"
    APPROVAL_MISSING = "approval_missing"
    ASSETS_INVALID = "assets_invalid"
    BALANCE_OVERFLOW = "balance_overflow"
    CANCELLED = "cancelled"
    CAP_REACHED = "cap_reached"
    CHAIN_BROKEN = "chain_broken"
    CLOCK = "clock"
    CONVERSION_DECIDED = "conversion_decided"
    CONVERSION_EXISTS = "conversion_exists"
    CONVERSION_MODIFIED = "conversion_modified"
    CONVERSION_UNKNOWN = "conversion_unknown"
    DATE_INVALID = "date_invalid"
    DECISION_MISMATCH = "decision_mismatch"
    ENTRY_TOO_LARGE = "entry_too_large"
    EXPIRED = "expired"
    EXPIRY_MISMATCH = "expiry_mismatch"
    FEE_MISMATCH = "fee_mismatch"
    FOUR_EYES = "four_eyes"
    HOLD_CLOSED = "hold_closed"
    HOLD_EXPIRED = "hold_expired"
    HOLD_NOT_EXPIRED = "hold_not_expired"
    HOLD_OF_CONVERSION = "hold_of_conversion"
    HOLD_TOO_SMALL = "hold_too_small"
    HOLD_UNKNOWN = "hold_unknown"
    ID_INVALID = "id_invalid"
    ID_REUSED = "id_reused"
    IMPORT_MISMATCH = "import_mismatch"
    IMPORT_OPEN = "import_open"
    IMPORT_UNKNOWN = "import_unknown"
    IN_FLIGHT_LIMIT = "in_flight_limit"
    INSUFFICIENT_POINTS = "insufficient_points"
    KEYS_INVALID = "keys_invalid"
    KIND_NOT_ALLOWED = "kind_not_allowed"
    LEDGER_EXISTS = "ledger_exists"
    LEDGER_MISSING = "ledger_missing"
    LESS_THAN_A_STEP = "less_than_a_step"
    LIMIT_REACHED = "limit_reached"
    LINE_DISPUTED = "line_disputed"
    LINE_UNKNOWN = "line_unknown"
    LINES_TOO_MANY = "lines_too_many"
    LINK_COOLING_OFF = "link_cooling_off"
    LINK_EXHAUSTED = "link_exhausted"
    LINK_EXISTS = "link_exists"
    LINK_EXPIRED = "link_expired"
    LINK_REVOKED = "link_revoked"
    LINK_UNKNOWN = "link_unknown"
    LOT_NOT_DUE = "lot_not_due"
    MEMBER_LIMIT = "member_limit"
    NOTICE_TOO_SHORT = "notice_too_short"
    PARTNER_BUSY = "partner_busy"
    PARTNER_ENDED = "partner_ended"
    PARTNER_EXISTS = "partner_exists"
    PARTNER_MISMATCH = "partner_mismatch"
    PARTNER_NOT_SUSPENDED = "partner_not_suspended"
    PARTNER_SUSPENDED = "partner_suspended"
    PARTNER_UNKNOWN = "partner_unknown"
    PAYMENT_MISMATCH = "payment_mismatch"
    POSTINGS_INVALID = "postings_invalid"
    PROGRAM_INVALID = "program_invalid"
    PROGRAM_UNCHANGED = "program_unchanged"
    PROMOTION_OVER = "promotion_over"
    PROMOTION_UNKNOWN = "promotion_unknown"
    RECOVERING = "recovering"
    RECOVERY_MISMATCH = "recovery_mismatch"
    REFUND_EXCEEDED = "refund_exceeded"
    REFUND_MISMATCH = "refund_mismatch"
    REFUND_UNKNOWN = "refund_unknown"
    REVERSAL_EXCEEDED = "reversal_exceeded"
    REVERSAL_UNKNOWN = "reversal_unknown"
    REVIEW_CLOSED = "review_closed"
    REVIEW_REQUIRED = "review_required"
    REVIEW_UNKNOWN = "review_unknown"
    ROTATION_INVALID = "rotation_invalid"
    SAME_ACCOUNT = "same_account"
    START_UNANSWERED = "start_unanswered"
    STATEMENT_INVALID = "statement_invalid"
    STATEMENT_MISMATCH = "statement_mismatch"
    STEPS_ABOVE_MAXIMUM = "steps_above_maximum"
    STEPS_BELOW_MINIMUM = "steps_below_minimum"
    STORE_BEHIND = "store_behind"
    SUBJECT_UNKNOWN = "subject_unknown"
    SUCCESSION_INVALID = "succession_invalid"
    TRANSFER_CLOSED = "transfer_closed"
    TRANSFER_COOLING_OFF = "transfer_cooling_off"
    TRANSFER_LAPSED = "transfer_lapsed"
    TRANSFER_MISMATCH = "transfer_mismatch"
    TRANSFER_NOT_LAPSED = "transfer_not_lapsed"
    TRANSFER_TOO_SMALL = "transfer_too_small"
    TRANSFER_UNKNOWN = "transfer_unknown"
    WINDOW_AGREED = "window_agreed"
    WINDOW_CLOSED = "window_closed"
    WINDOW_CONFIRMED = "window_confirmed"
    WINDOW_MISMATCH = "window_mismatch"
    WINDOW_NOT_AGREED = "window_not_agreed"
    WINDOW_NOT_PAID = "window_not_paid"
    WINDOW_NOT_RECONCILED = "window_not_reconciled"
    WINDOW_OPEN = "window_open"
    WINDOW_PAID = "window_paid"


class Refusal(TallystickError):
    """A rule of the ledger refuses a command or an entry; nothing was written. `refusal.code` names the rule."""

    def __init__(self, code: Code, detail: str) -> None:
        super().__init__(detail)
        self.code = code.value
        self.detail = detail
