"""Whether the node is alive, whether it can do its work, and the operator's word that its clock is right."""

from http import HTTPStatus
from typing import Final

from starlette.responses import Response

from node.api.fields import Body
from node.api.openapi import ANSWERED
from node.api.routes import GUARDED, NodeDependency, answered, answers, answers_bytes, requires, router
from node.services.access.credentials import Scope
from node.services.operating.metrics import CONTENT_TYPE
from node.services.refusals import NodeCode

ROUTER: Final = router("health")


class Alive(Body):
    """The process answers."""

    alive: bool


class Ready(Body):
    """Whether the node can do its work, and which of its parts can."""

    ready: bool
    checks: dict[str, bool]


@ROUTER.get("/livez", responses=answers(Alive, NodeCode.INTERNAL))
async def livez() -> Response:
    """Tell that the process answers."""
    return answered({"alive": True})


@ROUTER.get(
    "/readyz",
    responses={**answers(Ready, NodeCode.INTERNAL), 503: {ANSWERED: Ready, "description": "It cannot now."}},
)
def readyz(node: NodeDependency) -> Response:
    """Tell whether the store can be read, the writer is at work, and the ledger may be written."""
    checks = node.checks()
    ready = all(checks.values())
    return answered({"ready": ready, "checks": checks}, HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE)


@ROUTER.get(
    "/metrics",
    dependencies=[requires(Scope.METRICS)],
    responses=answers_bytes(CONTENT_TYPE, *GUARDED, NodeCode.INTERNAL, description="Figures, in Prometheus' format."),
)
def metrics(node: NodeDependency) -> Response:
    """Tell a monitor how much is done, how much waits, and for how long."""
    return Response(node.metrics.text(), media_type=CONTENT_TYPE)


@ROUTER.post(
    "/v1/clock/confirmation",
    dependencies=[requires(Scope.NODE)],
    responses=answers(Ready, *GUARDED, NodeCode.INTERNAL),
)
def confirm_clock(node: NodeDependency) -> Response:
    """Let the node write again after its clock has jumped: an operator has looked at it."""
    checks = node.confirm_clock()
    return answered({"ready": all(checks.values()), "checks": checks})
