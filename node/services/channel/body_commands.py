"""What a partner's word asks of the ledger: the command that it becomes."""

from protocol.identifiers import Digest
from protocol.ledger import settling
from protocol.ledger.commands import (
    AnyCommand,
    ConcludeFulfil,
    ConcludeReject,
    DecideCancel,
    DecidePrepare,
    TakeEnd,
    TakeSuccession,
    TakeUnlink,
)
from protocol.ledger.names import conclusion_id, decision_id, ended_id, succession_id, unlinked_id
from protocol.messages import Body, Cancel, End, Fulfil, Prepare, Reject, Succeeded, Unlink


def command_for(body: Body, digest: Digest) -> AnyCommand | None:
    """Return what a received body asks of the ledger, or None for one that moves nothing."""
    match body:
        case Prepare():
            return DecidePrepare(id=decision_id(body.key), request=digest, prepare=body, digest=digest)
        case Cancel():
            return DecideCancel(id=decision_id(body.key), request=body.prepare, cancel=body, digest=digest)
        case Fulfil():
            return ConcludeFulfil(id=conclusion_id(body.id), request=digest, fulfil=body, digest=digest)
        case Reject():
            return ConcludeReject(id=conclusion_id(body.id), request=digest, reject=body, digest=digest)
        case End():
            return TakeEnd(id=ended_id(body.agreement, body.sender), request=digest, end=body, digest=digest)
        case Unlink():
            return TakeUnlink(
                id=unlinked_id(body.issuer, body.alias, by=body.sender, reason=body.reason),
                request=digest,
                unlink=body,
                digest=digest,
            )
        case Succeeded():
            return TakeSuccession(id=succession_id(body.log), request=digest, succeeded=body, digest=digest)
        case _:
            return settling.command_for(body, digest)
