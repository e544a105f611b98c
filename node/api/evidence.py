"""`/v1/evidence`: what partners have signed that proves misconduct, as files that anybody can check."""

from typing import Annotated, Final, TypeAlias

from fastapi import Path
from starlette.responses import Response

from node.api.fields import Cursor, DigestText, Limit
from node.api.routes import JSON, READS, NodeDependency, answered, answers, answers_bytes, requires, router
from node.services.access.credentials import Scope
from node.services.channel.accusations import AccusationPage
from node.services.refusals import NodeCode
from protocol.identifiers import Digest

ROUTER: Final = router("evidence", "/v1/evidence")
_READ: Final = [requires(Scope.LOG_READ)]

DigestPath: TypeAlias = Annotated[DigestText, Path(description="SHA-256 of the file.")]


@ROUTER.get("", dependencies=_READ, responses=answers(AccusationPage, *READS))
def list_evidence(node: NodeDependency, before: Cursor | None = None, limit: Limit = 100) -> Response:
    """List files of evidence against partners, the newest first."""
    return answered(node.accusations.page(before=before, limit=limit))


@ROUTER.get(
    "/{digest}",
    dependencies=_READ,
    responses=answers_bytes(
        JSON, *READS, NodeCode.NOT_FOUND, description="A file of evidence, which `tallystick verify` judges offline."
    ),
)
def show_evidence(digest: DigestPath, node: NodeDependency) -> Response:
    """Show one file of evidence, byte for byte as it is to be passed on."""
    return Response(node.accusations.file(Digest(digest)), media_type=JSON)
