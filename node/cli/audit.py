"""`tallystick audit`, `export` and `receipt`: check logs wherever they are, and carry proof of one away."""

import sys
from contextlib import ExitStack, closing
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Final, TypeAlias

import typer

from node.cli.api_client import read_token
from node.cli.directory import export_directory
from node.cli.failures import stop
from node.cli.files import FileUnreadable, read_bytes, write_bytes
from node.cli.options import JsonOption, NodeOption, TokenOption, connect
from node.cli.output import print_json, print_line
from node.peers.log_source import HttpSource, LogSource, open_source
from node.services.auditing import SeenCheckpoints
from node.services.auditing import audit as audit_sources
from protocol.audit.accuse import Accusation
from protocol.audit.evidence import encode_evidence
from protocol.audit.findings import EXIT_STATUS
from protocol.checkpoint import Checkpoint
from protocol.errors import CouldNotCheck, KeyInvalid, PolicyInvalid
from protocol.note import Verifier, parse_vkey
from protocol.policy import Policy, parse_policy

URL_PREFIXES: Final = ("http://", "https://")
PROGRESS_ENTRIES: Final = 25_600

VkeyOption: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--vkey", metavar="VKEY", help="A log's verifier key that you have from elsewhere; may be repeated."),
]


PolicyOption: TypeAlias = Annotated[
    Path | None,
    typer.Option("--policy", metavar="FILE", help="A trust policy: known logs, and how many witnesses must cosign."),
]


def audit(
    places: Annotated[list[str], typer.Argument(metavar="URL|PACKAGE...", help="Nodes, or packages of export.")],
    *,
    token_files: Annotated[
        list[Path] | None,
        typer.Option("--token-file", metavar="FILE", help="Auditor's token: one for each URL, in their order."),
    ] = None,
    vkeys: VkeyOption = None,
    policy: PolicyOption = None,
    state: Annotated[
        Path | None,
        typer.Option("--state", metavar="DIR", help="Remember what held, and hold the next audit against it."),
    ] = None,
    evidence: Annotated[
        Path | None,
        typer.Option("--evidence", metavar="DIR", help="Write what proves misconduct to strangers, a file each."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Replay each log by its rules, match each pair of partners, and say what holds.

    Exit status 0: all held. 1: something is wrong. 3: something could not be checked.
    """
    verifiers = parse_vkeys(vkeys)
    tokens = _tokens_by_url([place for place in places if is_url(place)], token_files or [])
    seen = SeenCheckpoints(state) if state else None
    with ExitStack() as stack:
        sources = [stack.enter_context(closing(_open(place, tokens.get(place)))) for place in places]
        report = audit_sources(
            sources,
            vkeys=verifiers,
            seen=seen,
            policy=read_policy(policy),
            progress=_tell,
            accuse=None if evidence is None else partial(_write_evidence, evidence),
        )
    if as_json:
        print_json(report.json())
    else:
        for line in report.lines():
            print_line(line)
    stop(EXIT_STATUS[report.verdict])


def _write_evidence(directory: Path, accusation: Accusation) -> None:
    """Write one file of evidence, under a name that its content leads to."""
    found, proved = accusation
    data = encode_evidence(found)
    path = directory / f"{proved.subject}-{sha256(data).hexdigest()[:16]}.json"
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileUnreadable(f"{directory} cannot be made: {error.strerror}") from error
    write_bytes(path, data)
    sys.stderr.write(f"wrote {path}: {proved.accused} about {proved.text}\n")


def is_url(place: str) -> bool:
    """Return whether `place` is a node's URL, not a file."""
    return place.startswith(URL_PREFIXES)


def parse_vkeys(texts: list[str] | None) -> list[Verifier]:
    """Return the verifiers that `texts` stand for; what is no key is a wrong command line."""
    try:
        return [parse_vkey(text) for text in texts or []]
    except KeyInvalid as error:
        raise typer.BadParameter(f"--vkey: {error}") from error


def read_policy(path: Path | None) -> Policy | None:
    """Return the trust policy in the file at `path`, if there is one to be read, or raise `CouldNotCheck`."""
    if path is None:
        return None
    try:
        return parse_policy(read_bytes(path))
    except PolicyInvalid as error:
        raise CouldNotCheck(f"{path} is no policy to check by: {error}") from error


def _tokens_by_url(urls: list[str], files: list[Path]) -> dict[str, str]:
    if files and len(files) != len(urls):
        raise typer.BadParameter(f"give one --token-file for each of the {len(urls)} URLs, in their order")
    return {url: read_token(file) for url, file in zip(urls, files, strict=False)}


def _open(place: str, token: str | None) -> LogSource:
    return open_source(place, token=token)


def _tell(label: str, done: int, size: int) -> None:
    if done == size or done % PROGRESS_ENTRIES == 0:
        sys.stderr.write(f"{label}: {done:,} of {size:,} entries replayed\n")


def export(
    places: Annotated[
        list[Path], typer.Argument(metavar="[DIR] FILE.zip", help="A node directory, if not --node; then the package.")
    ],
    *,
    node: Annotated[
        str | None, typer.Option("--node", envvar="TALLYSTICK_NODE", metavar="URL", help="URL of a running node.")
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option("--token-file", envvar="TALLYSTICK_TOKEN_FILE", metavar="FILE", help="Auditor's token."),
    ] = None,
) -> None:
    """Write a log with its proofs and received messages into a package that `audit` reads.

    The package holds no keys and no personal data.
    """
    *directories, package = places
    if len(directories) > 1 or (not directories and node is None):
        raise typer.BadParameter("give a node directory or --node URL, and the package to write")
    if package.exists():
        raise typer.BadParameter(f"{package} exists already")
    if directories:
        checkpoint = export_directory(directories[0], package)
    else:
        assert node is not None, "checked above"
        checkpoint = _export_node(node, read_token(token_file) if token_file else None, package)
    print_line(f"wrote {package}: {checkpoint.origin}, {checkpoint.size:,} entries")


def _export_node(url: str, token: str | None, package: Path) -> Checkpoint:
    # The store's library is imported only here, so that all other commands start without it.
    from node.services.package import write_package  # noqa: PLC0415 - as said

    with HttpSource(url, token) as source:
        return write_package(source, package)


def receipt(
    seq: Annotated[int, typer.Argument(min=0, metavar="ENTRY", help="The entry's number in the log.")],
    out: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write the receipt.")],
    *,
    node: NodeOption,
    token_file: TokenOption,
) -> None:
    """Fetch the proof that an entry is in the log; `verify` checks it without any server, years later."""
    with connect(node, token_file) as client:
        write_bytes(out, client.get(f"/v1/entries/{seq}/receipt").data)
    print_line(f"wrote the receipt of entry {seq}: {out}")
