"""What a node asks every second, and each page of a list, is found by an index, however much it keeps.

As SQLite, without figures, plans it.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

import pytest
from sqlalchemy import Engine, event

from node.store.database import Database
from node.store.reader import StoreReader
from protocol.conversion import SourceState
from protocol.ledger.program_state import ReviewState, TransferState
from tests.support.documents import BLUEBIRD, NOW, uuid
from tests.support.ledger import holder

ANN = holder("ann")

Asked: TypeAlias = list[tuple[str, Sequence[object]]]

QUESTIONS: dict[str, tuple[Callable[[StoreReader], object], str]] = {
    "words that contradict one another": (
        lambda reader: reader.words_twice(from_number=0, before_number=500, limit=10),
        "earlier USING INDEX messages_received_conversion_idx (conversion=? AND partner=? AND number<?)",
    ),
    "what a partner said of a conversion": (
        lambda reader: reader.received_of_conversion(BLUEBIRD.ledger, uuid("one")),
        "USING INDEX messages_received_conversion_idx (conversion=? AND partner=?)",
    ),
    "checkpoints that are not proved yet": (
        lambda reader: reader.partner_checkpoints_of(BLUEBIRD.ledger, generation=1, from_number=500),
        "USING INDEX partner_checkpoints_number_idx (ledger=? AND generation=? AND number>?)",
    ),
    "checkpoints of one size": (
        lambda reader: reader.checkpoints_twice(500),
        "older USING INDEX partner_checkpoints_ledger_idx (ledger=? AND generation=? AND size=? AND number<?)",
    ),
    "holds that have ended": (
        lambda reader: reader.holds_expired(NOW),
        "holds USING INDEX holds_expiring_idx (expires_at<?)",
    ),
    "how many holds are so old": (
        lambda reader: reader.holds_open_before([500]),
        "holds USING INDEX holds_placed_idx",
    ),
}

PAGES: dict[str, Callable[[StoreReader], object]] = {
    "transfers": lambda reader: reader.transfers(),
    "later transfers": lambda reader: reader.transfers(before_seq=500),
    "transfers of a state": lambda reader: reader.transfers(state=TransferState.ACCEPTED, before_seq=500),
    "reviews": lambda reader: reader.reviews(before_seq=500),
    "reviews of a state": lambda reader: reader.reviews(state=ReviewState.REJECTED),
    "conversions": lambda reader: reader.outgoing_page(),
    "conversions of a state": lambda reader: reader.outgoing_page(state=SourceState.CAPTURED, before_seq=500),
    "conversions of an account": lambda reader: reader.outgoing_page(account=ANN, before_seq=500),
    "conversions that were decided": lambda reader: reader.incoming_page(before_seq=500),
}


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    place: Path = tmp_path_factory.mktemp("plans") / "ledger.sqlite"
    with Database.open(f"sqlite:///{place}") as opened:
        opened.migrate()
        yield opened


@contextmanager
def listening() -> Iterator[Asked]:
    """Lend the list of all that is asked meanwhile."""
    asked: Asked = []

    def hear(_connection: object, _cursor: object, text: str, values: Sequence[object], *_more: object) -> None:
        asked.append((text, values))

    event.listen(Engine, "before_cursor_execute", hear)
    try:
        yield asked
    finally:
        event.remove(Engine, "before_cursor_execute", hear)


def planned(ask: Callable[[StoreReader], object], database: Database) -> list[str]:
    """Return the steps in which the one thing that `ask` asks is answered."""
    with listening() as asked:
        ask(database.reader())
    ((text, values),) = asked
    with database.connection() as connection:
        return [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", tuple(values))]


@pytest.mark.parametrize("question", QUESTIONS)
def test_an_index_finds_it(question: str, database: Database) -> None:
    ask, index = QUESTIONS[question]
    steps = planned(ask, database)
    assert any(index in step for step in steps), steps
    assert not any(step.startswith("SCAN") for step in steps), steps


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_read_in_its_order(page: str, database: Database) -> None:
    steps = planned(PAGES[page], database)
    assert all("USING INDEX" in step for step in steps), steps
