"""What Alembic runs: the versions over the connection that `Database.migrate` gives, in its transaction."""

from alembic import context
from sqlalchemy import Connection

from node.store.schema import ENTRIES

connection = context.config.attributes["connection"]
assert isinstance(connection, Connection)
context.configure(connection=connection, target_metadata=ENTRIES.metadata)
with context.begin_transaction():
    context.run_migrations()
