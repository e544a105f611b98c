"""Accounts go by their numbers in the largest tables, and by their names everywhere else."""

import pytest

from node.store import numbers
from node.store.database import Database
from node.store.errors import StoreFailed
from node.store.rows import CommitRecord
from node.store.writer import StoreWriter
from protocol.identifiers import Account
from protocol.ledger.state import ACCOUNTS, LOTS, Lot
from protocol.ledger.view import Need, Overlay, need, need_book
from tests.unit.node.store.recorder import ANN, CEM, Recorder, small_log, write_log

NOBODY = Account("member/nobody")


def loaded(writer: StoreWriter, *needs: Need) -> Overlay:
    overlay = Overlay(complete=False)
    writer.load(needs, overlay)
    return overlay


def test_a_lot_is_found_by_its_accounts_name(database: Database, writer: StoreWriter) -> None:
    state = write_log(writer, small_log()).state
    (key,) = (key for key, _ in state.rows(LOTS))
    (_, seq, part), lot = key, state.get(LOTS, key)
    assert lot is not None
    wanted = [(ANN, seq, part), (ANN, seq, part + 1), (CEM, seq, part), (NOBODY, seq, part), (Account("\0"), seq, part)]
    found = loaded(writer, *(need(LOTS, each) for each in wanted))
    assert [found.get(LOTS, each) for each in wanted] == [lot, None, None, None, None]
    assert [database.reader().record(LOTS, each) for each in wanted] == [lot, None, None, None, None]


def test_what_a_new_writer_does_not_remember_it_looks_up(database: Database) -> None:
    sealed = small_log()
    recorder = Recorder()
    with database.writer() as first:
        first.commit(recorder.record(sealed[:-1]))
    with database.writer() as second:
        second.commit(recorder.record(sealed[-1:]))
        assert loaded(second, need_book(ANN)).lots(ANN) == recorder.state.lots(ANN)
    assert database.reader().history(ANN) == [each.data for each in reversed(sealed) if ANN.encode() in each.data]


def test_what_is_remembered_has_a_bound(writer: StoreWriter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numbers, "REMEMBERED_MAX", 1)
    state = write_log(writer, small_log()).state
    found = loaded(writer, need_book(ANN), need_book(CEM), need(ACCOUNTS, ANN))
    assert [found.lots(each) for each in (ANN, CEM)] == [state.lots(each) for each in (ANN, CEM)]


def test_nothing_is_written_of_an_account_that_is_not_there(writer: StoreWriter) -> None:
    sealed = small_log()
    write_log(writer, sealed)
    lot = Lot(seq=3, part=0, origin="own", earned_on="2026-03-01", expires_on=None, remaining=5)
    overlay = Overlay(complete=True)
    overlay.put_lot(NOBODY, lot)
    for record in (
        CommitRecord(old_size=len(sealed), changes=overlay.take_changes()),
        CommitRecord(old_size=len(sealed), history=((NOBODY, 3),)),
    ):
        with pytest.raises(StoreFailed, match="there is no account member/nobody"):
            writer.commit(record)
