"""`/v1/witnesses`: who is asked to cosign this node's checkpoints, and how it goes with each."""

from typing import Final

from starlette.responses import Response

from node.api.routes import READS, NodeDependency, answered, answers, requires, router
from node.services.access.credentials import Scope
from node.services.logs.cosigning import WitnessList

ROUTER: Final = router("witness", "/v1/witnesses")


@ROUTER.get("", dependencies=[requires(Scope.PARTNERS_READ)], responses=answers(WitnessList, *READS))
def list_witnesses(node: NodeDependency) -> Response:
    """List the witnesses that this node asks."""
    return answered(node.cosigning.all())
