"""`/peer/v1`: what partners send. The signatures in it say who they are; there is no other credential here."""

from typing import Final

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from starlette.responses import Response

from node.api.parcels import PARCEL_TYPE, answer_to, for_partners
from node.api.problems import document_problems
from node.api.requests import LARGE_BODY
from node.api.routes import ALWAYS, JSON, WRITING, NodeDependency, Responses, answered, answers, router
from node.services.answers import AgreementAnswer
from node.services.conversions.agreements import ProposalView
from node.services.refusals import NodeCode
from protocol.errors import Code

ROUTER: Final = router("peer", "/peer/v1")
_PAPER: Final = (
    *ALWAYS,
    *WRITING,
    "agreement_invalid",
    "key_invalid",
    "signature_invalid",
    Code.PARTNER_MISMATCH,
    NodeCode.CERTIFICATE_MISSING,
    NodeCode.FORBIDDEN,
)


def bytes_in(media_type: str) -> dict[str, object]:
    """Return the OpenAPI of a body that is a signed paper of some kind."""
    schema = {"type": "string", "contentMediaType": media_type}
    return {"requestBody": {"required": True, "content": {media_type: {"schema": schema}}}}


def _parcels(*codes: str) -> Responses:
    content = {PARCEL_TYPE: {"schema": {"type": "object"}}}
    return {200: {"description": "The parcel that answers it.", "content": content}, **document_problems(codes)}


@ROUTER.post(
    "/envelopes",
    responses=_parcels(
        *ALWAYS,
        *WRITING,
        NodeCode.CERTIFICATE_MISSING,
        NodeCode.FORBIDDEN,
        "body_invalid",
        "checkpoint_invalid",
        "envelope_invalid",
        "note_invalid",
        "signature_invalid",
    ),
    openapi_extra={**bytes_in(PARCEL_TYPE), **LARGE_BODY},
)
async def exchange(request: Request, node: NodeDependency) -> Response:
    """Take in a partner's parcel, and answer with the one that waits for it."""
    return Response(await answer_to(node.exchange, await request.body()), media_type=PARCEL_TYPE)


@ROUTER.post(
    "/proposals",
    responses=answers(ProposalView, *_PAPER, NodeCode.PROPOSALS_FULL),
    openapi_extra=bytes_in(JSON),
)
async def receive_proposal(request: Request, node: NodeDependency) -> Response:
    """Keep an agreement that a partner has signed, for the operator to accept."""
    document = await request.body()
    take = node.agreements.receive_proposal
    return answered(await run_in_threadpool(for_partners, lambda: take(document).result()))


@ROUTER.post(
    "/agreements",
    responses=answers(
        AgreementAnswer,
        *_PAPER,
        Code.AGREEMENT_EXISTS,
        Code.APPROVAL_MISSING,
        Code.AGREEMENT_LAPSED,
        Code.NOTICE_TOO_SHORT,
        Code.ASSETS_INVALID,
        Code.ENTRY_TOO_LARGE,
        Code.ID_REUSED,
    ),
    openapi_extra=bytes_in(JSON),
)
async def receive_agreement(request: Request, node: NodeDependency) -> Response:
    """Enter an agreement that both sides have signed."""
    document = await request.body()
    take = node.agreements.receive_complete
    return answered(await run_in_threadpool(for_partners, lambda: take(document).result()))
