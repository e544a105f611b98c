"""Ways in which the two sides of a window come to differ, played between two nodes that are honest by themselves."""

import msgspec

from node.store.rows import Answered
from protocol.identifiers import Id
from protocol.ledger import commands, names
from protocol.messages import Fulfil, Prepare, Reject, decode_body
from tests.support.documents import digest_of_body, entry_reference, uuid
from tests.support.nodes import LocalNode, convert


def ordered(source: LocalNode, conversion: Id) -> Prepare:
    """Return the PREPARE of a conversion."""
    bodies = (decode_body(sent.body) for sent in source.reader.sent_of_conversion(conversion))
    (prepare,) = (body for body in bodies if isinstance(body, Prepare))
    return prepare


def reject(source: LocalNode, conversion: Id) -> None:
    """Let `source` take in a REJECT of its partner's, before its PREPARE has even left."""
    prepare = ordered(source, conversion)
    body = Reject(
        network=prepare.network,
        source=prepare.source,
        destination=prepare.destination,
        id=prepare.id,
        prepare=digest_of_body(prepare),
        cancel=None,
        reason="expired",
        decided_at=prepare.created_at,
        entry=entry_reference(),
    )
    cited = digest_of_body(body)
    source.do(commands.ConcludeReject(id=names.conclusion_id(conversion), request=cited, reject=body, digest=cited))


def decide(destination: LocalNode, prepare: Prepare) -> None:
    """Let `destination` credit a conversion as if it had heard of it."""
    cited = digest_of_body(prepare)
    identifier = names.decision_id(prepare.key)
    destination.do(commands.DecidePrepare(id=identifier, request=cited, prepare=prepare, digest=cited))


def invent(source: LocalNode, destination: LocalNode, like: Id, *, name: str = "invented") -> Id:
    """Let `destination` credit a conversion that `source` never ordered."""
    prepare = msgspec.structs.replace(ordered(source, like), id=uuid(name))
    decide(destination, prepare)
    return prepare.id


def credit(source: LocalNode, destination: LocalNode, name: str) -> Id:
    """Order a conversion and let the destination credit it, without a word of either."""
    conversion = convert(source, destination, name=name)
    prepare = ordered(source, conversion)
    source.do(writes=[Answered((digest_of_body(prepare),))])
    decide(destination, prepare)
    hush(destination, conversion)
    return conversion


def hush(destination: LocalNode, conversion: Id) -> None:
    """Let `destination` forget to send its FULFIL of a conversion."""
    (digest,) = (
        sent.digest
        for sent in destination.reader.sent_of_conversion(conversion)
        if isinstance(decode_body(sent.body), Fulfil)
    )
    destination.do(writes=[Answered((digest,))])
