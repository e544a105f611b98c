"""`tallystick standing`, `start`, `succeed`, `waive`: a ledger whose store is behind, or whose partners are silent."""

from typing import Annotated, Final, TypeAlias

import msgspec
import typer

from node.cli.options import (
    IdOption,
    JsonOption,
    NodeOption,
    PartnerArgument,
    ReasonOption,
    TokenOption,
    connect,
    fresh_id,
)
from node.cli.output import print_facts, print_json, print_line, print_table, print_written
from node.cli.request import JsonObject, post
from node.client import NodeClient
from protocol.encoding import JsonValue

GONE: Final = "partner_gone"

WithoutOption: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--without", metavar="PARTNER", help="A partner that is not waited for; may be repeated."),
]
WitnessesOption: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--witness", metavar="NAME", help="A witness that is not waited for, by its name; may be repeated."),
]


class PartnerStanding(msgspec.Struct, frozen=True, kw_only=True):
    """How the ledger stands with one partner; other fields are passed over."""

    partner: str
    answered: bool
    generation: int | None
    seen: int | None
    words: int | None
    recovering: bool
    back: int | None
    waits: bool
    stuck: str | None


class LedgerStanding(msgspec.Struct, frozen=True, kw_only=True):
    """Which log is written, and whether it may be written now."""

    ledger: str
    log: str
    first_seq: int
    size: int
    condition: str
    reason: str | None
    partners: tuple[PartnerStanding, ...]


def standing(*, as_json: JsonOption = False, node: NodeOption, token_file: TokenOption) -> None:
    """Say which log the node writes, whether it may write now, and what partners have shown of it."""
    with connect(node, token_file) as client:
        reply = client.get("/v1/ledger/standing")
    if as_json:
        print_json(reply.data)
        return
    found = reply.read(LedgerStanding)
    print_facts(
        [
            ("ledger", found.ledger),
            ("log", f"{found.log}, {found.size:,} entries from entry {found.first_seq:,}"),
            ("condition", found.condition + (f": {found.reason}" if found.reason else "")),
        ]
    )
    if found.partners:
        print_table(("partner", "answered", "has seen", "of log", "words", "gives back"), map(_row, found.partners))


def _row(row: PartnerStanding) -> tuple[str | int | None, ...]:
    back = row.stuck
    if row.recovering and back is None:
        back = "waits for points" if row.waits else f"{row.back or 0:,} are back"
    return row.partner, "yes" if row.answered else "no", row.seen, row.generation, row.words, back


def start(
    *,
    without: WithoutOption = None,
    witness: WitnessesOption = None,
    reason: ReasonOption = GONE,
    request_id: IdOption = None,
    as_json: JsonOption = False,
    node: NodeOption,
    token_file: TokenOption,
) -> None:
    """Let a node that has just started write before these have answered; its next entry says so."""
    with connect(node, token_file) as client:
        body: JsonObject = {
            "id": fresh_id(request_id),
            "without": _ledgers(client, without),
            "witnesses": list(witness or ()),
            "reason": reason,
        }
        reply = post(client, "/v1/ledger/start", body)
    print_written(reply, as_json=as_json, said="started")


def succeed(
    *,
    without: WithoutOption = None,
    reason: ReasonOption = GONE,
    request_id: IdOption = None,
    as_json: JsonOption = False,
    node: NodeOption,
    token_file: TokenOption,
) -> None:
    """Go on as the next log of a ledger whose store is an older copy; partners give back what they hold of the rest.

    First try to bring the missing entries back: tallystick recover.
    """
    with connect(node, token_file) as client:
        body: JsonObject = {"id": fresh_id(request_id), "without": _ledgers(client, without), "reason": reason}
        reply = post(client, "/v1/ledger/succession", body)
    print_written(reply, as_json=as_json, said="the next log has begun; see tallystick standing")


def waive(
    partner: PartnerArgument,
    *,
    reason: ReasonOption = GONE,
    request_id: IdOption = None,
    as_json: JsonOption = False,
    node: NodeOption,
    token_file: TokenOption,
) -> None:
    """Go on without what a partner has not given back; what it holds of this ledger's promises still binds."""
    with connect(node, token_file) as client:
        ledger = client.partner(partner).ledger
        body: JsonObject = {"id": fresh_id(request_id), "partner": ledger, "reason": reason}
        reply = post(client, "/v1/ledger/waivers", body)
    print_written(reply, as_json=as_json, said=f"nothing more is waited for from {ledger}")


def _ledgers(client: NodeClient, names: list[str] | None) -> list[JsonValue]:
    return [client.partner(name).ledger for name in names or ()]


def said_of_recovery(entries: int, messages: int, log: str, size: int) -> None:
    """Say what `tallystick recover` has brought back."""
    if not entries and not messages:
        print_line(f"nothing is missing: {log} has {size:,} entries")
        return
    print_line(f"{entries:,} entries and {messages:,} messages are back: {log} has {size:,} entries")
