"""The public log (C2SP tlog-tiles), and the parts of it that only auditors may read."""

from typing import Annotated, Final, TypeAlias

from fastapi import Path
from starlette.responses import Response

from node.api.fields import WHOLE
from node.api.routes import ALWAYS, JSON, READS, NodeDependency, answers_bytes, requires, router
from node.services.credentials import Scope
from node.services.refusals import NodeCode
from protocol.limits import INTEGER_MAX, LOG_SIZE_MAX, TILE_LEVEL_MAX

ROUTER: Final = router("log")
NOTE_TYPE: Final = "text/plain"
TILE_TYPE: Final = "application/octet-stream"
_ABSENT: Final = (*ALWAYS, NodeCode.NOT_FOUND)
_FOR_EVER: Final = {"Cache-Control": "public, max-age=31536000, immutable"}
_PRIVATE_FOR_EVER: Final = {"Cache-Control": "private, max-age=31536000, immutable"}
_SOON_STALE: Final = {"Cache-Control": "no-cache"}
_AUDITORS: Final = [requires(Scope.LOG_READ)]

TilePlace: TypeAlias = Annotated[
    str,
    Path(
        max_length=64,
        description="The tile's index in groups of three digits, all but the last with an x, and `.p/<width>` when "
        "it is partial (C2SP tlog-tiles).",
        examples=["000.p/7"],
    ),
]


@ROUTER.get(
    "/checkpoint",
    responses=answers_bytes(NOTE_TYPE, *ALWAYS, description="The newest published checkpoint, a C2SP signed note."),
)
def checkpoint(node: NodeDependency) -> Response:
    """Show the checkpoint; a new one is published at most once a second."""
    return Response(node.log.checkpoint(), media_type=NOTE_TYPE, headers=_SOON_STALE)


@ROUTER.get(
    "/ledger.json",
    responses=answers_bytes(JSON, *ALWAYS, description="The ledger's name and its log's verifier key."),
)
def ledger(node: NodeDependency) -> Response:
    """Show which log this is."""
    return Response(node.log.ledger_file(), media_type=JSON)


@ROUTER.get(
    "/tile/entries/{place:path}",
    dependencies=_AUDITORS,
    responses=answers_bytes(
        TILE_TYPE, *READS, NodeCode.NOT_FOUND, description="Entries, each after its length as a big-endian uint16."
    ),
)
def entry_bundle(place: TilePlace, node: NodeDependency) -> Response:
    """Show a bundle of entries."""
    return Response(node.log.bundle(f"tile/entries/{place}"), media_type=TILE_TYPE, headers=_PRIVATE_FOR_EVER)


@ROUTER.get(
    "/tile/{level}/{place:path}",
    responses=answers_bytes(TILE_TYPE, *_ABSENT, description="Up to 256 hashes of 32 bytes."),
)
def tile(
    level: Annotated[int, WHOLE, Path(ge=0, le=TILE_LEVEL_MAX)], place: TilePlace, node: NodeDependency
) -> Response:
    """Show a tile of hashes."""
    return Response(node.log.tile(f"tile/{level}/{place}"), media_type=TILE_TYPE, headers=_FOR_EVER)


Generation: TypeAlias = Annotated[
    int, WHOLE, Path(ge=1, le=INTEGER_MAX, description="Which log of this ledger: one that a successor has followed.")
]


@ROUTER.get(
    "/past/{generation}/checkpoint",
    responses=answers_bytes(
        NOTE_TYPE, *_ABSENT, description="The checkpoint over what the store has of an earlier log, a C2SP signed note."
    ),
)
def past_checkpoint(generation: Generation, node: NodeDependency) -> Response:
    """Show the last checkpoint of an earlier log."""
    return Response(node.log.past_checkpoint(generation), media_type=NOTE_TYPE, headers=_FOR_EVER)


@ROUTER.get(
    "/past/{generation}/ledger.json",
    responses=answers_bytes(JSON, *_ABSENT, description="The name of an earlier log and its verifier key."),
)
def past_ledger(generation: Generation, node: NodeDependency) -> Response:
    """Show which log an earlier one was."""
    return Response(node.log.past_ledger_file(generation), media_type=JSON, headers=_FOR_EVER)


@ROUTER.get(
    "/past/{generation}/tile/entries/{place:path}",
    dependencies=_AUDITORS,
    responses=answers_bytes(
        TILE_TYPE, *READS, NodeCode.NOT_FOUND, description="Entries, each after its length as a big-endian uint16."
    ),
)
def past_bundle(generation: Generation, place: TilePlace, node: NodeDependency) -> Response:
    """Show a bundle of entries of an earlier log."""
    data = node.log.past_bundle(generation, f"tile/entries/{place}")
    return Response(data, media_type=TILE_TYPE, headers=_PRIVATE_FOR_EVER)


@ROUTER.get(
    "/past/{generation}/tile/{level}/{place:path}",
    responses=answers_bytes(TILE_TYPE, *_ABSENT, description="Up to 256 hashes of 32 bytes."),
)
def past_tile(
    generation: Generation,
    level: Annotated[int, WHOLE, Path(ge=0, le=TILE_LEVEL_MAX)],
    place: TilePlace,
    node: NodeDependency,
) -> Response:
    """Show a tile of hashes of an earlier log."""
    return Response(node.log.past_tile(generation, f"tile/{level}/{place}"), media_type=TILE_TYPE, headers=_FOR_EVER)


@ROUTER.get(
    "/messages/{page}",
    dependencies=_AUDITORS,
    responses=answers_bytes(
        JSON, *READS, NodeCode.NOT_FOUND, description="Up to 256 received bodies with the envelopes that carried them."
    ),
)
def messages(page: Annotated[int, WHOLE, Path(ge=0, le=LOG_SIZE_MAX // 256)], node: NodeDependency) -> Response:
    """Show a page of received messages."""
    return Response(node.log.messages(page), media_type=JSON, headers=_SOON_STALE)
