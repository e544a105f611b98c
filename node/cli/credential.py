"""`tallystick credential`: issue, list, rotate and revoke API keys."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final, TypeAlias

import msgspec
import typer

from node.app.files import write_private
from node.cli.access_answers import IssuedKeyState, KeyRows
from node.cli.files import FileUnreadable
from node.cli.options import DirectoryArgument, JsonOption, NodeOption, TokenOption, connect
from node.cli.output import print_json, print_line, print_table
from node.client import Reply

app: Final = typer.Typer(no_args_is_help=True, help="Issue, list, rotate and revoke API keys.")
_PATH: Final = "/v1/credentials"

NAME_CHARACTERS_MAX: Final = 128


def _parse_name(text: str) -> str:
    if not (text.isprintable() and 0 < len(text) <= NAME_CHARACTERS_MAX):
        raise typer.BadParameter(f"a name has 1 to {NAME_CHARACTERS_MAX} characters that can be shown")
    return text


CredentialArgument: TypeAlias = Annotated[
    str, typer.Argument(metavar="CREDENTIAL", help="The 8 digits of the credential, as `credential list` shows them.")
]
OutOption: TypeAlias = Annotated[
    Path | None, typer.Option("--out", "-o", metavar="FILE", help="Write the token here, for its owner alone to read.")
]


def _shown(reply: Reply, out: Path | None, *, as_json: bool, said: str) -> None:
    _say(reply.read(IssuedKeyState), reply.data, out, as_json=as_json, said=said)


def _say(made: IssuedKeyState, data: bytes, out: Path | None, *, as_json: bool, said: str) -> None:
    if as_json:
        print_json(data)
    elif out is None:
        print_line(made.token)
    else:
        try:
            write_private(out, made.token + "\n")
        except OSError as error:
            raise FileUnreadable(f"{out} cannot be written: {error.strerror}") from error
        until = f"; the key before it holds until {made.old_until}" if made.old_until else ""
        print_line(f"{said} {made.id} ({made.role}, {made.name}): {out}{until}")


@app.command()
def issue(
    role: Annotated[
        str,
        typer.Argument(metavar="ROLE", help="viewer, support, manager, administrator, backend, auditor or partner."),
    ],
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whose it is, as `credential list` will show it.")],
    *,
    expires_at: Annotated[
        str | None, typer.Option(metavar="TIME", help="When it ends by itself (2026-01-31T12:00:00Z).")
    ] = None,
    partner: Annotated[
        str | None, typer.Option(metavar="PARTNER", help="The partner that a key of that role is for.")
    ] = None,
    per_minute: Annotated[int | None, typer.Option(metavar="N", help="Requests a minute, if not as its role.")] = None,
    out: OutOption = None,
    as_json: JsonOption = False,
    node: NodeOption,
    token_file: TokenOption,
) -> None:
    """Issue a key; its token is shown this once."""
    with connect(node, token_file) as client:
        ledger = None if partner is None else client.partner(partner).ledger
        body = {"role": role, "name": name, "expires_at": expires_at, "partner": ledger, "per_minute": per_minute}
        reply = client.post(_PATH, body)
    _shown(reply, out, as_json=as_json, said="issued")


@app.command()
def bootstrap(
    directory: DirectoryArgument,
    name: Annotated[str, typer.Argument(parser=_parse_name, metavar="NAME", help="Whose it is.")],
    *,
    out: OutOption = None,
    as_json: JsonOption = False,
) -> None:
    """Issue an administrator's key in the store of a stopped node, for when nobody has one any more."""
    from node.app.administrator import issue_administrator  # noqa: PLC0415 - so that other commands start without it
    from node.app.system import SystemRandomness  # noqa: PLC0415 - as above

    if out is not None and not out.parent.is_dir():
        raise FileUnreadable(f"{out} cannot be written: there is no directory {out.parent}")
    made = issue_administrator(directory, name=name, now=datetime.now(UTC), randomness=SystemRandomness())
    state = IssuedKeyState(id=made.row.prefix, role=made.row.role, name=name, token=made.token, old_until=None)
    _say(state, msgspec.json.encode(state), out, as_json=as_json, said="issued")


@app.command("list")
def list_keys(*, as_json: JsonOption = False, node: NodeOption, token_file: TokenOption) -> None:
    """List every key that was ever issued."""
    with connect(node, token_file) as client:
        reply = client.get(_PATH)
    if as_json:
        print_json(reply.data)
        return
    rows = [
        (row.id, row.role, row.name, row.state, row.created_at[:19], row.expires_at and row.expires_at[:19])
        for row in reply.read(KeyRows).credentials
    ]
    print_table(("credential", "role", "name", "state", "issued at", "ends at"), rows)


@app.command()
def rotate(
    credential: CredentialArgument,
    *,
    overlap_hours: Annotated[int, typer.Option(min=0, max=720, metavar="N", help="How long the old key holds.")] = 24,
    out: OutOption = None,
    as_json: JsonOption = False,
    node: NodeOption,
    token_file: TokenOption,
) -> None:
    """Make a new key of a credential, while the old one holds a little longer."""
    with connect(node, token_file) as client:
        reply = client.post(f"{_PATH}/{credential}/rotate", {"overlap_hours": overlap_hours})
    _shown(reply, out, as_json=as_json, said="rotated")


@app.command()
def revoke(
    credential: CredentialArgument, *, as_json: JsonOption = False, node: NodeOption, token_file: TokenOption
) -> None:
    """End a credential at once, with all its keys."""
    with connect(node, token_file) as client:
        reply = client.post(f"{_PATH}/{credential}/revoke", {})
    if as_json:
        print_json(reply.data)
    else:
        print_line(f"revoked {credential}")
