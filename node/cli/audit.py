"""`tallystick audit`, `export` and `receipt`: check logs wherever they are, and carry proof of one away."""

from collections.abc import Callable
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import Annotated, Final

import typer

from node.app.memory import settle
from node.cli import audit_options as options
from node.cli.audit_files import check_reports, write_evidence, write_papers
from node.cli.audit_progress import told_progress
from node.cli.directory import export_directory
from node.cli.failures import stop
from node.cli.files import read_bytes, write_bytes
from node.cli.options import JsonOption, NodeOption, TokenOption, connect, parse_node
from node.cli.output import print_json, print_line
from node.client import read_token
from node.peers.log_source import HttpSource, LogSource, open_source
from node.services.audits.audit_papers import SAMPLE_ENTRIES, SAMPLE_SEED, Wanted
from node.services.audits.audit_state import AuditState
from node.services.audits.auditing import Audited, Auditing, Held, held_by
from protocol.audit.accuse import Accusation
from protocol.audit.findings import EXIT_STATUS
from protocol.audit.log import STATE_ENTRIES
from protocol.audit.report import Report
from protocol.checkpoint import Checkpoint

URL_PREFIXES: Final = ("http://", "https://")


def audit(
    places: options.Places = None,
    *,
    token_files: options.TokensOption = None,
    vkeys: options.VkeyOption = None,
    agreements: options.AgreementsOption = None,
    policy: options.PolicyOption = None,
    state: options.StateOption = None,
    fresh: options.FreshOption = False,
    state_every: options.StateEveryOption = STATE_ENTRIES,
    jobs: options.JobsOption = None,
    compare: options.CompareOption = None,
    evidence: options.EvidenceOption = None,
    reports: options.ReportOption = None,
    csv: options.CsvOption = None,
    as_of: options.AsOfOption = None,
    since: options.FromOption = None,
    sample: options.SampleOption = SAMPLE_ENTRIES,
    sample_seed: options.SeedOption = SAMPLE_SEED,
    as_json: JsonOption = False,
) -> None:
    """Replay each log by its rules, match each pair of partners, and say what holds.

    Without a place, the state in DIR is reported as of then, and compared with others.
    Exit status 0: all held. 1: something is wrong. 3: something could not be checked.
    """
    check_reports(reports or [])
    settle()
    seen = AuditState(state, fresh=fresh) if state else None
    with told_progress() as progress:
        auditing = Auditing(
            vkeys=tuple(options.parse_vkeys(vkeys)),
            agreements=options.read_agreements(agreements),
            seen=seen,
            others=tuple(map(_held, compare or [])),
            policy=options.read_policy(policy),
            progress=progress,
            accuse=_accuse(evidence or (state / "evidence" if state else None)),
            thrifty=evidence is None,
            state_entries=state_every,
            jobs=jobs,
        )
        wanted = Wanted(as_of=as_of, since=since, sample=sample, seed=sample_seed)
        with ExitStack() as stack:
            audited = _audited(auditing, places or [], token_files or [], stack=stack)
            report = write_papers(audited, wanted, reports=reports or [], csv=csv)
    _say(report, as_json=as_json)
    stop(EXIT_STATUS[report.verdict])


def _accuse(folder: Path | None) -> Callable[[Accusation], None] | None:
    """Return what writes evidence into `folder`, if it is to be written."""
    return None if folder is None else partial(write_evidence, folder)


def _say(report: Report, *, as_json: bool) -> None:
    if as_json:
        print_json(report.json())
        return
    for line in report.lines():
        print_line(line)


def _audited(auditing: Auditing, places: list[str], token_files: list[Path], *, stack: ExitStack) -> Audited:
    """Return the audit of the logs at `places`, which `stack` closes, or of what was kept where there are none."""
    if not places:
        if auditing.seen is None:
            raise typer.BadParameter("give a node's URL or a package, or --state DIR to report what was kept")
        return auditing.recall()
    tokens = _tokens_by_url([place for place in places if is_url(place)], token_files)
    sources = [stack.enter_context(closing(_open(place, tokens.get(place)))) for place in places]
    return auditing.audit(sources)


def _held(path: Path) -> Held:
    """Return what somebody else holds at `path`: a state's directory, or one checkpoint."""
    return held_by(AuditState(path)) if path.is_dir() else Held(label=str(path), notes=(read_bytes(path),))


def is_url(place: str) -> bool:
    """Return whether `place` is a node's URL, not a file."""
    return place.startswith(URL_PREFIXES)


def _tokens_by_url(urls: list[str], files: list[Path]) -> dict[str, str]:
    if files and len(files) != len(urls):
        raise typer.BadParameter(f"give one --token-file for each of the {len(urls)} URLs, in their order")
    return {url: read_token(file) for url, file in zip(urls, files, strict=False)}


def _open(place: str, token: str | None) -> LogSource:
    return open_source(place, token=token)


def export(
    places: Annotated[
        list[Path], typer.Argument(metavar="[DIR] FILE.zip", help="A node directory, if not --node; then the package.")
    ],
    *,
    node: Annotated[
        str | None,
        typer.Option(
            "--node", envvar="TALLYSTICK_NODE", parser=parse_node, metavar="URL", help="URL of a running node."
        ),
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
        checkpoint = export_node(node, read_token(token_file) if token_file else None, package)
    print_line(f"wrote {package}: {checkpoint.origin}, {checkpoint.size:,} entries")


def export_node(url: str, token: str | None, package: Path) -> Checkpoint:
    """Write the package of the log of a running node, and return its checkpoint."""
    # The store's library is imported only here, so that all other commands start without it.
    from node.services.logs.package import write_package  # noqa: PLC0415 - as said

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
