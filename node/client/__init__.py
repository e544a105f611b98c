"""A typed, synchronous client of a node's HTTP API: for a brand's own systems, the command line and our scripts.

    with NodeClient("https://points.aurora.example", token=token, retries=PATIENT) as client:
        client.issue(account, 500, request_id=order_id)

Every request that writes carries an id of the caller's, so it is sent again as it was whenever its answer was lost, and
the node answers it with the same bytes. What a node refuses is an exception with the node's stable code.
"""

from node.client.client import NodeClient
from node.client.connection import Query, Reply, read_token
from node.client.points import new_id
from node.client.problems import (
    FieldFault,
    Forbidden,
    NodeUnavailable,
    NodeUnreachable,
    NotFound,
    Problem,
    RequestConflicts,
    RequestInvalid,
    RequestRefused,
    TokenUnreadable,
    TooManyRequests,
    Unauthorized,
)
from node.client.retries import ONCE_MORE, PATIENT, Retries

__all__ = [
    "ONCE_MORE",
    "PATIENT",
    "FieldFault",
    "Forbidden",
    "NodeClient",
    "NodeUnavailable",
    "NodeUnreachable",
    "NotFound",
    "Problem",
    "Query",
    "Reply",
    "RequestConflicts",
    "RequestInvalid",
    "RequestRefused",
    "Retries",
    "TokenUnreadable",
    "TooManyRequests",
    "Unauthorized",
    "new_id",
    "read_token",
]
