"""Reading the files of balances that came in, and what stands in the way of rows that are to."""

from collections.abc import Collection
from typing import Final, cast

from sqlalchemy import select

from node.store import schema
from node.store.reads import Reads
from node.store.schema_imports import IMPORTS as TABLE
from node.store.schema_members import PERSONAL
from protocol.identifiers import Account, Digest, Id
from protocol.ledger.import_state import IMPORTS, ImportRecord
from protocol.ledger.state import ACCOUNTS, IDS, AccountRecord, IdRecord

LISTED_MAX: Final = 256


class ImportReads(Reads):
    """The rows that the rules keep of imports, and many accounts or references at once."""

    def imports(self, limit: int = LISTED_MAX) -> list[tuple[Digest, ImportRecord]]:
        """Return the files that came in, latest first."""
        return list(self._records(IMPORTS, order=(TABLE.c.begun_seq.desc(),), limit=limit))

    def accounts_found(self, accounts: Collection[Account]) -> dict[Account, AccountRecord]:
        """Return those of `accounts` that exist; at most as many as one statement can name."""
        return dict(self._records(ACCOUNTS, schema.ACCOUNTS.c.account.in_(accounts)))

    def ids_found(self, ids: Collection[Id]) -> dict[Id, IdRecord]:
        """Return those of `ids` that are taken; at most as many as one statement can name."""
        return dict(self._records(IDS, schema.IDS.c.id.in_(ids)))

    def accounts_of_references(self, references: Collection[str]) -> dict[str, Account]:
        """Return the accounts that the brand's own names `references` stand for, by name."""
        wanted = select(PERSONAL.c.external_ref, PERSONAL.c.account).where(PERSONAL.c.external_ref.in_(references))
        return {cast("str", row[0]): cast("Account", row[1]) for row in self._rows(wanted)}
