"""`tallystick tls`: make certificates for a pilot, and see what is wrong with any."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, TypeAlias

import msgspec
import typer

from node.cli.failures import HELD, REFUSED, stop
from node.cli.options import JsonOption
from node.cli.output import print_facts, print_json, print_line

if TYPE_CHECKING:
    from node.app.tls import CertificateView

app: Final = typer.Typer(no_args_is_help=True, help="Make and check certificates.")

NamesOption: TypeAlias = Annotated[
    list[str] | None, typer.Option("--name", metavar="NAME", help="A host's name or address; may be repeated.")
]


@app.command()
def make(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Where tls.pem and tls.key go: the node's own.")],
    *,
    authority: Annotated[
        Path, typer.Option("--authority", metavar="DIR", help="Where the authority is, or is made: keep it apart.")
    ],
    name: NamesOption = None,
    days: Annotated[int, typer.Option(min=1, max=825, metavar="N", help="How long the certificate holds.")] = 365,
) -> None:
    """Make a node's certificate, and the authority that signs it if there is none yet."""
    from node.app.tls import make_certificate  # noqa: PLC0415 - other commands start without cryptography

    made = make_certificate(directory, authority=authority, names=name or [], now=datetime.now(UTC), days=days)
    print_facts(
        [
            ("certificate", str(made.certificate)),
            ("key", str(made.key)),
            ("authority", str(made.authority)),
            ("ends on", f"{made.ends_at:%Y-%m-%d}"),
        ]
    )
    print_line("")
    print_line("in node.toml:")
    print_line(f'  tls_certificate = "{made.certificate.name}"')
    print_line(f'  tls_key = "{made.key.name}"')
    print_line("with the authority of each partner as tls_client_ca and partner_ca, and for partners that ask for one:")
    print_line(f'  partner_certificate = "{made.certificate.name}"')
    print_line(f'  partner_key = "{made.key.name}"')


@app.command()
def check(
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="Certificates, each with its chain.")],
    *,
    authority: Annotated[
        Path | None, typer.Option("--authority", metavar="FILE", help="Certificate that the chain must lead to.")
    ] = None,
    name: NamesOption = None,
    warn_days: Annotated[int, typer.Option(min=0, metavar="N", help="Warn when it ends sooner.")] = 30,
    as_json: JsonOption = False,
) -> None:
    """Show what certificates say and what is wrong with them; exit status 1 if anything is."""
    from node.app.tls import check_certificate  # noqa: PLC0415 - as above

    now = datetime.now(UTC)
    views = [
        check_certificate(file, now=now, authority=authority, names=name or [], warn_days=warn_days) for file in files
    ]
    if as_json:
        print_json(msgspec.json.encode(views))
    else:
        for view in views:
            _print(view)
    stop(REFUSED if any(view.problems for view in views) else HELD)


def _print(view: "CertificateView") -> None:
    print_facts(
        [
            ("certificate", view.path),
            ("of", view.subject),
            ("signed by", view.issuer),
            ("for", ", ".join(view.names)),
            ("holds", f"{view.begins_at:%Y-%m-%d} to {view.ends_at:%Y-%m-%d} ({view.days_left} days left)"),
        ]
    )
    for text in view.problems:
        print_line(f"  wrong: {text}")
    for text in view.warnings:
        print_line(f"  soon: {text}")
