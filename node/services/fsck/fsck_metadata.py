"""The erasable rows beside entries: each is the one of which its entry keeps a salted digest, or it was erased."""

from typing import Final

from node.services.fsck.fsck_report import Notes
from node.services.metadata import metadata_digest
from node.store.dump import Dump

METADATA_ROWS: Final = "metadata_rows"


def check_metadata(dump: Dump, notes: Notes, name: str) -> None:
    """Compare each row with its digest; one that is not there may have been erased."""
    table = notes.table(name)
    table.checked = True
    for digest, salt, data in dump.rows(name):
        table.rows += 1
        if not (isinstance(salt, bytes) and isinstance(data, bytes) and metadata_digest(salt, data) == digest):
            table.note(
                (str(digest),), "data", "the salt and the data do not lead to the digest that entries have of them"
            )
