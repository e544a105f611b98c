"""The files that an audit leaves: evidence of misconduct, and the working papers as a page, as JSON and as CSV."""

import sys
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Final

import typer

from node.cli.files import FileUnreadable, write_bytes
from node.services.audits.audit_page import page
from node.services.audits.audit_papers import Wanted, paper_files, papers_of
from node.services.audits.auditing import Audited
from protocol.audit.accuse import Accusation
from protocol.audit.evidence import encode_evidence
from protocol.audit.report import Report

HTML: Final = frozenset({".html", ".htm"})
JSON: Final = ".json"


def write_evidence(directory: Path, accusation: Accusation) -> None:
    """Write one file of evidence, under a name that its content leads to, or raise `FileUnreadable`."""
    found, proved = accusation
    data = encode_evidence(found)
    path = directory / f"{proved.subject}-{sha256(data).hexdigest()[:16]}.json"
    _write(path, data)
    sys.stderr.write(f"wrote {path}: {proved.accused} about {proved.text}\n")


def check_reports(reports: Sequence[Path]) -> None:
    """Refuse a command line that asks for papers of a form that there is not."""
    for path in reports:
        if path.suffix not in {*HTML, JSON}:
            raise typer.BadParameter(f"--report {path}: its name must end in .html or .json")


def write_papers(audited: Audited, wanted: Wanted, *, reports: Sequence[Path], csv: Path | None) -> Report:
    """Write the papers that are asked for, and return the report of the audit with what they found."""
    if not reports and csv is None:
        return audited.report
    papers, drawn = papers_of(audited, wanted)
    for path in reports:
        _write(path, papers.json() if path.suffix == JSON else page(papers).encode())
        sys.stderr.write(f"wrote {path}\n")
    if csv is not None:
        for name, data in paper_files(papers, drawn):
            _write(csv / name, data)
        sys.stderr.write(f"wrote {csv}\n")
    return papers.report


def _write(path: Path, data: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileUnreadable(f"{path.parent} cannot be made: {error.strerror}") from error
    write_bytes(path, data)
