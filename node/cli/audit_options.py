"""The options of `tallystick audit`, and what they mean."""

from pathlib import Path
from typing import Annotated, Final, TypeAlias

import typer

from node.cli.files import read_bytes
from protocol.agreement import SignedAgreement, decode_signed_agreement
from protocol.audit.sample import SAMPLE_MAX
from protocol.errors import CouldNotCheck, KeyInvalid, PolicyInvalid, ProtocolError
from protocol.fields import parse_date
from protocol.limits import TILE_WIDTH
from protocol.note import Verifier, parse_vkey
from protocol.policy import Policy, parse_policy

JOBS_MAX: Final = 64

Places: TypeAlias = Annotated[
    list[str] | None, typer.Argument(metavar="URL|PACKAGE...", help="Nodes, or packages of export.", show_default=False)
]
TokensOption: TypeAlias = Annotated[
    list[Path] | None,
    typer.Option("--token-file", metavar="FILE", help="Auditor's token: one for each URL, in their order."),
]
VkeyOption: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--vkey", metavar="VKEY", help="A log's verifier key that you have from elsewhere; may be repeated."),
]
AgreementsOption: TypeAlias = Annotated[
    list[Path] | None,
    typer.Option(
        "--agreement", metavar="FILE", help="An agreement that both parties signed: the keys in it count as known."
    ),
]
PolicyOption: TypeAlias = Annotated[
    Path | None,
    typer.Option("--policy", metavar="FILE", help="A trust policy: known logs, and how many witnesses must cosign."),
]
StateOption: TypeAlias = Annotated[
    Path | None,
    typer.Option("--state", metavar="DIR", help="Go on from what held before, and keep what holds now."),
]
FreshOption: TypeAlias = Annotated[
    bool, typer.Option("--fresh", help="Read every log from its first entry, whatever DIR has kept.")
]
StateEveryOption: TypeAlias = Annotated[
    int, typer.Option("--state-every", min=TILE_WIDTH, metavar="ENTRIES", help="Keep what is verified so often.")
]
CompareOption: TypeAlias = Annotated[
    list[Path] | None,
    typer.Option(
        "--compare", metavar="DIR|FILE", help="Another auditor's state, or a checkpoint that somebody else was shown."
    ),
]
EvidenceOption: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--evidence", metavar="DIR", help="Write what proves misconduct to strangers; with --state, DIR/evidence."
    ),
]
ReportOption: TypeAlias = Annotated[
    list[Path] | None,
    typer.Option("--report", metavar="FILE", help="Write the working papers: FILE.html to print, or FILE.json."),
]
CsvOption: TypeAlias = Annotated[
    Path | None, typer.Option("--csv", metavar="DIR", help="Write every table as CSV, and the sample's receipts.")
]
JobsOption: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--jobs",
        min=1,
        max=JOBS_MAX,
        metavar="N",
        help="Processes that take part; as many as there are cores unless the logs are small. The outcome is the same.",
        show_default=False,
    ),
]
SampleOption: TypeAlias = Annotated[
    int, typer.Option("--sample", min=0, max=SAMPLE_MAX, metavar="N", help="Entries of each log to draw and prove.")
]
SeedOption: TypeAlias = Annotated[
    str, typer.Option("--sample-seed", metavar="TEXT", help="What the sample is drawn by, together with the root.")
]


def parse_day(text: str) -> str:
    """Return `text` if it is a date."""
    try:
        parse_date(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is no date like 2026-01-31") from error
    return text


AsOfOption: TypeAlias = Annotated[
    str | None,
    typer.Option("--as-of", parser=parse_day, metavar="DATE", help="Figures of the papers at the end of this day."),
]
FromOption: TypeAlias = Annotated[
    str | None,
    typer.Option("--from", parser=parse_day, metavar="DATE", help="Let the roll-forward begin with this day."),
]


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


def read_agreements(paths: list[Path] | None) -> tuple[SignedAgreement, ...]:
    """Return the agreements in the files at `paths`, or raise `CouldNotCheck`."""
    return tuple(_read_agreement(path) for path in paths or [])


def _read_agreement(path: Path) -> SignedAgreement:
    try:
        return decode_signed_agreement(read_bytes(path))
    except ProtocolError as error:
        raise CouldNotCheck(f"{path} is not an agreement to check by: {error}") from error
