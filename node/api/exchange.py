"""`/v1/exchange`: the exchange with partners by files, which operators carry."""

from typing import Final

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from starlette.responses import Response

from node.api.fields import Body, LedgerText
from node.api.routes import WRITES, NodeDependency, answered, answers, answers_bytes, requires, router
from node.services.access.credentials import Scope
from node.services.channel.exchange_files import ImportAnswer
from protocol.errors import Code
from protocol.exchange_file import FILE_BYTES_MAX
from protocol.identifiers import Ledger

ROUTER: Final = router("exchange", "/v1/exchange")
FILE_TYPE: Final = "application/vnd.tallystick.exchange-file.v1"
_GUARD: Final = [requires(Scope.EXCHANGE)]
_FILE_IN: Final[dict[str, object]] = {
    "requestBody": {
        "required": True,
        "content": {FILE_TYPE: {"schema": {"type": "string", "contentMediaType": FILE_TYPE}}},
    },
    "x-body-bytes-max": FILE_BYTES_MAX,
}


class ExportBody(Body):
    """For whom the file is."""

    partner: LedgerText


@ROUTER.post(
    "/exports",
    dependencies=_GUARD,
    responses=answers_bytes(FILE_TYPE, *WRITES, Code.PARTNER_UNKNOWN, description="The partner's next file."),
)
def export_file(body: ExportBody, node: NodeDependency) -> Response:
    """Make a partner's next file: all that waits for it."""
    made = node.exchange_files.export(Ledger(body.partner))
    disposition = f'attachment; filename="{made.name}"'
    return Response(made.data, media_type=FILE_TYPE, headers={"Content-Disposition": disposition})


@ROUTER.post(
    "/imports",
    dependencies=_GUARD,
    responses=answers(
        ImportAnswer,
        *WRITES,
        Code.PARTNER_UNKNOWN,
        "body_invalid",
        "checkpoint_invalid",
        "envelope_invalid",
        "exchange_file_damaged",
        "exchange_file_incomplete",
        "exchange_file_invalid",
        "exchange_file_misaddressed",
        "note_invalid",
        "signature_invalid",
    ),
    openapi_extra=_FILE_IN,
)
async def import_file(request: Request, node: NodeDependency) -> Response:
    """Take in a partner's file; again, it does nothing new."""
    data = await request.body()
    return answered(await run_in_threadpool(node.exchange_files.take, data))
