"""What a person reads when a command fails, and the exit status that a program sees.

0 held or done · 1 disproved, refused or returned · 2 a command line that cannot be understood · 3 could not check or
reach. Where nobody reads it, there is neither: see `node.cli.unread`.
"""

import sys
from collections.abc import Mapping
from typing import Final

import msgspec
import typer

from node.client import NodeUnreachable, RequestRefused
from protocol.errors import ProtocolError, Refusal, TallystickError

HELD: Final = 0
REFUSED: Final = 1
USAGE: Final = 2
COULD_NOT: Final = 3

ADVICE: Final[Mapping[str, str]] = {
    "account_busy": "release what is on hold, and wait for open conversions: tallystick account history",
    "account_closed": "a closed account takes no part any more: use another one",
    "account_frozen": "an operator opens it again: tallystick account unfreeze",
    "account_importing": "see how far the import is, and give its command again: tallystick import-balances",
    "account_not_empty": "redeem or transfer what is on it first",
    "account_unknown": "open it first: tallystick account open",
    "action_expired": "propose it again: tallystick approval propose",
    "agreement_lapsed": "agree on new terms: tallystick agreement propose",
    "agreement_loop": "change a step so that going round gains nothing (tallystick agreement check), or give --force",
    "agreement_unknown": "agree on terms first: tallystick agreement propose",
    "approval_missing": "propose it, and let another person approve: tallystick approval propose",
    "cap_reached": "wait until the partner confirms a payment, or close the window early",
    "certificate_missing": "partners show a certificate here: partner_certificate in node.toml",
    "conversion_decided": "it is over: tallystick conversion show",
    "credential_last": "issue a key to another administrator first: tallystick credential issue",
    "fingerprint_mismatch": "do not go on: ask the partner, by a way you trust, to read the fingerprint again",
    "forbidden": "use the token file of another role",
    "four_eyes": "another person must approve: tallystick approval approve",
    "id_reused": "this id has been used for something else: leave --id out for a fresh one",
    "import_open": "finish that import first: tallystick import-balances with its file, or --resume with the same rows",
    "in_flight_limit": "wait until the partner has decided: tallystick conversion list --state pending",
    "insufficient_points": "see what is available: tallystick account show",
    "less_than_a_step": "see what fits: tallystick quote",
    "kind_not_allowed": "see what kinds of accounts may do: tallystick program show",
    "limit_reached": "do less, or wait for the day that is named; see the limits: tallystick program show",
    "link_exists": "the account has its link already: tallystick link list",
    "link_unknown": "link the accounts first: tallystick link issue at the partner, then tallystick link accept here",
    "member_limit": "convert less, or on another day",
    "node_unreachable": "check the URL, and that the node runs: tallystick serve DIR",
    "partner_busy": "see what is open, and who is to act: tallystick partner show",
    "partner_suspended": "an operator takes it back: tallystick partner resume",
    "partner_unknown": "see who is known: tallystick partner list",
    "passphrase_missing": "give --passphrase-file, or name it in node.toml as passphrase_file",
    "passphrase_wrong": "try again; or put the key file back from a backup",
    "rate_limited": "wait a moment, then send it again",
    "recovering": "see how far it is: tallystick standing",
    "review_closed": "see what was decided: tallystick review list --all",
    "signer_refused": "look at what the agent says; after a restore: tallystick standing",
    "signer_unavailable": "start the agent (tallystick agent), then send it again",
    "start_unanswered": "see who is waited for: tallystick standing; or go on without: tallystick start",
    "steps_above_maximum": "convert less at a time",
    "steps_below_minimum": "convert more at a time",
    "store_behind": "see tallystick standing: bring the missing entries back (tallystick recover), go on without them "
    "(tallystick succeed), or keep a partner out that only claims it (tallystick partner suspend)",
    "store_busy": "stop the node that runs in this directory, then give the command again",
    "store_full": "make room on its disk, then give the command again",
    "token_unreadable": "name a file with a token: --token-file or TALLYSTICK_TOKEN_FILE",
    "transfer_closed": "see how it ended: tallystick transfer list",
    "transfer_cooling_off": "accept it later: the recipient is new to the sender",
    "transfer_lapsed": "ask the sender for another",
    "unauthorized": "give the token with --token-file or TALLYSTICK_TOKEN_FILE",
}
"""What to do about a code, for the codes where something can be said in general."""

_REFUSALS: Final = frozenset({"database_taken", "directory_invalid"})
"""What `init` refuses, beside the rules of ledgers and formats: every other failure is one of this machine."""


def fail(error: TallystickError, *, as_json: bool) -> int:
    """Say on standard error, in one line, what failed and what to do; return the exit status."""
    if as_json and isinstance(error, RequestRefused):
        _say(msgspec.json.encode(error.problem).decode() + "\n")
    else:
        advice = ADVICE.get(error.code)
        detail = " ".join(str(error).split())
        _say(f"tallystick: {error.code}: {detail}{f' -- {advice}' if advice else ''}\n")
    refused = isinstance(error, RequestRefused | Refusal | ProtocolError) or error.code in _REFUSALS
    return REFUSED if refused else COULD_NOT


def fail_unforeseen(error: Exception, *, debug: str) -> int:
    """Say on standard error that something happened which no rule foresees; return the exit status."""
    code = "system_error" if isinstance(error, OSError) else "internal"
    detail = " ".join(f"{type(error).__name__}: {error}".split())
    _say(f"tallystick: {code}: {detail} -- set {debug}=1 to see where\n")
    return COULD_NOT


def _say(line: str) -> None:
    """Write a line to standard error; where there is no room for it, the exit status still says what happened."""
    try:
        sys.stderr.write(line)
        sys.stderr.flush()
    except BrokenPipeError:
        raise
    except OSError:
        pass


def retry_with(error: NodeUnreachable, request_id: str) -> NodeUnreachable:
    """Return `error` with the id by which the request can be sent again without being done twice."""
    return NodeUnreachable(f"{error}; to be sure, send it again with --id {request_id}")


def stop(status: int) -> None:
    """End the command with an exit status other than 0."""
    if status != HELD:
        raise typer.Exit(status)
