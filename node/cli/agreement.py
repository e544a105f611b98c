"""`tallystick agreement`: propose rates to a partner, accept what it proposed, and read what binds."""

from pathlib import Path
from typing import Annotated, Final, TypeAlias

import typer

from node.cli import agreement_check
from node.cli.files import OutOption, read_document, write_document
from node.cli.options import JsonOption, NodeOption, PartnerArgument, TokenOption, connect
from node.cli.output import money, print_facts, print_json, print_line, print_table, print_written
from node.cli.request import JsonObject
from node.cli.terms import direction_terms, parse_price, parse_step
from node.client.answers import AgreementList, AgreementState, AgreementWritten, LedgerFile, ProposalList, ProposalState
from protocol.encoding import JsonValue
from protocol.errors import IdentifierInvalid
from protocol.identifiers import Digest, parse_digest
from protocol.points import Step

app: Final = typer.Typer(no_args_is_help=True, help="Agree with partners on rates.")

_SENDS: Final = "Every A points of ours give B of theirs, as 400:250."
_MORE: Final = "JSON of member_limits, in_flight, cap and promotions of this direction."
_TAKES: Final = "Every A points of theirs give B of ours, as 1000:1000."

ForceOption: TypeAlias = Annotated[
    bool, typer.Option("--force", help="Also where points can be multiplied, alone or with other agreements.")
]


@app.command()
def propose(
    partner: PartnerArgument,
    *,
    sends: Annotated[Step, typer.Option(parser=parse_step, metavar="A:B", help=_SENDS)],
    sends_price: Annotated[int, typer.Option(parser=parse_price, metavar="MONEY", help="What we owe them a step.")],
    takes: Annotated[Step, typer.Option(parser=parse_step, metavar="A:B", help=_TAKES)],
    takes_price: Annotated[int, typer.Option(parser=parse_price, metavar="MONEY", help="What they owe us a step.")],
    sends_fee: Annotated[int, typer.Option(min=0, help="Points that our member pays for a conversion.")] = 0,
    takes_fee: Annotated[int, typer.Option(min=0, help="Points that their member pays for a conversion.")] = 0,
    sends_days: Annotated[int | None, typer.Option(min=1, help="Days that points we send live there.")] = None,
    takes_days: Annotated[int | None, typer.Option(min=1, help="Days that points they send live here.")] = None,
    sends_terms: Annotated[Path | None, typer.Option(metavar="FILE", help=_MORE)] = None,
    takes_terms: Annotated[Path | None, typer.Option(metavar="FILE", help=_MORE)] = None,
    currency: Annotated[str, typer.Option(metavar="CODE", help="Settlement currency.")] = "USD",
    force: ForceOption = False,
    out: OutOption = None,
    as_json: JsonOption = False,
    node: NodeOption,
    token_file: TokenOption,
) -> None:
    """Sign terms for both directions and send them to the partner, who accepts them or does not."""
    with connect(node, token_file) as client:
        theirs = client.partner(partner).ledger
        ours = client.get("/ledger.json").read(LedgerFile).ledger
        there = direction_terms(ours, sends, price=sends_price, fee=sends_fee, days=sends_days)
        back = direction_terms(theirs, takes, price=takes_price, fee=takes_fee, days=takes_days)
        directions: JsonValue = [there | _more(sends_terms), back | _more(takes_terms)]
        terms: JsonValue = {"currency": currency, "directions": directions}
        body: JsonObject = {"partner": theirs, "terms": terms, "force": force}
        reply = client.post("/v1/agreements/proposals", body)
    proposed = reply.read(ProposalState)
    if as_json:
        print_json(reply.data)
    else:
        print_line(f"proposed to {theirs}: {proposed.digest}")
    if out is not None:
        write_document(proposed.proposal, out, said="wrote the proposal")


def _more(path: Path | None) -> JsonObject:
    return {} if path is None else read_document(path)


@app.command()
def accept(
    proposal: Annotated[str, typer.Argument(metavar="DIGEST|FILE", help="Of a proposal that came, or its file.")],
    *,
    force: ForceOption = False,
    out: OutOption = None,
    as_json: JsonOption = False,
    node: NodeOption,
    token_file: TokenOption,
) -> None:
    """Sign a partner's proposal too: it binds from then on."""
    digest = digest_in(proposal)
    body: JsonObject = {"digest": digest} if digest else {"proposal": read_document(Path(proposal))}
    with connect(node, token_file) as client:
        reply = client.post("/v1/agreements", {**body, "force": force})
    written = reply.read(AgreementWritten)
    if as_json:
        print_json(reply.data)
    else:
        print_line(f"the agreement with {written.partner} binds (entry {written.seq}): {written.digest}")
    if out is not None:
        write_document(written.agreement, out, said="wrote the agreement")


def digest_in(text: str) -> Digest | None:
    """Return the digest that `text` is, or None for a file's name."""
    try:
        return parse_digest(text)
    except IdentifierInvalid:
        return None


@app.command("list")
def list_agreements(*, as_json: JsonOption = False, node: NodeOption, token_file: TokenOption) -> None:
    """List the agreements that were entered, and after them the proposals that wait."""
    with connect(node, token_file) as client:
        reply = client.get("/v1/agreements")
        waiting = client.get("/v1/agreements/proposals").read(ProposalList).proposals
    if as_json:
        print_json(reply.data)
        return
    agreements = reply.read(AgreementList).agreements
    rows: list[tuple[str | int | None, ...]] = [
        (one.partner, _state(one), one.number, one.entered_at, one.digest) for one in agreements
    ]
    rows += [(one.partner, f"{one.direction} proposal", None, one.received_at, one.digest) for one in waiting]
    print_table(("partner", "state", "number", "since", "digest"), rows)


def _state(agreement: AgreementState) -> str:
    if agreement.superseded_at is not None:
        return "superseded"
    return "binds" if agreement.ends_at is None else f"ends {agreement.ends_at}"


@app.command()
def end(
    digest: Annotated[str, typer.Argument(metavar="DIGEST", help="As list prints it.")],
    ends_at: Annotated[str, typer.Argument(metavar="TIME", help="In UTC, as 2026-12-31T00:00:00Z.")],
    *,
    as_json: JsonOption = False,
    node: NodeOption,
    token_file: TokenOption,
) -> None:
    """Give the partner notice: nothing is ordered on the agreement from that time on."""
    if digest_in(digest) is None:
        raise typer.BadParameter(f"{digest!r} is no digest of 64 lowercase hex digits")
    with connect(node, token_file) as client:
        reply = client.post(f"/v1/agreements/{digest}/end", {"ends_at": ends_at})
    print_written(reply, as_json=as_json, said=f"the agreement ends at {ends_at}; the partner is told")


app.command("check")(agreement_check.check)


@app.command()
def show(
    agreement: Annotated[
        str, typer.Argument(metavar="AGREEMENT", help="Its digest, or the partner with whom it binds now.")
    ],
    *,
    out: OutOption = None,
    as_json: JsonOption = False,
    node: NodeOption,
    token_file: TokenOption,
) -> None:
    """Show an agreement's rates, or write the signed document."""
    with connect(node, token_file) as client:
        digest = digest_in(agreement) or client.partner(agreement).agreement
        if digest is None:
            raise typer.BadParameter(f"no agreement with {agreement} binds now")
        reply = client.get(f"/v1/agreements/{digest}")
    state = reply.read(AgreementState)
    if out is not None:
        write_document(state.agreement, out, said="wrote the agreement")
    elif as_json:
        print_json(reply.data)
    else:
        _print_rates(state)


def _print_rates(state: AgreementState) -> None:
    terms = state.terms
    print_facts([("partner", state.partner), ("number", state.number), ("state", _state(state))])
    print_line("")
    rows = [
        (
            f"{each.source} to {each.destination}",
            f"{each.step.source:,}:{each.step.destination:,}",
            money(each.price, terms.currency),
            each.fee.points_per_conversion or None,
            each.expiry.days,
        )
        for each in terms.directions
    ]
    print_table(("direction", "step", "price of a step", "fee", "days"), rows)
