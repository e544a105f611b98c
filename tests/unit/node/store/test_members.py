"""Members' erasable rows on both databases: written, found, erased; and links that were made before they had limits."""

import json
from dataclasses import replace

import pytest
from alembic import command
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from node.store.database import Database
from node.store.errors import StoreFailed
from node.store.migrating import migration_config
from node.store.reader import StoreReader
from node.store.rows import CommitRecord, Write
from node.store.rows_members import (
    DropConsent,
    DropRequest,
    ErasePerson,
    LinkConsent,
    LinkPages,
    LinkRequest,
    Personal,
)
from node.store.schema_members import PERSONAL, erasable_tables, erased_by
from node.store.writer import StoreWriter
from protocol.identifiers import Account
from tests.support.documents import BLUEBIRD, NOW, SOON, uuid

ANN, BOB = Account(f"member/{uuid('ann')}"), Account(f"member/{uuid('bob')}")
PERSON = Personal(
    account=ANN,
    external_ref="CRM-1",
    display_name="Ann",
    email="ann@example.com",
    locale="zh",
    created_at=NOW,
    updated_at=NOW,
)
CONSENT = LinkConsent(
    code="c1",
    id=uuid("link"),
    account=ANN,
    partner=BLUEBIRD.ledger,
    challenge=None,
    expires_at=SOON,
    link_until=None,
    link_conversions=3,
    link_points=None,
    spent_by=None,
)
REQUEST = LinkRequest(state="s1", id=uuid("begun"), account=ANN, partner=BLUEBIRD.ledger, verifier="v", expires_at=SOON)
PAGES = LinkPages(partner=BLUEBIRD.ledger, consent_url="https://b.example", redirect_url=None)


def commit(writer: StoreWriter, *writes: Write) -> None:
    writer.commit(CommitRecord(old_size=0, writes=writes))


@pytest.fixture
def reader(database: Database) -> StoreReader:
    return database.reader()


def test_rows_are_found_as_they_were_written(writer: StoreWriter, reader: StoreReader) -> None:
    commit(writer, PERSON, CONSENT, REQUEST, PAGES)
    assert reader.personal(ANN) == PERSON
    assert reader.account_of_reference("CRM-1") == ANN
    assert reader.link_consent("c1") == CONSENT
    assert reader.link_consents(ANN) == [CONSENT]
    assert reader.link_request("s1") == REQUEST
    assert reader.link_requests(ANN) == [REQUEST]
    assert reader.link_pages(BLUEBIRD.ledger) == PAGES
    assert reader.people() == 1
    assert reader.lapsed_consents(NOW, 9) == []
    assert (reader.lapsed_consents(SOON, 9), reader.lapsed_requests(SOON, 9)) == (["c1"], ["s1"])
    commit(writer, DropConsent("c1"), DropRequest("s1"), replace(PERSON, external_ref=None))
    assert (reader.link_consent("c1"), reader.link_request("s1")) == (None, None)
    assert reader.account_of_reference("CRM-1") is None


def test_a_reference_is_one_accounts(writer: StoreWriter, reader: StoreReader) -> None:
    commit(writer, PERSON)
    with pytest.raises(StoreFailed):
        commit(writer, replace(PERSON, account=BOB))
    assert reader.personal(BOB) is None


def test_an_account_is_erased_from_every_table_and_no_other_account(writer: StoreWriter, reader: StoreReader) -> None:
    bob = replace(PERSON, account=BOB, external_ref="CRM-2")
    commit(writer, PERSON, bob, CONSENT, REQUEST)
    assert {name for name, rows in reader.erasable_rows(ANN).items() if rows} == {
        "personal",
        "link_consents",
        "link_requests",
    }
    # A row that comes in the same commit goes too.
    commit(writer, ErasePerson(ANN), replace(CONSENT, code="c2"))
    assert not any(reader.erasable_rows(ANN).values())
    assert reader.personal(BOB) == bob
    assert PERSONAL in erasable_tables()
    assert {erased_by(table) for table in erasable_tables()} == {"account"}


def test_links_of_before_get_the_time_of_their_entry(database_url: str) -> None:
    config = migration_config()
    engine = create_engine(database_url, poolclass=NullPool)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0010")
    with engine.begin() as connection:
        data = json.dumps({"kind": "link_accepted", "time": NOW}).encode()
        insert = text("INSERT INTO entries (seq, leaf, data) VALUES (7, :leaf, :data)")
        connection.execute(insert, {"leaf": bytes(32), "data": data})
        row = {"account": ANN, "partner": BLUEBIRD.ledger, "alias": "ab" * 16}
        columns = "INSERT INTO accepted_links (account, partner, alias, accepted_seq)"
        insert = text(f"{columns} VALUES (:account, :partner, :alias, 7)")
        connection.execute(insert, row)
    with Database.open(database_url) as database:
        database.migrate()
        (found,) = database.reader().accepted_links(ANN)
    partner, link = found
    assert (partner, link.accepted_seq, link.accepted_at, link.until, link.revoked_seq) == (
        BLUEBIRD.ledger,
        7,
        NOW,
        None,
        None,
    )
