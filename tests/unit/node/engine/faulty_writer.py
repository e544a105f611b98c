"""A store's writer that fails when it is told to, before or after the real commit."""

from node.store.database import Database
from node.store.errors import StoreFailed
from node.store.rows import CommitRecord, StoredHead
from node.store.writer import StoreWriter


class FaultyWriter(StoreWriter):
    """Fails once in each way that a test has set."""

    before: Exception | None = None
    after: Exception | None = None
    head_failure: Exception | None = None
    commits = 0

    def commit(self, record: CommitRecord) -> None:
        failure, self.before = self.before, None
        if failure is not None:
            raise failure
        super().commit(record)
        self.commits += 1
        failure, self.after = self.after, None
        if failure is not None:
            raise failure

    def head(self) -> StoredHead:
        failure, self.head_failure = self.head_failure, None
        if failure is not None:
            raise failure
        return super().head()


def faulty_writer(database: Database) -> FaultyWriter:
    return FaultyWriter(database._writer_engine)


def lost() -> StoreFailed:
    """Return what a driver's error becomes when the connection breaks."""
    return StoreFailed("the database says: the connection was lost")
