"""`/v1/credentials`: API keys of people, systems and partners."""

from http import HTTPStatus
from typing import Annotated, Final, Literal, TypeAlias

from fastapi import Path, Request
from pydantic import Field, StringConstraints
from starlette.responses import Response

from node.api.auth import caller_of
from node.api.fields import Body, LedgerText, TimeText
from node.api.routes import READS, WRITES, NodeDependency, answered, answers, requires, router
from node.services.access.api_keys import OVERLAP_HOURS, OVERLAP_HOURS_MAX, IssuedKey, KeyList, KeyRequest
from node.services.access.credentials import CallerRole, Scope
from node.services.access.rates import PER_MINUTE_MAX
from node.services.refusals import NodeCode
from protocol.errors import Code
from protocol.identifiers import Ledger

ROUTER: Final = router("credentials", "/v1/credentials")
_GUARD: Final = [requires(Scope.CREDENTIALS)]
_NAME_CHARACTERS_MAX: Final = 128

CredentialPath: TypeAlias = Annotated[str, Path(pattern="^[0-9a-f]{8}$", examples=["0a1b2c3d"])]
NameText: TypeAlias = Annotated[
    str,
    StringConstraints(pattern=r"^[^\x00-\x1f\x7f]+$", max_length=_NAME_CHARACTERS_MAX),
    Field(examples=["till 7"]),
]


class IssueKeyBody(Body):
    """Issue a key: `partner` names the ledger that a key of the role `partner` is for.

    `per_minute` is how many requests it may make, where that is not what its role may.
    """

    role: Literal["viewer", "support", "manager", "administrator", "backend", "auditor", "partner"]
    name: NameText
    expires_at: TimeText | None = None
    partner: LedgerText | None = None
    per_minute: Annotated[int, Field(ge=1, le=PER_MINUTE_MAX)] | None = None

    def request(self) -> KeyRequest:
        """Return what is asked."""
        return KeyRequest(
            role=CallerRole(self.role),
            name=self.name,
            expires_at=self.expires_at,
            partner=None if self.partner is None else Ledger(self.partner),
            per_minute=self.per_minute,
        )


class RotateKeyBody(Body):
    """Make a new key of the same credential; the old one holds for `overlap_hours` more."""

    overlap_hours: Annotated[int, Field(ge=0, le=OVERLAP_HOURS_MAX)] = OVERLAP_HOURS


class RevokeBody(Body):
    """End a credential at once, with all its keys."""


@ROUTER.get("", dependencies=_GUARD, responses=answers(KeyList, *READS))
def list_credentials(node: NodeDependency) -> Response:
    """List every key that was ever issued, oldest first; secrets are kept nowhere."""
    return answered(node.credentials.all())


@ROUTER.post(
    "",
    status_code=HTTPStatus.CREATED,
    dependencies=_GUARD,
    responses=answers(IssuedKey, *WRITES, Code.PARTNER_UNKNOWN, status=HTTPStatus.CREATED),
)
def issue_credential(request: Request, body: IssueKeyBody, node: NodeDependency) -> Response:
    """Issue a key; its token is answered this once. A repeat issues another one."""
    made = node.credentials.make(body.request(), by=caller_of(request).id)
    return _secret(made.result())


@ROUTER.post(
    "/{credential_id}/rotate",
    status_code=HTTPStatus.CREATED,
    dependencies=_GUARD,
    responses=answers(IssuedKey, *WRITES, NodeCode.CREDENTIAL_UNKNOWN, status=HTTPStatus.CREATED),
)
def rotate_credential(
    request: Request, credential_id: CredentialPath, body: RotateKeyBody, node: NodeDependency
) -> Response:
    """Make a new key of a credential, while the old one holds a little longer: no caller is cut off."""
    by = caller_of(request).id
    return _secret(node.credentials.rotate(credential_id, overlap_hours=body.overlap_hours, by=by).result())


@ROUTER.post(
    "/{credential_id}/revoke",
    dependencies=_GUARD,
    responses=answers(KeyList, *WRITES, NodeCode.CREDENTIAL_LAST, NodeCode.CREDENTIAL_UNKNOWN),
)
def revoke_credential(credential_id: CredentialPath, body: RevokeBody, node: NodeDependency) -> Response:
    """End a credential at once; another process on the same store may honour it for five seconds more."""
    del body
    return answered(node.credentials.revoke(credential_id).result())


def _secret(made: IssuedKey) -> Response:
    """Return an answer that no cache may keep: there is a token in it."""
    response = answered(made, HTTPStatus.CREATED)
    response.headers["Cache-Control"] = "no-store"
    return response
