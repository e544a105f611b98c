"""The tables in `specs/audit.md` are those of the code."""

import pytest

from node.services.audits.audit_tables import tables_of
from protocol.audit.evidence import BrokenPromise, Contradiction, Fork, Uncounted
from protocol.audit.fenced import Fenced
from protocol.audit.findings import EXIT_STATUS, FindingCode, Verdict
from protocol.audit.kept import FORMAT
from protocol.audit.log import audit_log
from protocol.audit.miscount import Standing
from protocol.audit.open_items import ItemKind
from protocol.audit.pages import PAGE_BYTES_MAX, LedgerFile, MessagesPage, PageMessage
from protocol.audit.papers import make_papers
from protocol.audit.report import make_report
from protocol.audit.verify import FileKind
from tests.support.audits import MemorySource
from tests.support.pages import code, page, table, tables


def test_every_verdict_is_listed_with_its_exit_status() -> None:
    listed = {code(row["verdict"]): int(row["exit status"]) for row in table("audit", "1. Verdicts")}
    assert listed == {verdict.value: status for verdict, status in EXIT_STATUS.items()}


def test_every_code_of_the_auditor_is_listed() -> None:
    listed = [code(row["code"]) for row in table("audit", "8. Codes of findings")]
    assert listed == sorted(each.value for each in FindingCode)


def test_every_kind_of_file_is_listed() -> None:
    assert [code(row["kind"]) for row in table("audit", "9. One file")] == [kind.value for kind in FileKind]


@pytest.mark.parametrize(
    ("heading", "document"),
    [
        ("2.1 LedgerFile", LedgerFile),
        ("2.2 MessagesPage", MessagesPage),
        ("2.3 PageMessage", PageMessage),
        ("9.1 Fork", Fork),
        ("9.2 Contradiction", Contradiction),
        ("9.3 BrokenPromise", BrokenPromise),
        ("9.5 Uncounted", Uncounted),
        ("Standing", Standing),
        ("9.6 Fenced", Fenced),
    ],
)
def test_every_field_is_listed(heading: str, document: type[LedgerFile]) -> None:
    fields = [name for name in document.__struct_fields__ if name != "v"]
    assert [code(row["field"]) for row in table("audit", heading)] == fields


def test_the_bound_of_a_file_is_stated() -> None:
    assert f"{PAGE_BYTES_MAX:,} bytes" in page("audit")


def test_every_table_of_the_papers_and_every_kind_of_item_is_listed() -> None:
    papers, items = tables("audit")["11. Working papers"]
    empty = make_papers(make_report([audit_log(MemorySource({}))]), [], as_of="2026-03-01", samples={})
    assert empty.verdict is Verdict.INCOMPLETE
    listed = [code(row["table"]) for row in papers]
    assert sorted(listed) == sorted(each.name for each in tables_of(empty))
    assert [code(row["kind"]) for row in items] == [kind.value for kind in ItemKind]


def test_the_format_of_a_state_is_stated() -> None:
    assert f"`{FORMAT}`" in page("audit")
