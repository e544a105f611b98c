"""`/v1/accounts/{kind}/{account_id}/personal`: the person behind an account, erasably, beside the ledger."""

from http import HTTPStatus
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import Field, StringConstraints
from starlette.responses import Response

from node.api.accounts import IdPath, KindPath, ReferenceText
from node.api.fields import Body, IdText
from node.api.routes import COMMANDS, READS, WRITES, NodeDependency, answered, answers, requires, router
from node.services.access.credentials import Scope
from node.services.answers import OtherAnswer
from node.services.members.people import DEFAULT_LOCALE, PersonRequest, PersonView
from node.services.refusals import NodeCode
from node.services.requests import EraseRequest
from protocol.errors import Code
from protocol.identifiers import Id, holder_account

ROUTER: Final = router("accounts", "/v1/accounts")
_READ: Final = [requires(Scope.PERSONAL_READ)]
_WRITE: Final = [requires(Scope.PERSONAL_WRITE)]
_ERASE: Final = [requires(Scope.PERSONAL_ERASE)]

PersonText: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]{1,128}$")]
EmailText: TypeAlias = Annotated[
    str,
    StringConstraints(pattern=r"^[^@\s\x00-\x1f\x7f]{1,64}@[^@\s\x00-\x1f\x7f]{1,190}$"),
    Field(examples=["ann@example.com"]),
]
LocaleText: TypeAlias = Annotated[Literal["en", "zh"], Field(description="The language of what a member is told.")]


class PersonBody(Body):
    """All that is to be known of the person behind an account: what is left out is known no longer."""

    external_ref: ReferenceText | None = None
    display_name: Annotated[PersonText, Field(examples=["Ann"])] | None = None
    email: EmailText | None = None
    locale: LocaleText = DEFAULT_LOCALE


class EraseBody(Body):
    """Forget the person; `forfeit` gives up the points that the account still has."""

    id: IdText
    forfeit: bool = False


@ROUTER.post(
    "/{kind}/{account_id}/erase",
    status_code=HTTPStatus.CREATED,
    dependencies=_ERASE,
    responses=answers(
        OtherAnswer,
        *COMMANDS,
        Code.ACCOUNT_UNKNOWN,
        Code.ACCOUNT_BUSY,
        Code.ACCOUNT_NOT_EMPTY,
        status=HTTPStatus.CREATED,
    ),
)
def erase_person(kind: KindPath, account_id: IdPath, body: EraseBody, node: NodeDependency) -> Response:
    """Forget the person behind an account and end its links; partners are told to forget their aliases."""
    account = holder_account(kind, Id(account_id))
    request = EraseRequest(id=Id(body.id), account=account, forfeit=body.forfeit)
    return answered(node.erasing.erase(request), HTTPStatus.CREATED)


@ROUTER.put(
    "/{kind}/{account_id}/personal",
    dependencies=_WRITE,
    responses=answers(
        PersonView,
        *WRITES,
        Code.ACCOUNT_UNKNOWN,
        Code.ACCOUNT_CLOSED,
        NodeCode.REFERENCE_TAKEN,
        NodeCode.VALUE_UNSTORABLE,
    ),
)
async def put_person(kind: KindPath, account_id: IdPath, body: PersonBody, node: NodeDependency) -> Response:
    """Say anew what is known of the person behind an account; nothing of it enters the ledger."""
    request = PersonRequest(
        account=holder_account(kind, Id(account_id)),
        external_ref=body.external_ref,
        display_name=body.display_name,
        email=body.email,
        locale=body.locale,
    )
    return answered(await node.people.put(request).wait())


@ROUTER.get(
    "/{kind}/{account_id}/personal",
    dependencies=_READ,
    responses=answers(PersonView, *READS, NodeCode.PERSON_UNKNOWN),
)
def show_person(kind: KindPath, account_id: IdPath, node: NodeDependency) -> Response:
    """Show what is known of the person behind an account."""
    return answered(node.people.show(holder_account(kind, Id(account_id))))
