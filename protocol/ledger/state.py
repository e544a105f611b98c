"""What a ledger knows, as typed rows: every one a function of the log."""

from enum import StrEnum
from typing import Final, Literal, TypeAlias

import msgspec

from protocol.agreement import RoleKey, SignedAgreement
from protocol.conversion import DestinationState, SourceState
from protocol.encoding import ZERO_DIGEST
from protocol.identifiers import Account, Alias, Asset, Digest, Id, Ledger, Network
from protocol.ledger.appeal_records import AppealRecord
from protocol.ledger.approval_state import ACTIONS
from protocol.ledger.import_state import IMPORTS
from protocol.ledger.lot_state import NEVER, REVERSIBLE, Lot, Piece
from protocol.ledger.program_state import PROGRAM, PROGRAM_TABLES
from protocol.ledger.tables import Table
from protocol.messages import Predecessor
from protocol.settlement.states import WindowState
from protocol.statement import DisputedLine, DisputeReason, SignedStatement, Totals

__all__ = ["ACTIONS", "IMPORTS", "NEVER", "PROGRAM", "REVERSIBLE", "Lot", "Piece", "Table"]


class AccountStatus(StrEnum):
    """Whether an account takes part."""

    OPEN = "open"
    FROZEN = "frozen"
    CLOSED = "closed"
    MERGED = "merged"


class Head(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The end of the log: how many entries, the last one's leaf hash and time."""

    size: int = 0
    leaf: Digest = ZERO_DIGEST
    time: str = ""


class LedgerRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What genesis said, and which `partners` have been added since.

    `ledger` is the name by which partners know this ledger in all its generations: that of the first. `log` is the
    generation now written, the origin of checkpoints, whose first entry is `first_seq`; `predecessor` the one before.
    While `recovering` names partners, the successor waits for its words from them and nothing else moves.
    `log_keys` came after the log key in `keys`, in base64; the log has committed to `next_log_key`, a digest.
    `importing_seq` is the entry that began an import which is not finished.
    """

    ledger: Ledger
    points: Asset
    currencies: tuple[Asset, ...]
    keys: tuple[RoleKey, ...]
    log: Ledger
    first_seq: int = 0
    predecessor: Predecessor | None = None
    partners: tuple[Ledger, ...] = ()
    recovering: tuple[Ledger, ...] = ()
    log_keys: tuple[str, ...] = ()
    next_log_key: Digest = ZERO_DIGEST
    importing_seq: int | None = None


class IdRecord(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An id that is taken: by which entry, and the keyed digest of the request that it answers."""

    seq: int
    request: Digest | None


class AccountRecord(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A holder's account: `held` of its `posted` points are set aside; `conversions` are undecided.

    `active_on` is the last day of activity, kept from when the first points came that follow the account's clock. An
    account that a file of balances has opened names the entry that began the import.
    """

    status: AccountStatus
    posted: int
    held: int
    conversions: int
    opened_seq: int
    active_on: str | None = None
    imported_seq: int | None = None

    @property
    def available(self) -> int:
        """Return the points that can be spent."""
        return self.posted - self.held


class BalanceRecord(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The balance of a structural or money account in one asset; credits are positive, size is unbounded."""

    amount: int


class HoldRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Points set aside; `remaining` equals the sum of `pieces`; closed at zero."""

    account: Account
    amount: int
    remaining: int
    expires_at: str | None
    conversion: bool
    placed_seq: int
    pieces: tuple[Piece, ...]


class PartnerRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A partner's ledger and the keys by which its words are known; `log` is its generation now written.

    `suspended_seq` is the entry since which nothing new begins with it; `log_keys` came after the log key in `keys`,
    in base64, and the newest rotation has committed to `next_log_key`. Since `ended_seq` it is a partner no more.
    """

    network: Network
    points: Asset
    keys: tuple[RoleKey, ...]
    added_seq: int
    log: Ledger
    log_first_seq: int = 0
    suspended_seq: int | None = None
    log_keys: tuple[str, ...] = ()
    next_log_key: Digest | None = None
    ended_seq: int | None = None


class AgreementRecord(msgspec.Struct, frozen=True, kw_only=True):
    """An agreement that binds, since when, since when another has replaced it, and until when by notice."""

    partner: Ledger
    signed: SignedAgreement
    entered_at: str
    entered_seq: int
    superseded_at: str | None
    ends_at: str | None = None

    @property
    def end(self) -> str | None:
        """Return from when the agreement no longer binds, or None; an open quote outlives that."""
        ends = [self.superseded_at, self.ends_at, self.signed.agreement.valid_until]
        return min((end for end in ends if end is not None), default=None)


class CurrentAgreement(msgspec.Struct, frozen=True, kw_only=True):
    """The latest agreement with one partner."""

    digest: Digest
    number: int


class IssuedLink(msgspec.Struct, frozen=True, kw_only=True):
    """Which of our accounts a partner knows by an alias, how long and how often, and since which entry no more."""

    account: Account
    issued_seq: int
    until: str | None = None
    conversions_left: int | None = None
    points_left: int | None = None
    revoked_seq: int | None = None


class AcceptedLink(msgspec.Struct, frozen=True, kw_only=True):
    """The alias under which a partner knows the account that ours is linked to, and since which entry no more."""

    alias: Alias
    accepted_seq: int
    accepted_at: str
    until: str | None = None
    revoked_seq: int | None = None


class AliasRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Whose account an accepted alias of a partner is for: what finds the account that a PREPARE given back moves."""

    account: Account


class OutgoingRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A conversion at its source ledger; `refunded_steps` of it came back, or may."""

    state: SourceState
    network: Network
    destination: Ledger
    account: Account
    agreement: Digest
    promotion: str | None
    refund_of: Id | None
    steps: int
    source_points: int
    destination_points: int
    fee_points: int
    value: int
    currency: Asset
    accept_by: str
    held_at: str
    held_seq: int
    prepare: Digest
    cancel_requested: bool
    concluded_seq: int | None
    reason: str | None
    refunded_steps: int = 0


class IncomingRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A conversion at its destination ledger, decided for ever by the entry `decided_seq`.

    The rest is what a refund of a credited one is held to: who was credited, on which terms, how much has gone back.
    """

    state: DestinationState
    prepare: Digest
    decided_seq: int
    account: Account | None = None
    agreement: Digest | None = None
    promotion: str | None = None
    refund_of: Id | None = None
    steps: int = 0
    refunded_steps: int = 0


class ExposureRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What is at stake with a partner in one direction, in millionths: sums have no bound.

    `conversions` are undecided, and worth `value`; `open_value` is all that is undecided, owed or not yet paid, gross.
    """

    conversions: int = 0
    value: int = 0
    open_value: int = 0


class PromotionUse(msgspec.Struct, frozen=True, kw_only=True):
    """The destination points that a promotion has given, or may still give to what is undecided; unbounded."""

    points: int = 0


class MemberUse(msgspec.Struct, frozen=True, kw_only=True):
    """What an account has converted in the last day and year (UTC) in which it did so where a limit counts."""

    day: str
    day_points: int
    year: str
    year_points: int


class DecisionCounter(msgspec.Struct, frozen=True, kw_only=True):
    """How many conversions from one partner were credited, and the settlement window now open."""

    window: int = 1
    dec_seq: int = 0


class SettlementRecord(msgspec.Struct, frozen=True, kw_only=True):
    """How far settlement with a partner has come.

    All of our conversions up to decision `summed` are in the totals of their windows; the partner has closed its
    windows up to `closed`, and the statements up to `agreed` are signed by both.
    """

    summed: int = 0
    closed: int = 0
    agreed: int = 0


class LineRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A credited conversion as settlement sees it.

    `billed` is null as long as the statement of its own window says it: the whole value, or nothing if in dispute.
    """

    conversion: Id
    window: int
    agreement: Digest
    currency: Asset
    source_points: int
    destination_points: int
    fee_points: int
    value: int
    fulfil: Digest
    dispute: DisputeReason | None = None
    billed: int | None = None

    @property
    def billed_value(self) -> int:
        """Return what has been billed of a line whose window's statement is agreed, in millionths."""
        if self.billed is not None:
            return self.billed
        return 0 if self.dispute else self.value


class WindowTotals(msgspec.Struct, frozen=True, kw_only=True):
    """The lines of one direction of a window, summed as they come; `tree` is the compact range over their FULFILs."""

    first_dec_seq: int
    last_dec_seq: int
    count: int = 0
    source_points: int = 0
    destination_points: int = 0
    fee_points: int = 0
    value: int = 0
    agreements: tuple[Digest, ...] = ()
    tree: tuple[Digest, ...] = ()


class CloseRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A decider's close of its direction; `seq` is the closing entry in the decider's own log."""

    totals: Totals
    agreement: Digest
    closed_at: str
    seq: int


class WindowRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A window with a partner: our close of the partner's conversions, the partner's of ours, and what followed.

    `waiting` lines of ours came with numbers beyond a gap: they are in no sum until those before them have come.
    """

    state: WindowState = WindowState.OPEN
    opened_at: str | None = None
    closed: CloseRecord | None = None
    received: CloseRecord | None = None
    disputed_out: tuple[DisputedLine, ...] = ()
    disputed_in: tuple[DisputedLine, ...] = ()
    proposed: Digest | None = None
    payment: Digest | None = None
    confirmed_seq: int | None = None
    waiting: int = 0


class StatementRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The statement of a window that both parties signed."""

    digest: Digest
    signed: SignedStatement
    agreed_seq: int


Way: TypeAlias = Literal["out", "in"]
"""From here to a partner, or from a partner to here."""

OUT: Final[Way] = "out"
IN: Final[Way] = "in"

HEAD: Final[Table[str, Head]] = Table("head", Head)
LEDGER: Final[Table[str, LedgerRecord]] = Table("ledger", LedgerRecord)
IDS: Final[Table[Id, IdRecord]] = Table("ids", IdRecord)
ACCOUNTS: Final[Table[Account, AccountRecord]] = Table("accounts", AccountRecord)
BALANCES: Final[Table[tuple[Account, Asset], BalanceRecord]] = Table("balances", BalanceRecord)
LOTS: Final[Table[tuple[Account, int, int], Lot]] = Table("lots", Lot)
HOLDS: Final[Table[Id, HoldRecord]] = Table("holds", HoldRecord)
PARTNERS: Final[Table[Ledger, PartnerRecord]] = Table("partners", PartnerRecord)
AGREEMENTS: Final[Table[Digest, AgreementRecord]] = Table("agreements", AgreementRecord)
CURRENT: Final[Table[Ledger, CurrentAgreement]] = Table("current_agreements", CurrentAgreement)
ISSUED_LINKS: Final[Table[tuple[Ledger, Alias], IssuedLink]] = Table("issued_links", IssuedLink)
ACCEPTED_LINKS: Final[Table[tuple[Account, Ledger], AcceptedLink]] = Table("accepted_links", AcceptedLink)
ALIASES: Final[Table[tuple[Ledger, Alias], AliasRecord]] = Table("accepted_aliases", AliasRecord)
OUTGOING: Final[Table[Id, OutgoingRecord]] = Table("outgoing_conversions", OutgoingRecord)
INCOMING: Final[Table[tuple[Network, Ledger, Id], IncomingRecord]] = Table("incoming_conversions", IncomingRecord)
EXPOSURE: Final[Table[tuple[Ledger, Way], ExposureRecord]] = Table("exposure", ExposureRecord)
PROMOTION_USE: Final[Table[tuple[Digest, Ledger, str], PromotionUse]] = Table("promotion_use", PromotionUse)
MEMBER_USE: Final[Table[tuple[Account, Ledger, Way], MemberUse]] = Table("member_use", MemberUse)
COUNTERS: Final[Table[Ledger, DecisionCounter]] = Table("decision_counters", DecisionCounter)
SETTLEMENTS: Final[Table[Ledger, SettlementRecord]] = Table("settlements", SettlementRecord)
LINES: Final[Table[tuple[Ledger, Way, int], LineRecord]] = Table("settlement_lines", LineRecord)
WINDOW_TOTALS: Final[Table[tuple[Ledger, Way, int], WindowTotals]] = Table("window_totals", WindowTotals)
WINDOWS: Final[Table[tuple[Ledger, int], WindowRecord]] = Table("windows", WindowRecord)
STATEMENTS: Final[Table[tuple[Ledger, int], StatementRecord]] = Table("statements", StatementRecord)
APPEALS: Final[Table[Id, AppealRecord]] = Table("appeals", AppealRecord)

TABLES: Final[tuple[Table[object, object], ...]] = (  # type: ignore[assignment]
    HEAD, LEDGER, IDS, ACCOUNTS, BALANCES, LOTS, HOLDS, PARTNERS, AGREEMENTS, CURRENT, ISSUED_LINKS, ACCEPTED_LINKS,
    ALIASES, OUTGOING, INCOMING, COUNTERS, EXPOSURE, PROMOTION_USE, MEMBER_USE,
    SETTLEMENTS, LINES, WINDOW_TOTALS, WINDOWS, STATEMENTS, IMPORTS, REVERSIBLE, ACTIONS, APPEALS,
    *PROGRAM_TABLES,
)  # fmt: skip

ONLY: Final = "only"
"""The key of a table that has one row."""
