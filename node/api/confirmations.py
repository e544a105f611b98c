"""`/v1/confirmations`: the entry that a member names by its confirmation number."""

from typing import Annotated, Final

from fastapi import Path
from starlette.responses import Response

from node.api.routes import READS, NodeDependency, answered, answers, requires, router
from node.services.access.credentials import Scope
from node.services.answers import EntryAnswer
from node.services.refusals import NodeCode
from protocol.consent import ALPHABET

ROUTER: Final = router("accounts", "/v1/confirmations")


@ROUTER.get(
    "/{number}",
    dependencies=[requires(Scope.ACCOUNTS_READ)],
    responses=answers(EntryAnswer, *READS, NodeCode.NOT_FOUND),
)
def show_confirmed(
    number: Annotated[str, Path(pattern=rf"^[{ALPHABET}]{{4,12}}-[{ALPHABET}]{{4}}$", examples=["22FK-9QZ3"])],
    node: NodeDependency,
) -> Response:
    """Show the entry behind a confirmation number; a mistyped one leads nowhere."""
    return answered(node.members.confirmed(number))
