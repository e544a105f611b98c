"""What the register of a program says: its terms, accounts frozen or merged, and orders that were reviewed."""

from collections.abc import Iterator

from protocol.entries import AnyEntry
from protocol.program import Limit, ProgramTerms
from protocol.program_entries import AccountFrozen, AccountMerged, AccountUnfrozen, ProgramSet, ReviewClosed


def program_said(entry: AnyEntry) -> Iterator[tuple[str, str]]:
    """Yield what an entry was about and why, if it belongs to this register."""
    match entry:
        case ProgramSet():
            yield _terms_text(entry.terms), entry.reason
        case AccountFrozen():
            yield f"{entry.account} frozen", entry.reason
        case AccountUnfrozen():
            yield f"{entry.account} open again", entry.reason
        case AccountMerged():
            yield f"{entry.account} merged into {entry.survivor}", entry.reason
        case ReviewClosed():
            outcome = "goes on" if entry.approved else "rejected"
            yield f"order {entry.order_id} under review: {outcome}", entry.reason
        case _:
            pass


def _terms_text(terms: ProgramTerms) -> str:
    expiry = terms.expiry
    parts = [
        f"time zone {terms.time_zone}",
        f"points expire: {expiry.kind}"
        + (f", {expiry.months} months, rounded to: {expiry.round_to}" * bool(expiry.months)),
        f"spendable after {terms.pending_days} days",
        "two persons decide" if terms.four_eyes else "one person decides",
    ]
    parts += [_limit_text(limit) for limit in terms.limits]
    for policy in terms.kinds:
        parts.append(f"{policy.kind} may: {', '.join(sorted(policy.activities)) or 'nothing'}")
        parts += [f"{policy.kind}: {_limit_text(limit)}" for limit in policy.limits]
    fees = terms.transfers
    parts.append(f"transfers: from {fees.minimum:,}, fee {fees.fee_per_transfer:,} and {fees.fee_per_mille} per mille")
    parts += [f"screen {each.name}: {each.most:,} in {each.window_minutes:,} minutes" for each in terms.screens]
    return "; ".join(parts)


def _limit_text(limit: Limit) -> str:
    whose = f"{limit.scope} {limit.partner}" if limit.partner else limit.scope
    return f"at most {limit.most:,} {limit.measure} {limit.activity} per {limit.per} and {whose}"
