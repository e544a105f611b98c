"""The working papers of an audit: put together, with a sample that is fetched again, and written to files."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from node.services.audits.audit_csv import csv_of
from node.services.audits.audit_tables import tables_of
from node.services.audits.auditing import Audited
from protocol.audit.findings import FindingCode, Findings
from protocol.audit.log import LogAudit, Source
from protocol.audit.papers import Papers, last_day, make_papers
from protocol.audit.reading import LogFiles
from protocol.audit.report import make_report
from protocol.audit.sample import SampleRow, chosen, sample_receipt, sample_row
from protocol.errors import ProofInvalid
from protocol.identifiers import Ledger

SAMPLE_ENTRIES: Final = 5
SAMPLE_SEED: Final = "1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which papers are wanted: as of the end of a day, or of the last; from a day on, or all; how large a sample."""

    as_of: str | None = None
    since: str | None = None
    sample: int = SAMPLE_ENTRIES
    seed: str = SAMPLE_SEED


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """The sample of one log, and a receipt for each of its entries that could be fetched, by `seq`."""

    rows: tuple[SampleRow, ...]
    receipts: Mapping[int, bytes]


def papers_of(audited: Audited, wanted: Wanted) -> tuple[Papers, Mapping[Ledger, Drawn]]:
    """Return the papers of an audit and its samples; an entry that is another one now is an exception of its log."""
    as_of = wanted.as_of or last_day(audited.audits)
    drawn: dict[Ledger, Drawn] = {}
    for number, audit in enumerate(audited.audits):
        if audit.is_whole and audit.ledger is not None:
            source = audited.sources[number] if audited.sources else None
            size = max(audit.books.days.end_seq(as_of) - audit.replay.first_seq, 0)
            drawn[audit.ledger] = _draw(audit, source, size=size, wanted=wanted)
    papers = make_papers(
        make_report(audited.audits, vkeys=audited.vkeys),
        audited.audits,
        as_of=as_of,
        since=wanted.since,
        seed=wanted.seed,
        samples={ledger: each.rows for ledger, each in drawn.items()},
    )
    return papers, drawn


def _draw(audit: LogAudit, source: Source | None, *, size: int, wanted: Wanted) -> Drawn:
    """Return the sample of the first `size` entries of the present log."""
    rows, receipts = [], {}
    for index, data in _entries(audit, source, size=size, wanted=wanted):
        try:
            row = sample_row(audit, index, data)
        except ProofInvalid as error:
            audit.findings.broken(FindingCode.FORKED, f"sample {index}", str(error))
            continue
        rows.append(row)
        if data is not None:
            receipts[row.seq] = sample_receipt(audit, index, data)
    return Drawn(rows=tuple(rows), receipts=receipts)


def _entries(
    audit: LogAudit, source: Source | None, *, size: int, wanted: Wanted
) -> Iterator[tuple[int, bytes | None]]:
    """Yield the places that the seed chooses, each with its entry as the log has it now, or None."""
    tree = audit.replay.tree
    files = None if source is None else LogFiles(source, Findings())
    for index in chosen(wanted.seed, root=tree.root_at(size), size=size, count=wanted.sample):
        yield index, None if files is None else files.entry(index, tree.size)


def paper_files(papers: Papers, drawn: Mapping[Ledger, Drawn]) -> Iterator[tuple[str, bytes]]:
    """Yield each file that goes beside the page: every table as CSV, and a receipt for each entry of the sample."""
    for table in tables_of(papers):
        yield f"{table.name}.csv", csv_of(table)
    for ledger, sample in sorted(drawn.items()):
        for seq, receipt in sample.receipts.items():
            yield f"sample/{ledger.replace('/', '-')}-{seq}.receipt", receipt
