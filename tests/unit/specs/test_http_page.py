"""The tables of `specs/http.md` say what the application does: its routes, who may call them, and its codes."""

from node.api.app import routes_of
from node.api.auth import Requires
from node.api.log_reading import READS_LOG
from node.api.problems import STATUS
from node.app import http_bounds
from node.config import NodeConfig
from node.services.access.credentials import SCOPES, CallerRole, Scope
from node.services.logs import log_access
from node.services.refusals import NodeCode
from protocol.errors import Code
from protocol.exchange_file import FILE_BYTES_MAX
from tests.support.pages import SPECS, code, page, table, tables

RESOURCES = table("http", "3. Resources")
CREDENTIALS = table("http", "2. Credentials")
OWN_CODES, BY_STATUS = tables("http")["7. Problems"]
LOG = "log"
PUBLIC = "public"
SIGNED = "signature"


def who(path: str, scopes: list[Scope]) -> str:
    if scopes:
        return scopes[0].value
    return SIGNED if path.startswith("/peer/") or path.endswith("/add-checkpoint") else PUBLIC


def test_the_resources_are_the_routes() -> None:
    listed = {(row["method"], code(row["path"])): code(row["who"]) for row in RESOURCES}
    assert len(listed) == len(RESOURCES)
    routes = {}
    for route in routes_of():
        scopes = [each.dependency.scope for each in route.dependencies if isinstance(each.dependency, Requires)]
        path = route.path.replace(":path", "")
        of_the_log = any(each.dependency is READS_LOG for each in route.dependencies)
        asked = LOG if of_the_log else who(path, scopes)
        routes.update({(method, path): asked for method in route.methods or ()})
    assert listed == routes


def test_the_scopes_are_those_of_the_roles() -> None:
    listed = {code(row["scope"]): {role: row[role] for role in CallerRole} for row in CREDENTIALS}
    words = {True: "yes", False: "no"}
    assert listed == {scope.value: {role: words[scope in SCOPES[role]] for role in CallerRole} for scope in Scope}


def test_the_nodes_own_codes_are_listed_with_their_status() -> None:
    listed = {code(row["code"]): int(row["status"]) for row in OWN_CODES}
    assert listed == {code.value: STATUS[code.value] for code in NodeCode}
    assert all(row["meaning"] for row in OWN_CODES)


def test_every_other_code_has_the_status_that_the_page_gives_it() -> None:
    listed = {code(word): int(row["status"]) for row in BY_STATUS for word in row["codes"].split()}
    others = set(STATUS) - {code.value for code in NodeCode}
    stated = {name: listed.get(name, 404 if name.endswith("_unknown") else 422) for name in others}
    assert {name: STATUS[name] for name in others} == stated
    assert set(listed) <= {code.value for code in Code}


def test_the_bounds_of_a_pass_are_those_of_the_code() -> None:
    text = page("http")
    assert f"at most {log_access.CHARACTERS_MAX:,} characters" in text
    assert f"within {log_access.VALID_SECONDS} seconds" in text
    assert f"`Authorization: {log_access.SCHEME} <pass>`" in text
    assert NodeConfig.model_fields["public_log"].default == "open"


def test_how_long_a_caller_is_waited_for_is_as_the_page_says() -> None:
    text = " ".join(page("http").split())
    seconds, rate = http_bounds.REQUEST_SECONDS_MAX, http_bounds.BODY_BYTES_PER_SECOND
    assert f"within {seconds} seconds, and one second more for each {rate:,} bytes of its body" in text
    assert f"A head longer than {http_bounds.HEAD_BYTES_MAX:,} bytes" in text
    assert http_bounds.CROWDED_SECONDS_MAX == 5
    operating = (SPECS.parent / "docs" / "operating.md").read_text(encoding="utf-8")
    assert f"at most {http_bounds.CONNECTIONS_MAX:,} connections" in " ".join(operating.split())
    assert f"`LimitNOFILE` less {http_bounds.FILES_KEPT}," in operating
    assert f"client_max_body_size {FILE_BYTES_MAX >> 20}m;" in operating
