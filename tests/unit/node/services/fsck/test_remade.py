"""What nobody can find in a store (specs/threats.md): evidence on which no entry rests, removed with all traces."""

import pytest
from sqlalchemy import Connection, Table

from node.store.columns import METADATA
from node.store.dump import columns_of
from node.store.evidence import chain_all
from protocol.audit.findings import Verdict
from protocol.encoding import ZERO_DIGEST
from tests.support.stores import DamagedStore
from tests.unit.node.services.fsck.damages import checked, found, matching

HEADS = METADATA.tables["evidence_heads"]


def remade(store: DamagedStore, table: Table, *, without_last: bool) -> dict[str, object]:
    """Return what a head says of a table's rows, of all or all but the last."""
    rows = store.rows(table)[: -1 if without_last else None]
    return {"count": len(rows), "chain": chain_all(ZERO_DIGEST, columns_of(table.name), rows)}


@pytest.mark.parametrize(("name", "verdict"), [("accusations", Verdict.HELD), ("messages_received", Verdict.BROKEN)])
def test_a_last_row_that_is_removed_with_all_traces_is_missed_where_an_entry_rests_on_it(
    store: DamagedStore, name: str, verdict: Verdict
) -> None:
    table = METADATA.tables[name]
    last, head = store.rows(table)[-1], remade(store, table, without_last=True)

    def forget(connection: Connection) -> None:
        connection.execute(table.delete().where(matching(table, last)))

    def make_head(connection: Connection) -> None:
        connection.execute(HEADS.update().where(HEADS.c.name == name).values(head))

    assert remade(store, table, without_last=False) in [
        {"count": row[1], "chain": row[2]} for row in store.rows(HEADS) if row[0] == name
    ]
    with store.damaged(table, forget):
        assert checked(store).verdict is Verdict.BROKEN
        with store.damaged(HEADS, make_head):
            report = checked(store)
    assert report.verdict is verdict, found(report)
