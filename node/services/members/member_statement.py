"""A member's statement of one month: opening, each movement, closing, and what expires soon; as JSON, CSV or a page."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from node.services.context import Context
from node.services.members.accounts import ExpiryView, LotView
from node.services.members.member_day import MemberService
from node.services.members.member_lines import MemberLine, change_of
from node.services.members.past_accounts import ENTRIES_MAX, PastAccounts
from node.services.members.texts import Speech
from node.services.refusals import NodeCode, NodeRefusal
from protocol.entries import Sealed
from protocol.fields import days_later
from protocol.identifiers import Account
from protocol.program import day_of

MOVEMENTS_MAX: Final = 10_000
SOON_DAYS: Final = 90
_STYLE: Final = (
    "body{font:15px/1.45 system-ui,sans-serif;max-width:48rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a}"
    "table{border-collapse:collapse;width:100%}th,td{padding:.35rem .5rem;border-bottom:1px solid #ccc;text-align:left}"
    "td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}caption{text-align:left;font-weight:600;padding:.5rem}"
    ".wide{overflow-x:auto}td.k{white-space:nowrap}p{overflow-wrap:anywhere}"
    "@media(max-width:30rem){body{margin:1rem auto;padding:0 .6rem}h1{font-size:1.4rem}table{font-size:12px}"
    "th,td{padding:.3rem .15rem}th{overflow-wrap:anywhere;hyphens:auto}td.k{white-space:normal}}"
    "@media print{body{margin:0;max-width:none}.wide{overflow:visible}tr{break-inside:avoid}}"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement(MemberLine):
    """A line that changed the points that are posted, and what there were after it."""

    balance: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberStatement:
    """One month of an account: `opening` plus all changes is `closing`. `expiring` is told as of now."""

    account: str
    month: str
    title: str
    points: str
    opening: int
    movements: tuple[Movement, ...]
    closing: int
    expiring: tuple[ExpiryView, ...]


class MemberStatements:
    """Makes statements out of the log: a month that is over is told the same for ever."""

    def __init__(self, context: Context, members: MemberService) -> None:
        self._context = context
        self._past = PastAccounts(context)
        self._members = members

    def statement(self, account: Account, month: str, speech: Speech) -> MemberStatement:
        """Return the statement of a month like 2026-01, by the program's days.

        Raises `account_unknown`, and `request_invalid` for more than `MOVEMENTS_MAX` movements, or a month that more
        than `ENTRIES_MAX` entries of the account have followed.
        """
        with self._past.at_once.one(account):
            return self._statement(account, month, speech)

    def _statement(self, account: Account, month: str, speech: Speech) -> MemberStatement:
        view, newest = self._past.standing(account)
        closing, changes = view.posted, list[Sealed]()
        for seen, sealed in enumerate(self._past.entries(account, newest)):
            if seen == ENTRIES_MAX:
                raise NodeRefusal(
                    NodeCode.REQUEST_INVALID, f"the month lies more than {ENTRIES_MAX:,} entries of the account back"
                )
            of = day_of(speech.terms, sealed.entry.time)[: len(month)]
            if of < month:
                break
            change = change_of(sealed.entry, account)
            if of > month:
                closing -= change
            elif change:
                changes.append(sealed)
            if len(changes) > MOVEMENTS_MAX:
                raise NodeRefusal(NodeCode.REQUEST_INVALID, "the month has more movements than a statement lists")
        movements = self._movements(account, changes, closing, speech)
        return MemberStatement(
            account=account,
            month=month,
            title=speech.say("statement.title", month=speech.month(month)),
            points=self._context.record.points,
            opening=closing - sum(each.change for each in movements),
            movements=movements,
            closing=closing,
            expiring=_expiring(view.lots, today=day_of(speech.terms, self._context.now)),
        )

    def _movements(
        self, account: Account, newest_first: Sequence[Sealed], closing: int, speech: Speech
    ) -> tuple[Movement, ...]:
        made, balance = list[Movement](), closing
        for sealed in newest_first:
            line = self._members.line(account, speech, sealed)
            made.append(
                Movement(
                    seq=line.seq,
                    confirmation=line.confirmation,
                    time=line.time,
                    day=line.day,
                    kind=line.kind,
                    id=line.id,
                    text=line.text,
                    change=line.change,
                    balance=balance,
                )
            )
            balance -= line.change
        return tuple(reversed(made))


def _expiring(lots: Sequence[LotView], *, today: str) -> tuple[ExpiryView, ...]:
    soon, sums = days_later(today, days=SOON_DAYS), dict[str, int]()
    for lot in lots:
        if lot.expires_on is not None and today <= lot.expires_on <= soon:
            sums[lot.expires_on] = sums.get(lot.expires_on, 0) + lot.remaining
    return tuple(ExpiryView(date=day, amount=amount) for day, amount in sorted(sums.items()))


def statement_csv(statement: MemberStatement, speech: Speech) -> str:
    """Return a statement as CSV: opening, movements, closing (RFC 4180)."""
    out = io.StringIO()
    writer = csv.writer(out)
    columns = ("day", "what", "confirmation", "change", "balance")
    writer.writerow([speech.say(f"statement.{name}") for name in columns])
    writer.writerow(["", speech.say("statement.opening"), "", "", statement.opening])
    for each in statement.movements:
        writer.writerow([each.day, _plain(each.text), each.confirmation, each.change, each.balance])
    writer.writerow(["", speech.say("statement.closing"), "", "", statement.closing])
    return out.getvalue()


def _plain(text: str) -> str:
    """Return a cell that no spreadsheet takes for a formula."""
    return f"'{text}" if text[:1] in {"=", "+", "-", "@"} else text


def statement_page(statement: MemberStatement, speech: Speech) -> str:
    """Return a statement as a page to print: it loads nothing, and runs nothing."""
    columns = "".join(
        f'<th scope="col"{_right(name)}>{_said(speech, name)}</th>'
        for name in ("day", "what", "confirmation", "change", "balance")
    )
    rows = "".join(_row(each, speech) for each in statement.movements)
    nothing = f'<tr><td colspan="5">{_said(speech, "none")}</td></tr>'
    expiring = "".join(_expires(each, speech) for each in statement.expiring)
    soon = f"<h2>{_said(speech, 'expiring')}</h2><ul>{expiring}</ul>" if expiring else ""
    title = escape(statement.title)
    return (
        f'<!doctype html><html lang="{speech.locale}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{_STYLE}</style></head><body><main><h1>{title}</h1>"
        f"<p>{_said(speech, 'account')}: {escape(statement.account)}</p>"
        f"<p>{_said(speech, 'opening')}: {escape(speech.points(statement.opening))}</p>"
        f'<div class="wide"><table><caption>{_said(speech, "movements")}</caption><thead><tr>{columns}</tr></thead>'
        f"<tbody>{rows or nothing}</tbody></table></div>"
        f"<p><strong>{_said(speech, 'closing')}: {escape(speech.points(statement.closing))}</strong></p>"
        f"{soon}</main></body></html>"
    )


def _expires(expiry: ExpiryView, speech: Speech) -> str:
    points, until = speech.points(expiry.amount), speech.date(expiry.date)
    return f"<li>{escape(speech.say('statement.expires', points=points, until=until))}</li>"


def _said(speech: Speech, name: str) -> str:
    return escape(speech.say(f"statement.{name}"))


def _right(name: str) -> str:
    return ' class="n"' if name in {"change", "balance"} else ""


def _row(line: Movement, speech: Speech) -> str:
    cells = (speech.date(line.day), line.text)
    numbers = (f"{line.change:+,}".replace("-", "−"), speech.number(line.balance))
    return (
        "<tr>"
        + "".join(f"<td>{escape(cell)}</td>" for cell in cells)
        + f'<td class="k">{escape(line.confirmation)}</td>'
        + "".join(f'<td class="n">{escape(cell)}</td>' for cell in numbers)
        + "</tr>"
    )
