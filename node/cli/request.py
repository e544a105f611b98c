"""Sending a request that writes, so that a person whose answer was lost knows how to ask again."""

from typing import TypeAlias

from node.cli.api_client import NodeClient, NodeUnreachable, Reply
from node.cli.failures import retry_with
from protocol.encoding import JsonValue

JsonObject: TypeAlias = dict[str, JsonValue]


def post(client: NodeClient, path: str, body: JsonObject) -> Reply:
    """Return the answer to `body`, whose `id` makes it safe to repeat; a lost answer's error names that id."""
    try:
        return client.post(path, body)
    except NodeUnreachable as error:
        raise retry_with(error, str(body["id"])) from error
