"""Sending a request that writes, so that a person whose answer was lost knows how to ask again."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

from node.cli.failures import retry_with
from node.cli.options import connect
from node.cli.output import print_written
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


def write(node: str, token_file: Path, path: str, body: JsonObject, *, as_json: bool, said: str) -> None:
    """Post `body` to the node at `node` and print the entry that came of it, as `said` tells a person."""
    with connect(node, token_file) as client:
        reply = post(client, path, body)
    print_written(reply, as_json=as_json, said=said)


@contextmanager
def _repeatable(body: JsonObject) -> Iterator[None]:
    try:
        yield
    except NodeUnreachable as error:
        raise retry_with(error, str(body["id"])) from error
