"""Forgetting a person: rows go, links end at both sides, the log and its proofs stay, and requests answer the same."""

from collections.abc import Iterator

import pytest

from node.services.context import Ping
from node.store.columns import METADATA
from node.store.database import Database
from node.store.schema_members import erasable_tables, erased_by
from protocol.entries import unseal
from protocol.identifiers import Account
from protocol.member_entries import AccountErased, LinkRevoked, UnlinkReason
from scripts.alliance.brands import AURORA, BLUEBIRD, CEDAR, Brand
from tests.support.linked import POINTS, Linked, linked

NEEDLE = "needle"


@pytest.fixture(scope="module")
def brands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Linked]:
    with linked(tmp_path_factory.mktemp("linked")) as found:
        yield found
        found.check()


def person(brands: Linked, brand: Brand = AURORA, *, said: str = NEEDLE) -> str:
    account = brands.open(brand, points=0)
    who = {"external_ref": f"{said}-{account}", "display_name": f"{said} Ann", "email": f"{said}@example.com"}
    assert brands.call(brand, "PUT", f"/v1/accounts/{account}/personal", who).is_success
    return account


def metadata_rows(brands: Linked, brand: Brand) -> int:
    return sum(len(rows) for name, rows in rows_of(brands, brand).items() if name == "metadata_rows")


def rows_of(brands: Linked, brand: Brand) -> dict[str, list[tuple[object, ...]]]:
    path = brands.node(brand).created.directory / "ledger.sqlite"
    with Database.open(f"sqlite:///{path}") as database, database.snapshot() as dump:
        return {name: list(dump.rows(name)) for name in METADATA.tables}


def holding(brands: Linked, brand: Brand, text: str) -> set[str]:
    return {name for name, rows in rows_of(brands, brand).items() if text in str(rows)}


def test_a_person_is_forgotten_and_the_ledger_stays(brands: Linked) -> None:
    account = person(brands, said="thimble")
    issue = {
        "id": brands.fresh(),
        "type": "issue",
        "account": account,
        "amount": POINTS,
        "metadata": {"order": "thimble-1"},
    }
    issued = brands.done(AURORA, "/v1/transactions", issue)
    assert holding(brands, AURORA, "thimble") == {"personal", "metadata_rows"}
    before = metadata_rows(brands, AURORA)
    body = {"id": brands.fresh(), "forfeit": True}
    erased = brands.done(AURORA, f"/v1/accounts/{account}/erase", body)
    assert erased["kind"] == "account_erased"
    assert holding(brands, AURORA, "thimble") == set()
    assert metadata_rows(brands, AURORA) == before - 1
    for table in erasable_tables():
        column = list(table.columns.keys()).index(erased_by(table))
        assert all(row[column] != account for row in rows_of(brands, AURORA)[table.name])
    state = brands.read(AURORA, f"/v1/accounts/{account}")
    assert (state["status"], state["posted"]) == ("closed", 0)
    # Idempotency needs none of what was erased.
    assert brands.done(AURORA, "/v1/transactions", issue) == issued
    assert brands.done(AURORA, f"/v1/accounts/{account}/erase", body) == erased
    assert brands.refused(AURORA, "/v1/transactions", {**issue, "amount": 1}) == "id_reused"
    receipt = brands.call(AURORA, "GET", f"/v1/entries/{issued['seq']}/receipt")
    assert receipt.is_success


def test_points_are_given_up_only_where_that_was_said(brands: Linked) -> None:
    account = person(brands)
    issue = {"id": brands.fresh(), "type": "issue", "account": account, "amount": 5, "metadata": {"a": "b"}}
    brands.done(AURORA, "/v1/transactions", issue)
    before = rows_of(brands, AURORA)
    code = brands.refused(AURORA, f"/v1/accounts/{account}/erase", {"id": brands.fresh()})
    assert code == "account_not_empty"
    assert rows_of(brands, AURORA) == before


def test_nobody_is_forgotten_while_points_are_on_hold(brands: Linked) -> None:
    account = brands.open(AURORA)
    hold = {"id": brands.fresh(), "account": account, "amount": 5}
    brands.done(AURORA, "/v1/holds", hold)
    path, body = f"/v1/accounts/{account}/erase", {"id": brands.fresh(), "forfeit": True}
    assert brands.refused(AURORA, path, body) == "account_busy"
    nobody = f"member/{brands.fresh()}"
    assert brands.refused(AURORA, f"/v1/accounts/{nobody}/erase", body) == "account_unknown"


def test_what_is_given_up_goes_to_breakage(brands: Linked) -> None:
    account = brands.open(AURORA)
    erased = brands.done(AURORA, f"/v1/accounts/{account}/erase", {"id": brands.fresh(), "forfeit": True})
    fields = erased["fields"]
    assert isinstance(fields, dict)
    assert fields["postings"] == [[account, AURORA.points, -POINTS], ["breakage", AURORA.points, POINTS]]


@pytest.mark.parametrize("side", ["issuer", "audience"])
def test_links_end_and_partners_are_told_to_forget(brands: Linked, side: str) -> None:
    here, there = brands.open(AURORA), brands.open(BLUEBIRD, points=0)
    alias = brands.link(BLUEBIRD, there, AURORA, here)
    brands.convert(AURORA, here, BLUEBIRD)
    brands.typed_code(BLUEBIRD, there, AURORA)
    brand, account, other = (BLUEBIRD, there, AURORA) if side == "issuer" else (AURORA, here, BLUEBIRD)
    other_account = here if side == "issuer" else there
    brands.done(brand, f"/v1/accounts/{account}/erase", {"id": brands.fresh(), "forfeit": True})
    brands.street.talk()
    history = brands.node(other).node.reader.history(Account(other_account), None, 1)
    entry = unseal(history[0]).entry
    assert isinstance(entry, LinkRevoked)
    assert (entry.alias, entry.by, entry.reason) == (alias, brand.ledger, UnlinkReason.ERASED)
    brands.node(AURORA).node.submit(Ping()).result()
    brands.node(BLUEBIRD).node.submit(Ping()).result()
    assert brands.node(BLUEBIRD).node.reader.link_consents(Account(there)) == []


def test_a_link_that_had_ended_is_forgotten_too(brands: Linked) -> None:
    here, there = brands.open(AURORA), brands.open(BLUEBIRD, points=0)
    alias = brands.link(BLUEBIRD, there, AURORA, here)
    body = {"account": here, "partner": BLUEBIRD.ledger, "alias": alias, "direction": "accepted"}
    brands.done(AURORA, "/v1/links/revocations", body)
    brands.done(AURORA, f"/v1/accounts/{here}/erase", {"id": brands.fresh(), "forfeit": True})
    brands.street.talk()
    found = [unseal(each).entry for each in brands.node(BLUEBIRD).node.reader.history(Account(there), None, 9)]
    assert [each.reason for each in found if isinstance(each, LinkRevoked)] == ["erased", "revoked"]


def test_a_closed_account_can_be_forgotten(brands: Linked) -> None:
    account = person(brands, CEDAR)
    brands.done(CEDAR, f"/v1/accounts/{account}/close", {"id": brands.fresh()})
    brands.done(CEDAR, f"/v1/accounts/{account}/erase", {"id": brands.fresh()})
    assert holding(brands, CEDAR, NEEDLE) == set()
    entry = unseal(brands.node(CEDAR).node.reader.history(Account(account), None, 1)[0]).entry
    assert isinstance(entry, AccountErased)
