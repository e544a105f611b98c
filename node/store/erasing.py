"""Erasing a person: every row of an account in the tables that are marked so (`node.store.schema_members.erasable`)."""

from collections.abc import Iterable
from functools import cache

from sqlalchemy import Delete, bindparam, delete

from node.store.schema_members import erasable_tables, erased_by
from node.store.session import Session
from protocol.identifiers import Account


def erase(session: Session, accounts: Iterable[Account]) -> None:
    """Delete all rows of `accounts` inside the open transaction."""
    for account in accounts:
        for statement in _statements():
            session.run(statement, {"account": account})


@cache
def _statements() -> tuple[Delete, ...]:
    return tuple(
        delete(table).where(table.columns[erased_by(table)] == bindparam("account")) for table in erasable_tables()
    )
