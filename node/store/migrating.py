"""The migrations beside this module: which is the newest, without Alembic, and their application, with it.

Most starts find the tables up to date. Alembic, with all that it imports, took a tenth of each of them.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, column, inspect, select, table

from node.store.errors import StoreNewer

if TYPE_CHECKING:
    from alembic.config import Config

_FOLDER: Final = Path(__file__).parent / "migrations"
_VERSION: Final = table("alembic_version", column("version_num"))
# Read once, with the program itself: what a later installation lays beside it, a running process does not know.
_KNOWN: Final = frozenset(path.name.partition("_")[0] for path in (_FOLDER / "versions").glob("[0-9]*_*.py"))


def newest() -> str:
    """Return the version of the tables that this version of the program knows: its file's name begins with it."""
    return max(_KNOWN)


def version_of(connection: Connection) -> str | None:
    """Return the version of a database's tables, or None where they have none; raise `StoreNewer` for one of later."""
    if not inspect(connection).has_table(_VERSION.name):
        return None
    found: str | None = connection.scalar(select(_VERSION.c.version_num))
    if found is not None and found not in _KNOWN:
        raise StoreNewer(
            f"the database's tables are of version {found}, which this version of the program, for {newest()}, does "
            "not know: start the newer one again"
        )
    return found


def upgrade(connection: Connection) -> None:
    """Bring the tables up to date inside the connection's transaction."""
    from alembic import command  # noqa: PLC0415 - see the module's docstring

    config = migration_config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def migration_config() -> "Config":
    """Return Alembic's configuration: the migrations that are installed beside this module."""
    from alembic.config import Config  # noqa: PLC0415 - see the module's docstring

    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
