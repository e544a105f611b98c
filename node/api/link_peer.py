"""`/peer/v1/links`: a partner's node exchanges the code of a member's consent for the signed link."""

from typing import Final

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from starlette.responses import Response

from node.api.parcels import for_partners
from node.api.peer import bytes_in
from node.api.routes import ALWAYS, JSON, WRITING, NodeDependency, answers_bytes, router
from node.services.refusals import NodeCode
from protocol.errors import Code

ROUTER: Final = router("peer", "/peer/v1")


@ROUTER.post(
    "/links",
    responses=answers_bytes(
        JSON,
        *ALWAYS,
        *WRITING,
        "encoding_invalid",
        "link_invalid",
        "signature_invalid",
        Code.ACCOUNT_CLOSED,
        Code.ACCOUNT_UNKNOWN,
        Code.DATE_INVALID,
        Code.ENTRY_TOO_LARGE,
        Code.ID_REUSED,
        Code.LINK_EXISTS,
        Code.PARTNER_MISMATCH,
        NodeCode.CONSENT_TRIES,
        NodeCode.CONSENT_UNKNOWN,
        NodeCode.FORBIDDEN,
        description="The signed link (specs/links.md).",
    ),
    openapi_extra=bytes_in(JSON),
)
async def exchange_code(request: Request, node: NodeDependency) -> Response:
    """Give a partner's node the link that a member has consented to, for its one-time code."""
    document = await request.body()
    link = await run_in_threadpool(for_partners, lambda: node.consents.exchange(document))
    return Response(link, media_type=JSON)
