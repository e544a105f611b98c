"""`/v1/imports`: balances of another system, which count once all of their file is in."""

from http import HTTPStatus
from typing import Annotated, Final, TypeAlias

from fastapi import Path, Query
from pydantic import Field, StringConstraints, model_validator
from starlette.responses import Response

from node.api.accounts import HolderKind, ReferenceText
from node.api.batches import item_refused
from node.api.fields import Body, DayText, DigestText, HolderText
from node.api.routes import COMMANDS, READS, NodeDependency, answered, answers, requires, router
from node.services.access.credentials import Scope
from node.services.answers import OtherAnswer
from node.services.batches import ItemRefused
from node.services.members.importing import (
    ROWS_MAX,
    BalanceRow,
    ImportList,
    ImportRequest,
    ImportView,
    RowFaults,
    RowsImported,
)
from node.services.refusals import NodeCode
from protocol.errors import Code
from protocol.identifiers import Account, Digest
from protocol.import_entries import ORIGIN_PATTERN
from protocol.limits import INTEGER_MAX, NAME_CHARACTERS_MAX

ROUTER: Final = router("imports", "/v1/imports")
_GUARD: Final = [requires(Scope.IMPORTS)]
_REASONS: Final = (*COMMANDS, Code.IMPORT_MISMATCH, Code.IMPORT_OPEN, Code.IMPORT_UNKNOWN)

FilePath: TypeAlias = Annotated[DigestText, Path(description="As the import's own entries name the file.")]
Points: TypeAlias = Annotated[int, Field(ge=0, le=INTEGER_MAX, examples=[12_500])]
RowNumber: TypeAlias = Annotated[int, Field(ge=1, le=INTEGER_MAX, examples=[1])]
OriginText: TypeAlias = Annotated[
    str,
    StringConstraints(pattern=f"^{ORIGIN_PATTERN}$", max_length=NAME_CHARACTERS_MAX),
    Field(description="`own`, or the partner who paid for the points, as `bluebird.example/main`."),
]


class ImportBody(Body):
    """A file of balances: its SHA-256, how many rows and points it has, and the day as of which it is."""

    sha256: DigestText
    rows: RowNumber
    points: Points
    occurred_on: DayText | None = None


class BalanceBody(Body):
    """A row: an `account` or an `external_ref`, for which an account is made, or both."""

    kind: HolderKind = "member"
    account: HolderText | None = None
    external_ref: ReferenceText | None = None
    points: Points
    origin: OriginText = "own"
    earned_on: DayText
    expires_on: DayText | None = None

    @model_validator(mode="after")
    def _somebodys(self) -> "BalanceBody":
        if self.account is None and self.external_ref is None:
            raise ValueError("a row names an account or an external reference")
        return self

    def row(self) -> BalanceRow:
        """Return the row."""
        return BalanceRow(
            kind=self.kind,
            account=None if self.account is None else Account(self.account),
            external_ref=self.external_ref,
            points=self.points,
            origin=self.origin,
            earned_on=self.earned_on,
            expires_on=self.expires_on,
        )


Rows: TypeAlias = Annotated[list[BalanceBody], Field(min_length=1, max_length=ROWS_MAX)]


class RowsBody(Body):
    """Rows of a file in their order, of which the first is the row `first_row`, counted from 1."""

    first_row: RowNumber
    rows: Rows


class CheckBody(RowsBody):
    """Rows to be looked at, not taken in: of the file of that SHA-256, or for a `file` whose import has begun."""

    sha256: DigestText | None = None
    file: DigestText | None = None

    @model_validator(mode="after")
    def _of_one(self) -> "CheckBody":
        if (self.sha256 is None) == (self.file is None):
            raise ValueError("rows are of a file of that sha256, or in place of a file: one of them is given")
        return self


@ROUTER.get("", dependencies=_GUARD, responses=answers(ImportList, *READS))
def list_imports(node: NodeDependency, sha256: Annotated[DigestText | None, Query()] = None) -> Response:
    """List the files that came in, latest first; or the one of that SHA-256."""
    return answered(node.importing.page(None if sha256 is None else Digest(sha256)))


@ROUTER.post(
    "",
    status_code=HTTPStatus.CREATED,
    dependencies=_GUARD,
    responses=answers(OtherAnswer, *_REASONS, status=HTTPStatus.CREATED),
)
async def begin_import(body: ImportBody, node: NodeDependency) -> Response:
    """Begin to take in a file, the only one at a time: its accounts take part in nothing before it is finished."""
    request = ImportRequest(
        sha256=Digest(body.sha256), rows=body.rows, points=body.points, occurred_on=body.occurred_on
    )
    return answered(await node.importing.begin(request).wait(), HTTPStatus.CREATED)


@ROUTER.post(
    "/checks",
    dependencies=_GUARD,
    responses=answers(
        RowFaults,
        *READS,
        NodeCode.UNSUPPORTED_MEDIA_TYPE,
        NodeCode.JSON_INVALID,
        NodeCode.PAYLOAD_TOO_LARGE,
        Code.DATE_INVALID,
        Code.IMPORT_UNKNOWN,
    ),
)
def check_rows(body: CheckBody, node: NodeDependency) -> Response:
    """Look at rows and write nothing: accounts that are there, references taken, rows that came in as others."""
    rows = [each.row() for each in body.rows]
    if body.sha256 is not None:
        file = node.importing.file_of(Digest(body.sha256))
    else:
        file = Digest(node.importing.show(Digest(body.file or "")).file)
    return answered(node.importing.check(rows, first_row=body.first_row, file=file))


@ROUTER.get("/{file}", dependencies=_GUARD, responses=answers(ImportView, *READS, Code.IMPORT_UNKNOWN))
def show_import(file: FilePath, node: NodeDependency) -> Response:
    """Show how far an import is."""
    return answered(node.importing.show(Digest(file)))


@ROUTER.post(
    "/{file}/rows",
    status_code=HTTPStatus.CREATED,
    dependencies=_GUARD,
    responses=answers(
        RowsImported,
        *_REASONS,
        Code.ACCOUNT_EXISTS,
        Code.AMOUNT_INVALID,
        Code.BALANCE_OVERFLOW,
        NodeCode.REFERENCE_TAKEN,
        status=HTTPStatus.CREATED,
    ),
)
def take_rows(file: FilePath, body: RowsBody, node: NodeDependency) -> Response:
    """Take in the next rows of a file, in one commit; rows that are in already are not taken in again."""
    rows = [each.row() for each in body.rows]
    try:
        done = node.importing.take(Digest(file), rows, first_row=body.first_row).result()
    except ItemRefused as refused:
        return item_refused(refused, field="rows")
    return answered(done, HTTPStatus.CREATED)


@ROUTER.post(
    "/{file}/finish",
    status_code=HTTPStatus.CREATED,
    dependencies=_GUARD,
    responses=answers(OtherAnswer, *_REASONS, status=HTTPStatus.CREATED),
)
async def finish_import(file: FilePath, node: NodeDependency) -> Response:
    """Let what a file has brought count, once rows and points are those that it announced."""
    return answered(await node.importing.finish(Digest(file)).wait(), HTTPStatus.CREATED)
