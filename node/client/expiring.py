"""What has expired: told or posted, page by page."""

from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from node.client.connection import Connection, Reply

_PATH: Final = "/v1/expiry"


class ExpiryMonth(msgspec.Struct, frozen=True, kw_only=True):
    """The lots whose last day was in a month."""

    month: str
    lots: int
    points: int


class ExpiryPage(msgspec.Struct, frozen=True, kw_only=True):
    """What one page posted, or would post, of the lots whose last day was before the day `as_of`."""

    as_of: str
    entries: int
    lots: int
    points: int
    months: tuple[ExpiryMonth, ...]
    refused: int
    next: str | None


class ExpiryCalls(Connection):
    """What has expired; every call can be repeated, and goes on where it was interrupted."""

    def expire(self, *, as_of: str | None = None) -> Iterator[ExpiryPage]:
        """Post what expired before the day `as_of`, or today; each page is posted when it is asked for."""
        return _all_pages(as_of, lambda day, after: self.post(_PATH, {"as_of": day, "after": after}))

    def preview_expiry(self, *, as_of: str | None = None) -> Iterator[ExpiryPage]:
        """Yield what `expire` would post, without posting it."""
        return _all_pages(as_of, lambda day, after: self.get(_PATH, {"as_of": day, "after": after}))


def _all_pages(as_of: str | None, ask: Callable[[str | None, str | None], Reply]) -> Iterator[ExpiryPage]:
    after: str | None = None
    while True:
        page = ask(as_of, after).read(ExpiryPage)
        yield page
        if page.next is None:
            return
        # A run that goes on past midnight stays with the day that it began on.
        after, as_of = page.next, page.as_of
