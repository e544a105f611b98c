"""How files of the log are asked for and answered: by whom, with which tag, and for how long they may be kept."""

from hashlib import sha256
from http import HTTPStatus
from typing import Annotated, Final, TypeAlias

from fastapi import Depends, Header, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.params import Depends as Dependency
from starlette.responses import Response

from node.api.auth import SCHEME as TOKEN
from node.api.auth import Requires
from node.api.routes import GUARDED, Responses, answers_bytes
from node.services.access.credentials import Scope
from node.services.logs.log_access import SCHEME
from node.services.node import Node

FOR_EVER: Final = "max-age=31536000, immutable"
SOON_STALE: Final = "no-cache"
OPTIONAL: Final[dict[str, object]] = {"security": [{}, {TOKEN: []}]}
"""What the OpenAPI document says of a route whose credential is asked for only while the log is closed."""

_TAG_DIGITS: Final = 32


class ReadsLog:
    """A dependency that lets everybody pass to an open log; to a closed one auditors, and partners by their passes."""

    async def __call__(self, request: Request) -> None:
        """Raise `unauthorized` or `forbidden` for whoever may not read the log."""
        node: Node = request.app.state.node
        if node.log_access.is_open:
            return
        scheme, _, credential = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == SCHEME.lower():
            await run_in_threadpool(node.log_access.check, credential)
        else:
            await Requires(Scope.LOG_HASHES)(request)


READS_LOG: Final = ReadsLog()


def reads_log() -> list[Dependency]:
    """Return the dependencies of a route that shows how far the log has come."""
    dependency: Dependency = Depends(READS_LOG)
    return [dependency]


KnownTags: TypeAlias = Annotated[
    str | None, Header(alias="If-None-Match", max_length=1_024, description="Tags of what the caller has already.")
]


def answers_file(media_type: str, *codes: str, description: str) -> Responses:
    """Return the OpenAPI of a route that answers a file of the log, or 304 where the caller has it."""
    found = answers_bytes(media_type, *codes, *GUARDED, description=description)
    return {
        **found,
        int(HTTPStatus.NOT_MODIFIED): {"description": "The caller has it: one of its tags is this file's."},
    }


def log_file(data: bytes, *, media_type: str, known: str | None, keep: str, shared: bool = True) -> Response:
    """Return a file of the log under its tag, or 304 where `known` names that.

    It may be kept as long as `keep` says, by caches that several people share only where it is `shared`.
    """
    tag = f'"{sha256(data).hexdigest()[:_TAG_DIGITS]}"'
    headers = {"ETag": tag, "Cache-Control": f"{'public' if shared else 'private'}, {keep}"}
    if known is not None and _names(known, tag):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    return Response(data, media_type=media_type, headers=headers)


def _names(known: str, tag: str) -> bool:
    """Return whether the list of tags `known` has `tag` (RFC 9110 §13.1.2: compared weakly)."""
    tags = (each.strip().removeprefix("W/") for each in known.split(","))
    return any(each in {"*", tag} for each in tags)
