"""`python -m tests.support.emptied_store DIRECTORY COUNT`: issue points while another thread copies the store's log.

The log is copied every few commits. Each issue that is acknowledged is a line on standard output.
"""

import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

from node.store import emptying
from node.store.database import Database
from node.store.errors import StoreFailed
from node.store.writer import StoreWriter
from protocol.identifiers import Id
from protocol.ledger.state import ACCOUNTS
from tests.support.documents import uuid
from tests.support.faulty_disk import ANN, STORE, issue

PAGES: Final = 30
"""So many pages are a commit or three."""
TRIES_MAX: Final = 50
"""A disk that fails now and then lets one of so many commits pass."""


def posted(directory: Path) -> int:
    """Return how many points have been issued."""
    with Database.open(f"sqlite:///{directory / STORE}") as database:
        record = database.reader().record(ACCOUNTS, ANN)
    assert record is not None
    return record.posted


def main(directory: Path, count: int) -> None:
    """Issue up to `count` points in all, each until it is acknowledged; end with an error if one never is."""
    emptying.COPIED_PAGES = PAGES  # type: ignore[misc]  # a test's own log is short
    begun = posted(directory)
    with Database.open(f"sqlite:///{directory / STORE}") as database, database.writer(copy_beside=True) as store:
        for number in range(begun, count):
            if not any(_issued(store, Id(uuid(f"issue {number}"))) for _ in range(TRIES_MAX)):
                sys.exit(f"issue {number} has failed {TRIES_MAX} times")
            sys.stdout.write(f"{number}\n")
            sys.stdout.flush()


def _issued(store: StoreWriter, name: Id) -> bool:
    with suppress(StoreFailed):
        issue(store, name)
        return True
    return False


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
