"""The first wrong place is named: table, key and column, and no others that merely follow from it."""

import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import Connection

from node.services.fsck.fsck import fsck
from node.services.fsck.fsck_report import FINDINGS_MAX
from node.services.metadata import metadata_digest
from node.store.columns import METADATA
from node.store.database import Database
from node.store.dump import class_of
from protocol.audit.findings import Verdict
from protocol.envelope import decode_envelope, encode_envelope, seal_envelope
from protocol.keys import Role
from protocol.merkle import leaf_hash
from protocol.messages import body_digest, encode_body
from tests.support.audits import signed_checkpoint
from tests.support.documents import AURORA, BLUEBIRD, COPPER, fulfil, hello, prepare, query, uuid
from tests.support.stores import DamagedStore
from tests.unit.node.services.fsck.damages import changing, checked, found, inserting, without_rows

ENTRIES, TILES, CHECKPOINTS = (METADATA.tables[name] for name in ("entries", "tiles", "checkpoints"))


def test_a_damaged_leaf_is_told_from_damaged_bytes(store: DamagedStore) -> None:
    seq, leaf, data = store.rows(ENTRIES)[-1]
    assert isinstance(leaf, bytes)
    assert isinstance(data, bytes)
    with store.damaged(ENTRIES, changing(ENTRIES, {"leaf": bytes(32)})):
        assert found(checked(store)) == {"entries": [f"entries[{seq!r}].leaf: this is not the leaf hash of the bytes"]}
    with store.damaged(ENTRIES, changing(ENTRIES, {"data": data.replace(b'"v":1', b'"v":2')})):
        first, second = found(checked(store)).pop("entries")
        assert first == f"entries[{seq!r}].data: the bytes do not lead to the leaf hash"
        assert second.startswith(f"entries[{seq!r}].data: ")


def test_an_entry_that_was_replaced_with_its_leaf_does_not_make_the_signed_root(store: DamagedStore) -> None:
    seq, _, data = store.rows(ENTRIES)[-1]
    assert isinstance(data, bytes)
    forged = data.replace(b'"occurred_on":"2026-03-01"', b'"occurred_on":"2026-02-28"')
    assert forged != data
    with store.damaged(ENTRIES, changing(ENTRIES, {"data": forged, "leaf": leaf_hash(forged)})):
        report = checked(store)
    number = len(store.rows(CHECKPOINTS)) - 1
    assert (
        f"entries[{seq!r}]: the entries up to this one do not make the root that checkpoint {number} signed"
        in (found(report)["entries"])
    )
    assert found(report)["tiles"] == ["tiles[1, 0, 1].hashes: hash 40 is not the one that the entries make"]


def test_what_follows_from_a_damaged_log_is_not_compared(store: DamagedStore) -> None:
    with store.damaged(ENTRIES, changing(ENTRIES, {"data": b"{}"})):
        report = checked(store)
    unchecked = {table.name for table in report.tables if not table.checked}
    assert {"accounts", "history", "balances"} <= unchecked
    assert not {"entries", "tiles", "checkpoints", "messages_received"} & unchecked
    assert {table.name: table.rows for table in report.tables}["history"] == len(store.rows(METADATA.tables["history"]))
    assert set(found(report)) == {"entries"}


def test_a_log_without_genesis_proves_nothing(store: DamagedStore) -> None:
    with store.damaged(ENTRIES, changing(ENTRIES, {"data": b"{}"}, last=False)):
        report = checked(store, state=b"note")
    assert report.verdict is Verdict.BROKEN
    assert found(report)["entries"][1].startswith("entries[0].data: ")
    assert not {"checkpoints", "messages_sent", "evidence_heads"} & {
        each.name for each in report.tables if each.checked
    }
    assert [each.detail for each in report.state] == ["the log has no genesis to check the state file by"]


def test_a_tail_that_was_cut_is_missed_by_the_checkpoint(store: DamagedStore) -> None:
    count = len(store.rows(ENTRIES))

    def cut(connection: Connection) -> None:
        connection.execute(ENTRIES.delete().where(ENTRIES.c.seq >= count - 3))

    with store.damaged(ENTRIES, cut):
        report = checked(store)
    expected = f"entries[{count - 3}]: this entry is missing and all up to {count - 1}"
    assert found(report) == {"entries": [expected]}

    with store.damaged(TILES, without_rows(TILES)), store.damaged(ENTRIES, cut):
        assert found(checked(store))["entries"] == [expected]


def test_a_missing_entry_and_its_tiles_leave_the_rest_out_of_place(store: DamagedStore) -> None:
    def cut(connection: Connection) -> None:
        connection.execute(ENTRIES.delete().where(ENTRIES.c.seq == 5))

    with store.damaged(TILES, without_rows(TILES)), store.damaged(ENTRIES, cut):
        report = checked(store)
    entries = found(report)["entries"]
    assert entries[0] == "entries[5]: this entry is missing"
    assert entries[1] == "entries[6].seq: this entry stands where none should"
    assert len(entries) == FINDINGS_MAX
    assert any(line.startswith("  and ") for line in report.lines())


def test_rows_that_should_not_be_there_are_found(store: DamagedStore) -> None:
    lots, history = METADATA.tables["lots"], METADATA.tables["history"]
    for table, values, line in (
        (
            TILES,
            {"generation": 1, "level": 7, "tile_index": 0, "hashes": bytes(32)},
            "tiles[1, 7, 0]: this tile should not be there",
        ),
        (history, {"account_seq": 99_999, "seq": 1}, "history[99999, 1]: the log leads to no such row"),
        (
            lots,
            {"account_seq": 99_999, "seq": 1, "part": 0, "origin": "own", "earned_on": "", "remaining": 5},
            "lots[99999, 1, 0]: the log leads to no such row",
        ),
        (
            METADATA.tables["evidence_heads"],
            {"name": "nothing", "count": 1, "chain": "x"},
            "evidence_heads[nothing]: there is no such table",
        ),
    ):
        with store.damaged(table, inserting(table, values)):
            assert found(checked(store)) == {table.name: [line]}


def test_rows_of_another_log_that_are_whole_in_themselves_are_found(store: DamagedStore) -> None:
    note = signed_checkpoint(AURORA, [b"another log"])
    with store.damaged(CHECKPOINTS, changing(CHECKPOINTS, {"note": note})):
        report = checked(store)
    lines = found(report)["checkpoints"]
    assert any("the note states 1 entries" in line for line in lines)
    assert any(".root: the note states " in line for line in lines)
    with store.damaged(CHECKPOINTS, changing(CHECKPOINTS, {"note": b"no note"})):
        assert found(checked(store))["checkpoints"][0].endswith("(note_invalid)")


def test_two_checkpoints_of_one_size_are_found(store: DamagedStore) -> None:
    number, _, size, root, note = store.rows(CHECKPOINTS)[-1]
    assert isinstance(number, int)
    assert isinstance(size, int)

    def repeat(connection: Connection) -> None:
        connection.execute(CHECKPOINTS.update().where(CHECKPOINTS.c.number == number).values(size=size + 1))
        row = {"number": number + 1, "generation": 1, "size": size, "root": root, "note": note}
        inserting(CHECKPOINTS, row)(connection)

    with store.damaged(CHECKPOINTS, repeat):
        lines = found(checked(store))["checkpoints"]
    assert f"checkpoints[{number + 1}].size: the checkpoint before covers {size} entries of the log 1" in lines


def test_the_state_file_must_be_one_that_the_store_leads_to(store: DamagedStore) -> None:
    entries = [data for _, _, data in store.rows(ENTRIES) if isinstance(data, bytes)]
    assert checked(store, state=signed_checkpoint(AURORA, entries)).verdict is Verdict.HELD
    assert checked(store, state=signed_checkpoint(AURORA, entries[:7])).verdict is Verdict.HELD
    for state, detail in (
        (signed_checkpoint(AURORA, [*entries, b"one more"]), "it is an older copy"),
        (signed_checkpoint(AURORA, [*entries[:-1], b"another"]), "it has seen another history"),
        (signed_checkpoint(BLUEBIRD, entries), "(checkpoint_invalid)"),
        (b"no note", "(note_invalid)"),
    ):
        report = checked(store, state=state)
        assert report.verdict is Verdict.BROKEN
        assert detail in report.state[0].detail
        assert list(report.lines())[-2].startswith("state file: ")


SENT, RECEIVED = METADATA.tables["messages_sent"], METADATA.tables["messages_received"]


def test_messages_that_were_swapped_for_others_are_found(store: DamagedStore) -> None:
    asked = encode_body(query(prepare(conversion=uuid("another"))))
    forged = {"body": asked, "digest": body_digest(asked), "kind": "query", "conversion": uuid("another")}
    with store.damaged(SENT, changing(SENT, forged)):
        lines = found(checked(store))["messages_sent"]
    assert any("makes another message" in line for line in lines)
    with store.damaged(SENT, changing(SENT, {"entry_seq": None})):
        lines = found(checked(store))["messages_sent"]
    assert any("the entry that made this message is not named" in line for line in lines)
    with store.damaged(SENT, changing(SENT, {"entry_seq": 0})):
        lines = found(checked(store))["messages_sent"]
    assert any("entry 0 makes no message" in line for line in lines)
    answer = encode_body(fulfil())
    with store.damaged(SENT, changing(SENT, {"body": answer})):
        assert any(".partner: " in line for line in found(checked(store))["messages_sent"])
    greeting = encode_body(hello())
    with store.damaged(SENT, changing(SENT, {"body": greeting})):
        assert any(
            ".kind: prepare, where the bytes say hello" in line for line in found(checked(store))["messages_sent"]
        )


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"path": '["00"]'}, "body, frame and path do not lead to the envelope's root"),
        ({"path": '["zz"]'}, "this is not a list of digests as it is written"),
        ({"path": "[1]"}, "this is not a list of digests as it is written"),
        ({"path": "[ ]"}, "this is not a list of digests as it is written"),
        ({"body": encode_body(hello())}, "is missing"),
        ({"envelope_number": 0}, "there is no envelope 0 in this place"),
    ],
)
def test_received_messages_that_their_envelopes_do_not_carry_are_found(
    store: DamagedStore, values: dict[str, object], line: str
) -> None:
    with store.damaged(RECEIVED, changing(RECEIVED, values)):
        lines = found(checked(store))["messages_received"]
    assert any(line in each for each in lines), lines


def test_an_envelope_of_another_pair_is_found(store: DamagedStore) -> None:
    envelopes = METADATA.tables["envelopes_received"]
    data = store.rows(envelopes)[-1][2]
    assert isinstance(data, bytes)
    header = decode_envelope(data).header()
    for changes, detail in (
        ({"receiver": COPPER.ledger}, "the envelope is for copper.example/main.1"),
        ({"sender": COPPER.ledger}, "no entry names the keys of copper.example/main.1"),
    ):
        stated = msgspec.structs.replace(header, **changes)
        forged = encode_envelope(seal_envelope(stated, key=BLUEBIRD.signing_keys[Role.CHANNEL]))
        with store.damaged(envelopes, changing(envelopes, {"envelope": forged})):
            lines = found(checked(store))["envelopes_received"]
        assert any(detail in line for line in lines), lines


def test_a_partners_checkpoint_of_an_unknown_log_is_found(store: DamagedStore) -> None:
    kept = METADATA.tables["partner_checkpoints"]
    with store.damaged(kept, changing(kept, {"ledger": COPPER.ledger})):
        assert "no entry names the keys of copper" in found(checked(store))["partner_checkpoints"][0]
    # Where the entry that names the partner is damaged, its words can only be counted.
    with store.damaged(ENTRIES, naming_nobody(store)):
        report = checked(store)
    assert set(found(report)) == {"entries"}


def naming_nobody(store: DamagedStore) -> Callable[[Connection], None]:
    seq = next(seq for seq, _, data in store.rows(ENTRIES) if isinstance(data, bytes) and b'"partner_added"' in data)

    def damage(connection: Connection) -> None:
        connection.execute(ENTRIES.update().where(ENTRIES.c.seq == seq).values(data=b"{}"))

    return damage


def test_an_empty_store_holds_nothing_and_nothing_is_wrong(tmp_path: Path) -> None:
    with Database.open(f"sqlite:///{tmp_path / 'empty.sqlite'}") as database:
        database.migrate()
        report = fsck(database)
    assert (report.verdict, report.size, found(report)) == (Verdict.INCOMPLETE, 0, {})


def test_the_report_as_json_names_each_table_with_its_class(store: DamagedStore) -> None:
    with store.damaged(METADATA.tables["head"], changing(METADATA.tables["head"], {"size": 1})):
        report = checked(store)
    document = json.loads(report.json())
    tables = {table["name"]: table for table in document["tables"]}
    assert {name: table["kind"] for name, table in tables.items()} == {
        name: class_of(name).value for name in METADATA.tables
    }
    assert tables["head"]["findings"] == [
        {"key": ["only"], "column": "size", "detail": "1, where the log leads to 297"},
    ]
    assert (document["v"], document["verdict"], document["size"], document["state"]) == (1, "broken", 297, [])
    lines = list(report.lines())
    assert "head (derived): 1 rows, BROKEN" in lines
    assert "  head[only].size: 1, where the log leads to 297" in lines
    assert "entries (log): 297 rows, ok" in lines
    assert "channels (operational): 1 rows, not checked" in lines
    assert lines[-1] == "Verdict: broken."


@pytest.mark.parametrize("column", ["salt", "data"])
def test_metadata_that_is_not_what_an_entry_has_the_digest_of_is_found(store: DamagedStore, column: str) -> None:
    row = {"salt": b"s" * 16, "data": b'{"campaign":"june"}'}
    kept = {"digest": metadata_digest(row["salt"], row["data"]), **row}
    with store.damaged(METADATA.tables["metadata_rows"], inserting(METADATA.tables["metadata_rows"], kept)):
        assert checked(store).verdict is Verdict.HELD
    changed = {**kept, column: row[column].replace(b"s", b"j")[::-1]}
    with store.damaged(METADATA.tables["metadata_rows"], inserting(METADATA.tables["metadata_rows"], changed)):
        report = checked(store)
    assert report.verdict is Verdict.BROKEN
    assert [line.partition(":")[0] for line in found(report)["metadata_rows"]] == [
        f"metadata_rows[{kept['digest']}].data"
    ]
