"""`tallystick partner show` and `end`: what is open with a partner, and the end of it, step by step."""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer

from node.cli.audit import export_node
from node.cli.failures import COULD_NOT, stop
from node.cli.options import JsonOption, NodeOption, PartnerArgument, ReasonOption, TokenOption, connect, fresh_id
from node.cli.output import print_json, print_line, print_table
from node.client import NodeClient, RequestRefused, read_token
from node.client.run_off_answers import RunOffState, RunOffStep
from protocol.fields import format_time

ENDED: Final = "ended"
READY: Final = "ready"
LOOK_SECONDS: Final = 1.0
PUBLISHED_SECONDS: Final = 5.0
_MARGIN: Final = timedelta(minutes=5)
"""A notice is given a little later than it is written."""


def show(partner: PartnerArgument, *, as_json: JsonOption = False, node: NodeOption, token_file: TokenOption) -> None:
    """Show what is open with a partner, and who is to act before the partnership can end."""
    with connect(node, token_file) as client:
        state = client.run_off(client.partner(partner).ledger)
    _print(state, as_json=as_json)


def end(
    partner: PartnerArgument,
    *,
    reason: ReasonOption = "contract_over",
    immediately: Annotated[
        bool, typer.Option("--immediately", help="Begin nothing new from now on, instead of waiting for the notice.")
    ] = False,
    wait: Annotated[int, typer.Option(min=0, metavar="SECONDS", help="How long to wait for what others do.")] = 0,
    archive: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the audit package of this ledger here, once it is over.")
    ] = None,
    as_json: JsonOption = False,
    node: NodeOption,
    token_file: TokenOption,
) -> None:
    """Wind a partnership down and end it: notice, open conversions, the last window and its statement, both roots.

    Does what can be done now, and says what is open and who is to act; give it again to go on. Exit status 0 once the
    partnership is over, 3 while something is open.
    """
    with connect(node, token_file) as client:
        ledger = client.partner(partner).ledger
        state = client.run_off(ledger)
        if immediately and not state.suspended and state.state != ENDED:
            _suspend(client, ledger, reason)
        state = _go_on(client, ledger, reason, until=time.monotonic() + wait)
        if state.ended_seq is not None:
            _await_published(client, state.ended_seq)
    _print(state, as_json=as_json)
    if state.state == ENDED and archive is not None and not archive.exists():
        export_node(node, read_token(token_file), archive)
    stop(0 if state.state == ENDED else COULD_NOT)


def _await_published(client: NodeClient, seq: int) -> None:
    """Wait until the published checkpoint has the entry `seq`: a log is published at most once a second."""
    until = time.monotonic() + PUBLISHED_SECONDS
    while time.monotonic() < until:
        _, size, *_ = (client.find("/checkpoint") or b"\n0\n").decode().split("\n")
        if int(size) > seq:
            return
        time.sleep(LOOK_SECONDS / 4)


def _suspend(client: NodeClient, ledger: str, reason: str) -> None:
    """Begin nothing new with a partner, and give notice of all agreements: a suspension alone could be taken back."""
    client.post("/v1/partners/suspensions", {"id": fresh_id(None), "partner": ledger, "reason": reason})
    row = client.partner(ledger)
    if row.agreement is not None and client.agreement(row.agreement).ends_at is None:
        _give_notice(client, row.agreement)


def _go_on(client: NodeClient, ledger: str, reason: str, *, until: float) -> RunOffState:
    """Do what can be done, again and again until time is over or nothing is left, and return how far it is."""
    while True:
        state = client.run_off(ledger)
        if state.state == READY:
            client.end_partner(ledger, reason)
            return client.run_off(ledger)
        first = next((step for step in state.steps if not step.done), None)
        if first is None or (first.step == "agreement" and _has_notice(first) and time.monotonic() >= until):
            return state
        acted = _act(client, ledger, first)
        if not acted and time.monotonic() >= until:
            return client.run_off(ledger)
        if not acted:
            time.sleep(LOOK_SECONDS)


def _has_notice(step: RunOffStep) -> bool:
    return step.act is None


def _act(client: NodeClient, ledger: str, step: RunOffStep) -> bool:
    """Do what an operator's word is enough for; return whether anything was done."""
    try:
        if step.act == "give_notice" and step.digest is not None:
            _give_notice(client, step.digest)
            return True
        if step.act == "close_window" and step.window is not None:
            client.close_window(ledger, step.window)
            return True
    except RequestRefused as refused:
        # Somebody else, or the node's own calendar, was quicker.
        if refused.code not in {"window_closed", "partner_suspended"}:
            raise
    return False


def _give_notice(client: NodeClient, digest: str) -> None:
    days = client.agreement(digest).terms.notice_days
    ends_at = datetime.now(UTC) + timedelta(days=days) + _MARGIN
    client.post(f"/v1/agreements/{digest}/end", {"ends_at": format_time(ends_at)})


def _print(state: RunOffState, *, as_json: bool) -> None:
    if as_json:
        print_json(msgspec.json.encode(state))
        return
    if state.state == ENDED:
        print_line(f"{state.partner} is a partner no more (entry {state.ended_seq})")
        return
    print_line(f"{state.partner}: {state.state.replace('_', ' ')}")
    rows = [(step.step, "done" if step.done else step.detail, step.who, step.to_do) for step in state.steps]
    print_table(("matter", "state", "who", "what to do"), rows)
