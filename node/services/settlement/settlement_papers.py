"""A statement for people: its lines as CSV (RFC 4180), and a page that can be printed."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from io import StringIO
from typing import Final

from protocol.identifiers import Digest, Ledger
from protocol.ledger.state import OUT, LineRecord, Way
from protocol.statement import Bill, SignedStatement, Statement

MILLIONTHS: Final = 1_000_000
COLUMNS: Final = (
    "source", "destination", "kind", "reason", "window", "dec_seq", "conversion", "agreement", "source_points",
    "destination_points", "fee_points", "value_millionths", "currency", "fulfil",
)  # fmt: skip
"""`value_millionths` of a direction's `billed` and `adjusted` rows sum to what the source owes."""

_STYLE: Final = (
    "body{font:14px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#111}"
    "table{border-collapse:collapse;width:100%;margin:0 0 1.5rem}"
    "th,td{border-bottom:1px solid #ccc;padding:.3rem .5rem;text-align:left;vertical-align:top}"
    "h1,h2,th,td{overflow-wrap:anywhere}.lines{overflow-x:auto}.lines th,.lines td{overflow-wrap:break-word}"
    ".facts th{width:40%}"
    "@media(max-width:30rem){body{margin:1rem auto;padding:0 .6rem}h1{font-size:1.4rem}th,td{padding:.3rem .2rem}}"
    "@media print{body{margin:0;max-width:none}.lines{overflow:visible}}"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Paper:
    """A statement as it is shown: `agreed_seq` is null while one party alone has signed it."""

    place: tuple[Ledger, int]
    digest: Digest
    state: str
    agreed_seq: int | None
    signed: SignedStatement


StoredLine = tuple[tuple[Ledger, Way, int], LineRecord]


def lines_csv(statement: Statement, lines: Iterable[StoredLine], *, own: Ledger) -> str:
    """Return every line of the statement's window, then what ends disputes or takes lines back."""
    text = StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    writer.writerows(_line_rows(statement, lines, own))
    for bill in statement.directions:
        writer.writerows(_adjusted_rows(bill, statement.currency))
    return text.getvalue()


def _line_rows(statement: Statement, lines: Iterable[StoredLine], own: Ledger) -> Iterator[Sequence[str | int]]:
    disputed = {bill.source: {line.place: line.reason for line in bill.disputed} for bill in statement.directions}
    for (partner, way, dec_seq), line in lines:
        source, destination = (own, partner) if way == OUT else (partner, own)
        reason = disputed[source].get((line.window, dec_seq))
        yield (
            source,
            destination,
            "disputed" if reason else "billed",
            reason or "",
            line.window,
            dec_seq,
            line.conversion,
            line.agreement,
            line.source_points,
            line.destination_points,
            line.fee_points,
            line.value,
            line.currency,
            line.fulfil,
        )


def _adjusted_rows(bill: Bill, currency: str) -> Iterator[Sequence[str | int]]:
    for line in bill.adjustments:
        yield (
            bill.source, bill.destination, "adjusted", line.reason, line.window, line.dec_seq, line.id, "", "", "", "",
            line.value, currency, "",
        )  # fmt: skip


def page(paper: Paper) -> str:
    """Return a statement as HTML that loads nothing: balance, both bills, disputes, checkpoints and signatures."""
    statement = paper.signed.statement
    title = f"Settlement statement {statement.window}: {' and '.join(statement.parties)}"
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>",
        f"<body><main><h1>{escape(title)}</h1>",
        _facts(_balance_facts(paper)),
        *(_bill(bill, statement) for bill in statement.directions),
        "<h2>Evidence</h2>",
        _facts(_evidence_facts(paper)),
        "</main></body></html>",
    ]
    return "\n".join(parts) + "\n"


def _balance_facts(paper: Paper) -> list[tuple[str, str]]:
    statement = paper.signed.statement
    first, second = statement.parties
    payment = "nothing is paid"
    if statement.payer is not None:
        payee = second if statement.payer == first else first
        payment = f"{statement.payer} pays {payee} {money(statement.amount, statement.currency)}"
    return [
        ("State", paper.state),
        ("Payment", payment),
        ("Due", statement.due_at),
        ("Opening carry", money(int(statement.opening_carry), statement.currency)),
        (f"Net (above zero {first} owes)", money(int(statement.net), statement.currency)),
        ("Carried into the next window", money(int(statement.carry), statement.currency)),
    ]


def _bill(bill: Bill, statement: Statement) -> str:
    totals, currency = bill.totals, statement.currency
    decisions = f" (decisions {totals.first_dec_seq} to {totals.last_dec_seq})" if totals.count else ""
    facts = [
        ("Closed", bill.closed_at),
        ("Conversions", f"{totals.count:,}{decisions}"),
        ("Source points", f"{int(totals.source_points):,}"),
        ("Destination points", f"{int(totals.destination_points):,}"),
        ("Fee points (the source's own)", f"{int(totals.fee_points):,}"),
        ("Value", money(int(totals.value), currency)),
        ("Withheld for disputes", money(bill.withheld(statement.window), currency)),
        ("Adjustments", money(sum(line.value for line in bill.adjustments), currency)),
        ("Owed", money(bill.owed(statement.window), currency)),
        ("Root of the decisions", totals.root),
    ]
    rows = [
        (what, f"{line.window}/{line.dec_seq}", line.id, line.reason, money(line.value, currency))
        for what, lines in (("in dispute", bill.disputed), ("adjusted", bill.adjustments))
        for line in lines
    ]
    heading = f"<h2>{escape(bill.source)} to {escape(bill.destination)}</h2>"
    lines = _table(("Line", "Window/number", "Conversion", "Reason", "Value"), rows) if rows else ""
    return heading + _facts(facts) + lines


def _evidence_facts(paper: Paper) -> list[tuple[str, str]]:
    statement = paper.signed.statement
    return [
        ("Digest", paper.digest),
        ("Statement before", statement.previous or "none"),
        *(("Agreement", each) for each in statement.agreements),
        *((f"Checkpoint of {each.origin}", f"{each.size} {each.root}") for each in statement.checkpoints),
        *((f"Signature of {each.ledger}", each.signature) for each in paper.signed.signatures),
    ]


def _facts(facts: Iterable[tuple[str, str]]) -> str:
    rows = (f'<tr><th scope="row">{escape(name)}</th><td>{escape(value)}</td></tr>' for name, value in facts)
    return f'<table class="facts">{"".join(rows)}</table>'


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in columns)
    body = ("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="lines"><table><tr>{head}</tr>{"".join(body)}</table></div>'


def money(millionths: int, currency: str) -> str:
    """Return an amount in millionths of a currency unit, exactly, with at least two decimals."""
    whole, rest = divmod(abs(millionths), MILLIONTHS)
    decimals = f"{rest:06d}".rstrip("0").ljust(2, "0")
    return f"{'−' if millionths < 0 else ''}{whole:,}.{decimals} {currency}"
