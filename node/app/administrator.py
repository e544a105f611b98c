"""An administrator's key where nobody has one any more, from whoever has the directory of a node that is stopped."""

from datetime import datetime
from pathlib import Path

from node.app.directory import database_url
from node.config import load_config
from node.ports import Randomness
from node.services.access.credentials import CallerRole
from node.services.access.tokens import Issued, issue_credential
from node.store.copying import check_here
from node.store.database import Database
from node.store.writes import apply_writes
from protocol.errors import CouldNotCheck
from protocol.fields import format_time


def issue_administrator(directory: Path, *, name: str, now: datetime, randomness: Randomness) -> Issued:
    """Write a new administrator's key called `name` into the store of the node in `directory`, and return it.

    Raises `StoreBusy` while a node has the store, `StoreMoved`, and `CouldNotCheck` where it holds no ledger of this
    version.
    """
    config = load_config(directory)
    with Database.open(database_url(directory, config), made=True) as database:
        if not database.is_current() or database.reader().latest_checkpoint() is None:
            raise CouldNotCheck(f"{directory} holds no ledger of this version: start the node once")
        check_here(database.reader())
        issued = issue_credential(CallerRole.ADMINISTRATOR, name=name, now=format_time(now), randomness=randomness)
        with database.locked() as session, session.transaction():
            apply_writes(session, [issued.row])
    return issued
