"""What a node answers, as far as its callers read it; fields that are not here are passed over."""

from collections.abc import Mapping
from typing import TypeAlias

import msgspec

from node.client.problems import Problem
from protocol.agreement import Agreement, SignedAgreement

Document: TypeAlias = Mapping[str, object]
"""A signed paper as JSON: written to a file as it is, or handed to another node."""


class _Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A part of an answer."""


class Written(_Answer, frozen=True, kw_only=True):
    """What every request that writes is answered: the entry it made, a pure function of that entry."""

    id: str
    kind: str
    seq: int
    leaf: str
    time: str
    occurred_on: str


class BatchResult(_Answer, frozen=True, kw_only=True):
    """What became of one item: an answer where `status` is 201, or 202 for an order under review; else a problem."""

    status: int
    answer: Written | None = None
    problem: Problem | None = None


class BatchResults(_Answer, frozen=True, kw_only=True):
    """What became of each item, in order."""

    results: tuple[BatchResult, ...]


class Reversed(Written, frozen=True, kw_only=True):
    """Points went back: to the program where an issue was undone, else to the holder."""

    postings: tuple[tuple[str, str, int], ...]

    @property
    def moved(self) -> int:
        """Return how many points were moved: with `partial` these may be fewer than were asked for."""
        return self.postings[1][2]


class AccountWritten(Written, frozen=True, kw_only=True):
    """An account was opened or closed."""

    account: str


class FileImported(_Answer, frozen=True, kw_only=True):
    """What importing an exchange file did."""

    sender: str
    number: int
    expected: int
    outcome: str
    parcels: int
    bodies: int
    applied: int
    waiting: int
    next: str


class Lot(_Answer, frozen=True, kw_only=True):
    """Points with one origin, day of earning and last day."""

    origin: str
    earned_on: str
    expires_on: str | None
    remaining: int
    spendable_on: str | None = None


class Expiry(_Answer, frozen=True, kw_only=True):
    """The points that expire next."""

    date: str
    amount: int


class AccountRow(_Answer, frozen=True, kw_only=True):
    """An account in a list."""

    account: str
    status: str
    posted: int
    held: int
    available: int
    pending: int = 0


class AccountState(AccountRow, frozen=True, kw_only=True):
    """An account by itself."""

    lots: tuple[Lot, ...] = ()
    next_expiry: Expiry | None = None
    open_conversions: int = 0


class AccountBalance(_Answer, frozen=True, kw_only=True):
    """What was posted on an account at a moment."""

    account: str
    seq: int
    time: str
    posted: int


class AccountList(_Answer, frozen=True, kw_only=True):
    """A page of accounts."""

    accounts: tuple[AccountRow, ...]


class HistoryEntry(_Answer, frozen=True, kw_only=True):
    """An entry as an account's history tells it."""

    seq: int
    time: str
    occurred_on: str
    kind: str
    id: str
    postings: tuple[tuple[str, str, int], ...] = ()


class History(_Answer, frozen=True, kw_only=True):
    """A page of an account's history, newest first."""

    entries: tuple[HistoryEntry, ...]


class HoldState(_Answer, frozen=True, kw_only=True):
    """A hold."""

    id: str
    account: str
    amount: int
    remaining: int
    expires_at: str | None
    state: str
    conversion: bool


class Link(_Answer, frozen=True, kw_only=True):
    """An account's link with a partner."""

    direction: str
    partner: str
    alias: str
    state: str = "active"


class LinkList(_Answer, frozen=True, kw_only=True):
    """The links of an account."""

    links: tuple[Link, ...]


class LinkWritten(Written, frozen=True, kw_only=True):
    """A link was issued; its document is for the member to carry to the partner."""

    document: Document


class Quote(_Answer, frozen=True, kw_only=True):
    """What a conversion would do; `value` is in millionths of `currency`."""

    partner: str
    steps: int
    used: int
    stays: int
    fee: int
    gives: int
    value: int
    currency: str
    expires_days: int | None
    valid_until: str
    agreement: str = ""
    promotion: str | None = None
    expires_on: str | None = None


class ConversionState(_Answer, frozen=True, kw_only=True):
    """Where a conversion stands."""

    id: str
    state: str
    reason: str | None
    partner: str
    account: str | None = None
    source_points: int
    destination_points: int
    fee_points: int = 0
    since: str
    concluded_at: str | None = None
    waiting_for: str | None = None
    forced: bool = False


class ConversionList(_Answer, frozen=True, kw_only=True):
    """A page of conversions."""

    conversions: tuple[ConversionState, ...]


class Exposure(_Answer, frozen=True, kw_only=True):
    """What is at stake with a partner one way, in millionths of `currency`."""

    direction: str
    currency: str
    open: str
    cap: int | None
    undecided: int


class PartnerRow(_Answer, frozen=True, kw_only=True):
    """A partner."""

    ledger: str
    points: str
    url: str | None = None
    fingerprint: str = ""
    agreement: str | None = None
    last_contact: str | None = None
    channel: str | None = None
    suspended: bool = False
    ended: bool = False
    exposure: tuple[Exposure, ...] = ()


class PartnerList(_Answer, frozen=True, kw_only=True):
    """The partners of a node."""

    partners: tuple[PartnerRow, ...]


class PartnerWritten(Written, frozen=True, kw_only=True):
    """A partner was added; `reply` is the invitation to send back."""

    ledger: str
    fingerprint: str
    reply: Document


class ProposalState(_Answer, frozen=True, kw_only=True):
    """A proposal that one side has signed."""

    digest: str
    partner: str
    direction: str
    received_at: str
    proposal: Document


class ProposalList(_Answer, frozen=True, kw_only=True):
    """The proposals that wait for somebody."""

    proposals: tuple[ProposalState, ...]


class AgreementState(_Answer, frozen=True, kw_only=True):
    """An agreement that was entered."""

    digest: str
    partner: str
    number: int
    entered_at: str
    superseded_at: str | None
    ends_at: str | None = None
    agreement: SignedAgreement

    @property
    def terms(self) -> Agreement:
        """Return what was agreed."""
        return self.agreement.agreement


class AgreementList(_Answer, frozen=True, kw_only=True):
    """The agreements of a node."""

    agreements: tuple[AgreementState, ...]


class AgreementWritten(Written, frozen=True, kw_only=True):
    """An agreement was entered; the document has both signatures."""

    partner: str
    digest: str
    agreement: Document


class RateLine(_Answer, frozen=True, kw_only=True):
    """One rate on a way."""

    gives: int
    gets: int
    promotion: str | None = None


class Finding(_Answer, frozen=True, kw_only=True):
    """A loop that multiplies points, or a way around that beats the direct rate."""

    kind: str
    path: tuple[str, ...]
    ratio: str
    rates: tuple[RateLine, ...]
    direct: RateLine | None


class RateReport(_Answer, frozen=True, kw_only=True):
    """What the rates of many agreements do together."""

    agreements: int
    multiplies: bool
    findings: tuple[Finding, ...]


class ExceptionRow(_Answer, frozen=True, kw_only=True):
    """Something that an operator should look at."""

    kind: str
    partner: str
    conversion: str | None
    window: int | None = None
    reason: str | None
    age_seconds: int | None
    points: int
    value: int
    currency: str | None
    to_do: str
    evidence: str | None = None
    account: str | None = None
    about: str | None = None


class EvidenceRow(_Answer, frozen=True, kw_only=True):
    """A file of evidence against a partner."""

    digest: str
    partner: str
    subject: str
    name: str
    conversion: str | None
    found_at: str


class EvidencePage(_Answer, frozen=True, kw_only=True):
    """Files of evidence, and where the next ones are."""

    evidence: tuple[EvidenceRow, ...]
    next: int | None


class ExceptionList(_Answer, frozen=True, kw_only=True):
    """All that an operator should look at."""

    exceptions: tuple[ExceptionRow, ...]
    more: bool


class LedgerFile(_Answer, frozen=True, kw_only=True):
    """Which ledger a node keeps, and its verifier key."""

    ledger: str
    vkey: str
