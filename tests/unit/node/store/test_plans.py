"""What a node asks every second is found by an index, however much it keeps: as SQLite, without figures, plans it."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

import pytest
from sqlalchemy import Engine, event

from node.store.database import Database
from node.store.reader import StoreReader
from tests.support.documents import BLUEBIRD, NOW, uuid

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


@pytest.mark.parametrize("question", QUESTIONS)
def test_an_index_finds_it(question: str, database: Database) -> None:
    ask, index = QUESTIONS[question]
    with listening() as asked:
        ask(database.reader())
    ((text, values),) = asked
    with database.connection() as connection:
        steps = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", tuple(values))]
    assert any(index in step for step in steps), steps
    assert not any(step.startswith("SCAN") for step in steps), steps
