"""This node as a witness of its partners' logs (C2SP tlog-witness): the signature in a request is its credential.

Both prefixes of the standard, that of submissions and that of monitoring, are `/witness/v1`.
"""

from typing import Annotated, Final

from fastapi import Path, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from node.api.log_reading import OPTIONAL, SOON_STALE, KnownTags, answers_file, log_file, reads_log
from node.api.routes import ALWAYS, NodeDependency, Responses, answers_bytes, router
from node.services.refusals import NodeCode
from protocol.errors import Code
from protocol.identifiers import DIGEST_PATTERN
from protocol.limits import ADD_CHECKPOINT_BYTES_MAX
from protocol.witness import ADD_CHECKPOINT, SIZE_TYPE, ReplyStatus

PREFIX: Final = "/witness/v1"
ROUTER: Final = router("witness", PREFIX)
NOTE_TYPE: Final = "text/plain"

_MEANINGS: Final = {
    ReplyStatus.COSIGNED: "The cosignature, as a line of a signed note.",
    ReplyStatus.MALFORMED: "Not a request, or its old size is larger than its checkpoint's.",
    ReplyStatus.UNTRUSTED: "The log's own key has not signed the checkpoint.",
    ReplyStatus.UNKNOWN_LOG: "The checkpoint's origin is no log of a partner.",
    ReplyStatus.CONFLICT: "The old size is not the one that was cosigned last, which is the body.",
    ReplyStatus.UNPROVED: "The proof does not join the checkpoint to the one that was cosigned last.",
}


def _replies() -> Responses:
    texts: Responses = {
        int(status): {
            "description": meaning,
            "content": {SIZE_TYPE if status is ReplyStatus.CONFLICT else NOTE_TYPE: {"schema": {"type": "string"}}},
        }
        for status, meaning in _MEANINGS.items()
    }
    codes = (*ALWAYS, Code.CLOCK, Code.STORE_BEHIND, NodeCode.PAYLOAD_TOO_LARGE, NodeCode.STORE_FULL)
    problems = answers_bytes(NOTE_TYPE, *codes, NodeCode.STORE_READ_ONLY, description="")
    return {**problems, **texts}


@ROUTER.post(
    f"/{ADD_CHECKPOINT}",
    responses=_replies(),
    openapi_extra={
        "requestBody": {"required": True, "content": {NOTE_TYPE: {"schema": {"type": "string"}}}},
        "x-body-bytes-max": ADD_CHECKPOINT_BYTES_MAX,
    },
)
async def add_checkpoint(request: Request, node: NodeDependency) -> Response:
    """Cosign a checkpoint of a partner's log, if it extends what was cosigned last."""
    data = await request.body()
    reply = await run_in_threadpool(node.witness.add_checkpoint, data)
    # The media types of the standard are given as they are: a framework would add a charset to the one of a size.
    return Response(reply.body, status_code=int(reply.status), headers={"content-type": reply.content_type})


@ROUTER.get(
    "/{origin}/checkpoint",
    dependencies=reads_log(),
    responses=answers_file(
        NOTE_TYPE, *ALWAYS, NodeCode.NOT_FOUND, description="What was cosigned last of the log, a C2SP signed note."
    ),
    openapi_extra=OPTIONAL,
)
def latest(
    origin: Annotated[str, Path(pattern=f"^{DIGEST_PATTERN}$", description="SHA-256 of the log's origin, in hex.")],
    node: NodeDependency,
    known: KnownTags = None,
) -> Response:
    """Show a monitor what this node cosigned last of a log."""
    # A brand that keeps the size of its own log from strangers does not tell them those of its partners.
    return log_file(
        node.witness.latest(origin), media_type=NOTE_TYPE, known=known, keep=SOON_STALE, shared=node.log_access.is_open
    )
