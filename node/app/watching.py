"""Looking whether a node's writer can still commit: a database server may end its connection, and with it its lock."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import structlog

from node.app.open import OpenedNode
from node.config import is_shared
from node.store.errors import StoreFailed
from node.store.leading import ServerLeading

LOOK_SECONDS: Final = 1.0
_LOG: Final = structlog.get_logger()


@contextmanager
def watched(opened: OpenedNode, on_lost: Callable[[], None]) -> Iterator[threading.Event]:
    """Call `on_lost`, and set what is yielded, once the writer's connection or its term is lost.

    That of an SQLite file lasts as long as its process.
    """
    lost, over = threading.Event(), threading.Event()
    if not is_shared(opened.config):
        yield lost
        return
    # Over the readers' connections: where they have all that the server gives, there would be none to look over.
    leading = ServerLeading(opened.database)

    def look() -> None:
        while not over.wait(LOOK_SECONDS):
            if not _lasts(leading, opened.term):
                _LOG.error("writer_lost", term=opened.term)
                lost.set()
                on_lost()
                return

    thread = threading.Thread(target=look, name="watch", daemon=True)
    thread.start()
    try:
        yield lost
    finally:
        over.set()
        # A server that does not answer does not hold the end up.
        thread.join(LOOK_SECONDS)


def _lasts(leading: ServerLeading, term: int) -> bool:
    """Return whether the writer of `term` can commit, or can for all that is known: the server may be away."""
    try:
        return leading.lasts(term)
    except StoreFailed as failure:
        _LOG.warning("writer_unknown", reason=str(failure))
        return True
