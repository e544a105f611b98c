"""The services' logs, listened to: what they call a bug is one."""

from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Final

import structlog

from node.store.errors import StoreFailed
from protocol.errors import Refusal
from scripts.simulation.world import World

_BUGS: Final = frozenset({"work_failed", "delivery_bug", "listener_failed", "step_failed"})
_ALARMS: Final = frozenset({"store_behind", "partner_forked", "partner_accused"})


@contextmanager
def bugs_of(world: World) -> Iterator[None]:
    """Put what the services log as impossible among the world's bugs, and what they log as an old store among its
    alarms; their logs are quiet meanwhile.
    """

    def listen(_logger: object, _method: str, event: MutableMapping[str, object]) -> str:
        name = str(event.get("event"))
        error = event.get("exc_info")
        unexpected = name == "commit_failed" and not isinstance(error, StoreFailed | Refusal)
        if name in _BUGS or unexpected:
            world.bugs.append(f"{name} {event.get('work', event.get('partner', ''))} {error!r}")
        if name in _ALARMS:
            world.alarms.append((world.acting, f"{name} {event.get('partner')} {event.get('reason', '')}"))
        raise structlog.DropEvent

    before = structlog.get_config()
    structlog.configure(processors=[listen], cache_logger_on_first_use=False)
    try:
        yield
    finally:
        structlog.configure(**before)
