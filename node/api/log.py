"""The public log (C2SP tlog-tiles), and the parts of it that only auditors may read.

An operator may close the public part too (`public_log`): its size tells how much the brand does (specs/http.md).
"""

from typing import Annotated, Final, TypeAlias

from fastapi import Path
from starlette.responses import Response

from node.api.fields import WHOLE
from node.api.log_reading import FOR_EVER, OPTIONAL, SOON_STALE, KnownTags, answers_file, log_file, reads_log
from node.api.routes import ALWAYS, JSON, READS, NodeDependency, answers_bytes, requires, router
from node.services.access.credentials import Scope
from node.services.refusals import NodeCode
from protocol.limits import INTEGER_MAX, LOG_SIZE_MAX, TILE_LEVEL_MAX

ROUTER: Final = router("log")
NOTE_TYPE: Final = "text/plain"
TILE_TYPE: Final = "application/octet-stream"
_ABSENT: Final = (*ALWAYS, NodeCode.NOT_FOUND)
_SOON_STALE: Final = {"Cache-Control": SOON_STALE}
_AUDITORS: Final = [requires(Scope.LOG_READ)]
_READERS: Final = reads_log()

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
    dependencies=_READERS,
    responses=answers_file(NOTE_TYPE, *ALWAYS, description="The newest published checkpoint, a C2SP signed note."),
    openapi_extra=OPTIONAL,
)
def checkpoint(node: NodeDependency, known: KnownTags = None) -> Response:
    """Show the checkpoint; a new one is published at most once a second."""
    return log_file(
        node.log.checkpoint(), media_type=NOTE_TYPE, known=known, keep=SOON_STALE, shared=node.log_access.is_open
    )


@ROUTER.get(
    "/ledger.json",
    responses=answers_bytes(JSON, *ALWAYS, description="The ledger's name and its log's verifier key."),
)
def ledger(node: NodeDependency) -> Response:
    """Show which log this is."""
    return Response(node.log.ledger_file(), media_type=JSON, headers=_SOON_STALE)


@ROUTER.get(
    "/tile/entries/{place:path}",
    dependencies=_AUDITORS,
    responses=answers_file(TILE_TYPE, *_ABSENT, description="Entries, each after its length as a big-endian uint16."),
)
def entry_bundle(place: TilePlace, node: NodeDependency, known: KnownTags = None) -> Response:
    """Show a bundle of entries."""
    data = node.log.bundle(f"tile/entries/{place}")
    return log_file(data, media_type=TILE_TYPE, known=known, keep=FOR_EVER, shared=False)


@ROUTER.get(
    "/tile/{level}/{place:path}",
    dependencies=_READERS,
    responses=answers_file(TILE_TYPE, *_ABSENT, description="Up to 256 hashes of 32 bytes."),
    openapi_extra=OPTIONAL,
)
def tile(
    level: Annotated[int, WHOLE, Path(ge=0, le=TILE_LEVEL_MAX)],
    place: TilePlace,
    node: NodeDependency,
    known: KnownTags = None,
) -> Response:
    """Show a tile of hashes."""
    data = node.log.tile(f"tile/{level}/{place}")
    return log_file(data, media_type=TILE_TYPE, known=known, keep=FOR_EVER, shared=node.log_access.is_open)


Generation: TypeAlias = Annotated[
    int, WHOLE, Path(ge=1, le=INTEGER_MAX, description="Which log of this ledger: one that a successor has followed.")
]


@ROUTER.get(
    "/past/{generation}/checkpoint",
    dependencies=_READERS,
    responses=answers_file(
        NOTE_TYPE, *_ABSENT, description="The checkpoint over what the store has of an earlier log, a C2SP signed note."
    ),
    openapi_extra=OPTIONAL,
)
def past_checkpoint(generation: Generation, node: NodeDependency, known: KnownTags = None) -> Response:
    """Show the last checkpoint of an earlier log."""
    data = node.log.past_checkpoint(generation)
    return log_file(data, media_type=NOTE_TYPE, known=known, keep=FOR_EVER, shared=node.log_access.is_open)


@ROUTER.get(
    "/past/{generation}/ledger.json",
    responses=answers_bytes(JSON, *_ABSENT, description="The name of an earlier log and its verifier key."),
)
def past_ledger(generation: Generation, node: NodeDependency) -> Response:
    """Show which log an earlier one was."""
    return Response(node.log.past_ledger_file(generation), media_type=JSON, headers=_SOON_STALE)


@ROUTER.get(
    "/past/{generation}/tile/entries/{place:path}",
    dependencies=_AUDITORS,
    responses=answers_file(TILE_TYPE, *_ABSENT, description="Entries, each after its length as a big-endian uint16."),
)
def past_bundle(generation: Generation, place: TilePlace, node: NodeDependency, known: KnownTags = None) -> Response:
    """Show a bundle of entries of an earlier log."""
    data = node.log.past_bundle(generation, f"tile/entries/{place}")
    return log_file(data, media_type=TILE_TYPE, known=known, keep=FOR_EVER, shared=False)


@ROUTER.get(
    "/past/{generation}/tile/{level}/{place:path}",
    dependencies=_READERS,
    responses=answers_file(TILE_TYPE, *_ABSENT, description="Up to 256 hashes of 32 bytes."),
    openapi_extra=OPTIONAL,
)
def past_tile(
    *,
    generation: Generation,
    level: Annotated[int, WHOLE, Path(ge=0, le=TILE_LEVEL_MAX)],
    place: TilePlace,
    node: NodeDependency,
    known: KnownTags = None,
) -> Response:
    """Show a tile of hashes of an earlier log."""
    data = node.log.past_tile(generation, f"tile/{level}/{place}")
    return log_file(data, media_type=TILE_TYPE, known=known, keep=FOR_EVER, shared=node.log_access.is_open)


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
