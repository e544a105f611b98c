"""What an operator should look at, as rows: the kinds there are, and what to do about each."""

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

ExceptionKind: TypeAlias = Literal[
    "store_behind",
    "start_unanswered",
    "witness_silent",
    "unwatched",
    "recovering",
    "succession_refused",
    "contradicted",
    "stuck",
    "over_limit",
    "near_cap",
    "forced",
    "mismatched",
    "disputed",
    "misconduct",
    "log_unproved",
    "waiting_for_partner",
    "appeal_overdue",
    "under_review",
    "webhook_failing",
    "webhook_disabled",
    "import_open",
]

TO_DO_OF: Final[dict[ExceptionKind, str]] = {
    "store_behind": "bring the missing entries back (tallystick recover), open a successor (tallystick succeed), or "
    "keep a partner out that only claims it (tallystick partner suspend)",
    "start_unanswered": "ask the partner whether its node runs, or go on without its answer (tallystick start)",
    "witness_silent": "ask whoever runs the witness, or go on without its answer (tallystick start --witness)",
    "unwatched": "name a witness (witnesses in node.toml): nobody outside could tell that the store is an older copy",
    "recovering": "wait for the partner's words; where none come or one cannot stand again, go on without "
    "(tallystick waive)",
    "succession_refused": "ask the partner: its new log does not come after all that it has shown of the one before",
    "contradicted": "settle with the partner outside: it was gone when this ledger went on as a successor, and holds "
    "more of the log before than that says there was, so it will not take the new log",
    "stuck": "cancel it; if the partner is gone for good, release it by force, which is at your own risk",
    "over_limit": "raise the limit with the partner, or close and pay the window early; the member may order again",
    "near_cap": "close and pay the window early, or agree on a higher cap: at the cap conversions are refused",
    "forced": "wait for the partner's late answer, or settle with it outside; the value is booked as contingent",
    "mismatched": "look at its lines; what only one side has is entered in dispute and moves to the next window",
    "disputed": "decide with the partner by the signed messages; the line is billed, or not, in a later window",
    "misconduct": "show the file of evidence to the partner and to whoever judges between you",
    "log_unproved": "ask the partner: what it publishes of its log does not show what it has signed; until it does, "
    "sign no statement, and have its log audited",
    "waiting_for_partner": "ask the partner whether its node runs and which address it has",
    "under_review": "look at what the screen saw, then let the order go on or give the points back (tallystick review)",
    "appeal_overdue": "decide it: its deadline has passed (tallystick appeal show)",
    "webhook_failing": "look at the receiver: an event has waited for an hour (tallystick webhook deliveries)",
    "webhook_disabled": "repair the receiver, then go on (tallystick webhook resume): what it missed is not lost",
    "import_open": "give import-balances again with its file: nothing of it counts before; if it is lost, --resume",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ExceptionView:
    """One thing to look at: a conversion, a settlement window, or a partner; `value` in millionths of `currency`.

    `evidence` names the file that proves what a partner did (`AccusationsService`); `account` is the holder's whom an
    appeal is for, and `about` the id of that appeal, or of a webhook. What is about no partner names this ledger.
    """

    kind: ExceptionKind
    partner: str
    conversion: str | None
    window: int | None
    reason: str | None
    since: str | None
    age_seconds: int | None
    points: int
    value: int
    currency: str | None
    to_do: str
    evidence: str | None = None
    account: str | None = None
    about: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExceptionList:
    """Everything to look at, oldest first within a kind; `more` where a kind has more than are listed."""

    exceptions: tuple[ExceptionView, ...]
    more: bool


def view_of(kind: ExceptionKind, partner: str, reason: str | None) -> ExceptionView:
    """Return what is to be said about the ledger itself, or a partner of it."""
    return ExceptionView(
        kind=kind,
        partner=partner,
        conversion=None,
        window=None,
        reason=reason,
        since=None,
        age_seconds=None,
        points=0,
        value=0,
        currency=None,
        to_do=TO_DO_OF[kind],
    )
