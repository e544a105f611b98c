"""Sending a request that writes, so that a person whose answer was lost knows how to ask again."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeAlias

from node.cli.failures import retry_with
from node.client import NodeClient, NodeUnreachable, Reply
from protocol.encoding import JsonValue

JsonObject: TypeAlias = dict[str, JsonValue]


def post(client: NodeClient, path: str, body: JsonObject) -> Reply:
    """Return the answer to `body`, whose `id` makes it safe to repeat; a lost answer's error names that id."""
    with _repeatable(body):
        return client.post(path, body)


def put(client: NodeClient, path: str, body: JsonObject) -> Reply:
    """Return the answer to PUT of `body`, whose `id` makes it safe to repeat; a lost answer's error names that id."""
    with _repeatable(body):
        return client.put(path, body)


@contextmanager
def _repeatable(body: JsonObject) -> Iterator[None]:
    try:
        yield
    except NodeUnreachable as error:
        raise retry_with(error, str(body["id"])) from error
