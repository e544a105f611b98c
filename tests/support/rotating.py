"""Nodes of one process that give their logs the next key, which they hold from the start."""

from node.services.logs.rotating import RotationService
from protocol.key_entries import encode_rotation, sign_rotation
from tests.support.documents import log_key
from tests.support.nodes import LocalNode
from tests.support.settling import context_of


def rotate(node: LocalNode) -> None:
    """Give a node's log its second key."""
    first, second, third = (log_key(node.side, number) for number in range(3))
    signed = sign_rotation(ledger=node.ledger, number=1, before=first, after=second, next_log_key=third.public.digest)
    RotationService(context_of(node)).rotate(encode_rotation(signed)).result(20)
