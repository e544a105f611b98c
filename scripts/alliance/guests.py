"""Partners that are no brands of the alliance, such as a sandbox that somebody has tried out and stopped."""

from collections.abc import Set as AbstractSet

import msgspec

from node.client import NodeClient, NodeUnreachable, RequestRefused, new_id


class _Standing(msgspec.Struct, frozen=True):
    waiting: tuple[str, ...]


def go_on_without_guests(operator: NodeClient, *, known: AbstractSet[str]) -> tuple[str, ...]:
    """Let a node that waits for nobody of `known` any more write, on record; return whom it has waited for."""
    try:
        waiting = operator.get("/v1/ledger/standing").read(_Standing).waiting
        if not waiting or not known.isdisjoint(waiting):
            return ()
        operator.post("/v1/ledger/start", {"id": new_id(), "without": list(waiting), "reason": "gone"})
    except (NodeUnreachable, RequestRefused):  # It does not listen yet, or was answered in the meantime.
        return ()
    return waiting
