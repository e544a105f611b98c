"""`/v1/events`: what happened, in the order of the log, for whoever keeps the last place."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Annotated, Final, TypeAlias

from fastapi import Query
from fastapi.concurrency import run_in_threadpool
from pydantic import StringConstraints
from starlette.responses import Response

from node.api.fields import WHOLE, HolderText, Limit
from node.api.routes import READS, NodeDependency, answered, answers, requires, router
from node.services.access.credentials import Scope
from node.services.events.events import EventPage
from node.services.node import Node
from protocol.identifiers import Account

ROUTER: Final = router("events", "/v1/events")
WAIT_SECONDS_MAX: Final = 30
_NUMBER: Final = "(?:-1|0|[1-9][0-9]{0,15})"

PlaceText: TypeAlias = Annotated[str, StringConstraints(pattern=rf"^{_NUMBER}(?:\.{_NUMBER})?$")]
AfterQuery: TypeAlias = Annotated[
    PlaceText | None,
    Query(description="A place in the feed: the `next` of a page, or an entry's `seq`.", examples=["1042"]),
]
TypesQuery: TypeAlias = Annotated[
    str,
    Query(
        pattern=r"^(?:[a-z]+\.[a-z]+(?:,[a-z]+\.[a-z]+)*)?$",
        max_length=2_000,
        description="Types of events, with commas between them; none are all.",
        examples=["points.issued,points.expiring"],
    ),
]


@ROUTER.get("", dependencies=[requires(Scope.EVENTS_READ)], responses=answers(EventPage, *READS))
async def list_events(
    *,
    node: NodeDependency,
    after: AfterQuery = None,
    types: TypesQuery = "",
    account: Annotated[HolderText | None, Query(description="Events about one account alone.")] = None,
    wait: Annotated[
        int, WHOLE, Query(ge=0, le=WAIT_SECONDS_MAX, description="Seconds to wait for an event while there is none.")
    ] = 0,
    limit: Limit = 100,
) -> Response:
    """List what happened after a place in the feed, oldest first; with `wait`, as soon as there is something."""
    names = tuple(filter(None, types.split(",")))
    of = None if account is None else Account(account)

    def page() -> EventPage:
        return node.events.page(after=after, types=names, account=of, limit=limit)

    if not wait:
        return answered(await run_in_threadpool(page))
    return answered(await _first(node, page, wait))


async def _first(node: Node, page: Callable[[], EventPage], seconds: int) -> EventPage:
    """Return the first page that has anything, or the empty one after `seconds`."""
    loop, news = asyncio.get_running_loop(), asyncio.Event()

    def wake() -> None:
        with suppress(RuntimeError):  # The loop may just have ended, and then nobody waits any more.
            loop.call_soon_threadsafe(news.set)

    # The watch begins before the first look, so that nothing falls between the two.
    stop, end = node.events.watch(wake), loop.time() + seconds
    try:
        while True:
            found = await run_in_threadpool(page)
            if found.events or found.more or node.events.closed or loop.time() >= end:
                return found
            with suppress(TimeoutError):
                await asyncio.wait_for(news.wait(), end - loop.time())
            news.clear()
    finally:
        stop()
