"""`tallystick dev-issuer`: an identity provider for development, which asks nobody who they are."""

import time
from pathlib import Path
from typing import Annotated, Final, TypeAlias

import typer

from node.cli.output import print_line

app: Final = typer.Typer(
    no_args_is_help=True, help="For development: sign members' tokens as the brand's identity provider would."
)
IssuerArgument: TypeAlias = Annotated[Path, typer.Argument(metavar="DIR", help="The issuer's own directory.")]


@app.command()
def init(
    directory: IssuerArgument,
    *,
    issuer: Annotated[str, typer.Option(metavar="NAME", help="What its tokens name as their issuer.")],
    audience: Annotated[str, typer.Option(metavar="NAME", help="Whom its tokens are for.")] = "tallystick",
) -> None:
    """Make an issuer, and say what a node's configuration needs."""
    from node.app.dev_issuer import KEY_SET_NAME, keep_issuer  # noqa: PLC0415 - other commands start without it

    made = keep_issuer(directory, name=issuer, audience=audience)
    print_line("in node.toml:")
    print_line(f'  oidc_issuer = "{made.name}"')
    print_line(f'  oidc_audience = "{made.audience}"')
    print_line(f'  oidc_jwks = "{(directory / KEY_SET_NAME).absolute()}"')


@app.command()
def token(
    directory: IssuerArgument,
    member: Annotated[str, typer.Argument(metavar="MEMBER", help="An account (member/<uuid>), or the brand's name.")],
    *,
    claim: Annotated[str, typer.Option(metavar="NAME", help="The claim that says so.")] = "sub",
    seconds: Annotated[int, typer.Option(min=1, max=3_600, metavar="N", help="How long the token holds.")] = 900,
) -> None:
    """Print a member's token."""
    from node.app.dev_issuer import read_issuer  # noqa: PLC0415 - as above

    print_line(read_issuer(directory).token({claim: member}, now=int(time.time()), seconds=seconds))


@app.command()
def serve(
    directory: IssuerArgument,
    *,
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port on 127.0.0.1; 0 takes a free one.")] = 0,
) -> None:
    """Publish the issuer's keys until interrupted."""
    from node.app.dev_issuer import IssuerServer, read_issuer  # noqa: PLC0415 - as above

    server = IssuerServer(read_issuer(directory), port=port)
    print_line(f"listening on {server.url}")
    server.run()
