"""The options that commands share, and what they mean."""

import re
from pathlib import Path
from typing import Annotated, Final, TypeAlias
from urllib.parse import urlsplit
from uuid import uuid4

import typer

from node.client import NodeClient, read_token
from protocol.errors import IdentifierInvalid
from protocol.identifiers import HOLDER_KINDS, Account, Id, parse_holder, parse_id

_NODE_HELP: Final = "URL of the node."
_TOKEN_HELP: Final = "File that holds the credential (tokens/<role>.token of the node's directory)."  # noqa: S105 - help text


def parse_node(text: str) -> str:
    """Return `text` if a node can be asked at it."""
    try:
        parts = urlsplit(text)
        known = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        known = False
    if not known:
        raise typer.BadParameter(f"{text!r} is no URL like http://127.0.0.1:8420")
    return text


def parse_word(text: str) -> str:
    """Return `text` if it is a reason as the log takes it."""
    if not re.fullmatch(r"[a-z_]{1,64}", text):
        raise typer.BadParameter(f"{text!r} is no word of a to z and _, as service_outage")
    return text


def parse_amount(text: str) -> int:
    """Return the whole number that `text` is: digits alone, perhaps after a minus."""
    if not re.fullmatch(r"-?[0-9]{1,100}", text):
        raise typer.BadParameter(f"{text!r} is no whole number: give digits alone, as 1000")
    return int(text)


NodeOption: TypeAlias = Annotated[
    str,
    typer.Option(
        "--node", envvar="TALLYSTICK_NODE", parser=parse_node, metavar="URL", help=_NODE_HELP, show_default=False
    ),
]
TokenOption: TypeAlias = Annotated[
    Path,
    typer.Option("--token-file", envvar="TALLYSTICK_TOKEN_FILE", metavar="FILE", help=_TOKEN_HELP, show_default=False),
]
DirectoryArgument: TypeAlias = Annotated[Path, typer.Argument(metavar="DIR", help="The node's directory.")]
PassphraseOption: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--passphrase-file",
        metavar="FILE",
        help="File that holds the passphrase of the keys; else a terminal asks for it.",
        show_default=False,
    ),
]
JsonOption: TypeAlias = Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")]
LimitOption: TypeAlias = Annotated[int, typer.Option("--limit", min=1, max=256, help="Rows to show at most.")]


def parse_uuid(text: str) -> Id:
    """Return `text` if it is an id."""
    try:
        return parse_id(text)
    except IdentifierInvalid as error:
        raise typer.BadParameter(str(error)) from error


def parse_account(text: str) -> Account:
    """Return the account that `text` names: `kind/<uuid>`, or a UUID alone for a member's."""
    try:
        return parse_holder(text if "/" in text else f"member/{text}")
    except IdentifierInvalid as error:
        hint = f"give member/<uuid>, or the UUID alone for a member (kinds: {', '.join(HOLDER_KINDS)})"
        raise typer.BadParameter(f"{error}; {hint}") from error


def parse_kind(text: str) -> str:
    """Return `text` if it is a kind of holder."""
    if text not in HOLDER_KINDS:
        raise typer.BadParameter(f"{text!r} is none of {', '.join(HOLDER_KINDS)}")
    return text


IdOption: TypeAlias = Annotated[
    Id | None,
    typer.Option(
        "--id",
        parser=parse_uuid,
        metavar="UUID",
        help="Id of this request; give it again to retry.",
        show_default=False,
    ),
]
DateOption: TypeAlias = Annotated[
    str | None, typer.Option("--occurred-on", metavar="DATE", help="Business day, if not today (2026-01-31).")
]
AccountArgument: TypeAlias = Annotated[
    str,
    typer.Argument(parser=parse_account, metavar="ACCOUNT", help="member/<uuid>; a UUID alone is a member."),
]
SenderArgument: TypeAlias = Annotated[
    str, typer.Argument(parser=parse_account, metavar="FROM", help="The account whose points go: member/<uuid>.")
]
RecipientArgument: TypeAlias = Annotated[
    str, typer.Argument(parser=parse_account, metavar="TO", help="The account that gets them: member/<uuid>.")
]
OptionalAccount: TypeAlias = Annotated[
    str | None,
    typer.Argument(parser=parse_account, metavar="ACCOUNT", help="member/<uuid>; a UUID alone is a member."),
]
AmountArgument: TypeAlias = Annotated[int, typer.Argument(parser=parse_amount, metavar="AMOUNT", help="Whole points.")]
PartnerArgument: TypeAlias = Annotated[
    str, typer.Argument(metavar="PARTNER", help="bluebird.example, or a whole ledger name where that is not unique.")
]
PartnerOption: TypeAlias = Annotated[str | None, typer.Option("--partner", metavar="PARTNER", help="With one alone.")]
ReasonOption: TypeAlias = Annotated[
    str,
    typer.Option(
        "--reason",
        parser=parse_word,
        metavar="WORD",
        help="Why, in lowercase words joined by _; it enters the log: never about a person.",
    ),
]
UuidArgument: TypeAlias = Annotated[str, typer.Argument(parser=parse_uuid, metavar="ID", help="Its UUID.")]


def passphrase_settings(path: Path | None) -> dict[str, str]:
    """Return what overrides a node's configuration where a passphrase's file is named on the command line."""
    return {} if path is None else {"passphrase_file": str(path.absolute())}


def fresh_id(given: Id | None) -> Id:
    """Return the id that was given, or a new random one."""
    return given or Id(str(uuid4()))


def connect(node: str, token_file: Path | None) -> NodeClient:
    """Return a client of the node at `node`, with the credential in `token_file` if there is one."""
    return NodeClient(node, token=read_token(token_file) if token_file else None)
