"""`tallystick account personal`: what is known of the person behind an account, erasably, beside the ledger."""

from typing import Annotated, Final

import msgspec
import typer

from node.cli.options import AccountArgument, IdOption, JsonOption, NodeOption, TokenOption, connect, fresh_id
from node.cli.output import print_facts, print_json
from node.cli.request import JsonObject, write
from node.client import NodeClient, Problem, RequestRefused
from node.client.answers import AccountList

_UNKNOWN: Final = "person_unknown"

ReferenceOption = Annotated[
    str | None,
    typer.Option("--ref", metavar="REFERENCE", help="The brand's own name for the member.", show_default=False),
]


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a person."""

    account: str
    external_ref: str | None = None
    display_name: str | None = None
    email: str | None = None
    locale: str = "en"


def account_of(client: NodeClient, account: str | None, reference: str | None) -> str:
    """Return the account that was named, by itself or by the brand's own name, or raise what says it is not there."""
    if (account is None) == (reference is None):
        raise typer.BadParameter("give ACCOUNT, or --ref alone")
    if reference is None:
        return str(account)
    rows = client.get("/v1/accounts", {"external_ref": reference}).read(AccountList).accounts
    if not rows:
        raise RequestRefused(Problem(status=404, code="account_unknown", detail="no account has this reference"))
    return rows[0].account


def personal(
    account: AccountArgument,
    *,
    reference: Annotated[str | None, typer.Option("--ref", metavar="REFERENCE", help="Set the reference.")] = None,
    name: Annotated[str | None, typer.Option("--name", metavar="NAME", help="Set the name.")] = None,
    email: Annotated[str | None, typer.Option("--email", metavar="EMAIL", help="Set the address.")] = None,
    locale: Annotated[str | None, typer.Option("--locale", metavar="en|zh", help="Set the language.")] = None,
    as_json: JsonOption = False,
    node: NodeOption,
    token_file: TokenOption,
) -> None:
    """Show what is known of the person behind an account; with options, set it. An empty text removes it."""
    path = f"/v1/accounts/{account}/personal"
    given = {"external_ref": reference, "display_name": name, "email": email, "locale": locale}
    changes = {field: value for field, value in given.items() if value is not None}
    with connect(node, token_file) as client:
        if not changes:
            reply = client.get(path)
        else:
            known = {**_known(client, path), **changes}
            reply = client.put(path, {field: value or None for field, value in known.items()})
    if as_json:
        print_json(reply.data)
        return
    person = reply.read(Person)
    print_facts(
        [
            ("account", person.account),
            ("reference", person.external_ref),
            ("name", person.display_name),
            ("email", person.email),
            ("language", person.locale),
        ]
    )


def erase(
    account: AccountArgument,
    *,
    forfeit: Annotated[bool, typer.Option("--forfeit", help="Give up the points that the account still has.")] = False,
    request_id: IdOption = None,
    as_json: JsonOption = False,
    node: NodeOption,
    token_file: TokenOption,
) -> None:
    """Forget the person behind an account, for ever: data, metadata and links; the account closes. Repeatable."""
    body: JsonObject = {"id": fresh_id(request_id), "forfeit": forfeit}
    write(node, token_file, f"/v1/accounts/{account}/erase", body, as_json=as_json, said=f"{account} is forgotten")


def _known(client: NodeClient, path: str) -> dict[str, str | None]:
    try:
        person = client.get(path).read(Person)
    except RequestRefused as refused:
        if refused.code != _UNKNOWN:
            raise
        return {}
    return {
        "external_ref": person.external_ref,
        "display_name": person.display_name,
        "email": person.email,
        "locale": person.locale,
    }
