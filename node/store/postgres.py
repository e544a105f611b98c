"""PostgreSQL's statements for many rows at a time: each goes to the server as one message."""

from collections.abc import Sequence
from typing import Final, cast

import psycopg
from psycopg.pq import PipelineStatus
from sqlalchemy import ClauseElement, Dialect, Table, and_, bindparam, column, delete, func, select, update
from sqlalchemy import cast as sql_cast
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.sql.selectable import TableValuedAlias
from sqlalchemy.types import BigInteger, Boolean, LargeBinary, Text

from node.store.arrays import Packed, packer_of, register
from node.store.codec import Row
from node.store.errors import StoreFailed
from node.store.sql import Composed, Updated, Words, replaced
from node.store.unfit import unfit

COPY_ROWS_MIN: Final = 64
"""With so many rows a COPY, which the server reads twice as fast as an array, is worth its two answers more."""

# A writer asks for rows by their keys, however many. The server, which plans without knowing how many an array has, nor
# how large a young table is, would read whole tables for a handful of rows, and would plan anew each time.
_PLANS: Final = """
    SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; SET jit = off;
    SET plan_cache_mode = force_generic_plan
"""

# The least that a server waits for when it is committed: a transaction that writes nothing waits for nobody.
_A_RECORD: Final = "SELECT pg_logical_emit_message(true, 'tallystick', '')"

_COPIED: Final = {BigInteger: "int8", Boolean: "bool", LargeBinary: "bytea", Text: "text"}


class PostgresWords(Words):
    """PostgreSQL's words: COPY for many new rows, and otherwise one array a column, unnested."""

    begin_text = "BEGIN"

    def __init__(self, dialect: Dialect) -> None:
        """Compose for `dialect`."""
        super().__init__(dialect)
        self._packers: dict[str, dict[str, Packed]] = {}
        self._is_doubtful = False

    def adapt(self, connection: object) -> None:
        """Let a connection take arrays that are packed here."""
        register(cast("psycopg.Connection[object]", connection))

    def prepare(self, connection: object) -> None:
        """Let a writer's connection plan for keys alone, too; raise `StoreFailed` where it must not write."""
        super().prepare(connection)
        driver = cast("psycopg.Connection[tuple[object, ...]]", connection)
        if (reason := unfit(driver)) is not None:
            raise StoreFailed(reason)
        driver.add_notice_handler(self._hear)
        driver.execute(_PLANS)

    def commit(self, cursor: DBAPICursor) -> None:
        """End the open transaction, and wait until a standby that the server waits for has it, whoever cancels that.

        Where the wait is cancelled the server warns of it and says that all is well. A transaction that comes after it
        is on the standby only once it is, too. Where even that one fails, the connection is given up with it: whoever
        went on over it would find the commit, and take it for one that the standby has.
        """
        self._is_doubtful = False
        cursor.execute("COMMIT")
        while self._is_doubtful:
            self._is_doubtful = False
            try:
                for text in ("BEGIN", _A_RECORD, "COMMIT"):
                    cursor.execute(text)
            except psycopg.Error:
                cursor.connection.close()
                raise

    def _hear(self, notice: psycopg.errors.Diagnostic) -> None:
        self._is_doubtful = self._is_doubtful or notice.severity_nonlocalized == "WARNING"

    def insert(self, cursor: DBAPICursor, table: Table, rows: Sequence[Row]) -> int:
        """Insert new `rows`, each as the table's columns; return how many were written."""
        driver = cast("psycopg.Cursor[Row]", cursor)
        # A COPY waits for the server's answers, for which a pipeline does not wait.
        if len(rows) >= COPY_ROWS_MIN and driver.connection.info.pipeline_status is PipelineStatus.OFF:
            return self._copy(driver, table, rows)
        return self._run(cursor, table, self._memo(self._insert, table), rows)

    def select(self, cursor: DBAPICursor, table: Table, by: tuple[str, ...], keys: Sequence[Row]) -> list[Row]:
        """Return all columns of the rows whose columns `by` equal one of `keys`."""
        self._run(cursor, table, self._memo(self._select, table, by), keys)
        return cast("list[Row]", cursor.fetchall())

    def _copy(self, cursor: psycopg.Cursor[Row], table: Table, rows: Sequence[Row]) -> int:
        quoted = self._dialect.identifier_preparer
        names = ", ".join(quoted.quote(name) for name in table.columns.keys())  # noqa: SIM118 - a collection
        with cursor.copy(f"COPY {quoted.format_table(table)} ({names}) FROM STDIN (FORMAT BINARY)".encode()) as copy:
            copy.set_types([_COPIED[type(_plain(table, name))] for name in table.columns.keys()])  # noqa: SIM118
            for row in rows:
                copy.write_row(row)
        return cursor.rowcount

    def _run(self, cursor: DBAPICursor, table: Table, composed: Composed, rows: Sequence[Row]) -> int:
        packers = self._packers.get(composed.text)
        if packers is None:
            packers = {name: packer_of(table.c[name].type) for name in composed.columns}
            self._packers[composed.text] = packers
        columns = zip(packers.items(), zip(*rows, strict=True), strict=True)
        cursor.execute(composed.text, {name: pack(values) for (name, pack), values in columns})
        return cursor.rowcount

    def _insert(self, table: Table) -> postgresql.Insert:
        names = table.columns.keys()
        return postgresql.insert(table).from_select(names, select(*_given(table, names).c))

    def _upsert(self, table: Table) -> ClauseElement:
        statement = self._insert(table)
        return statement.on_conflict_do_update(
            index_elements=list(table.primary_key.columns), set_=replaced(table, statement.excluded)
        )

    def _update(self, table: Table, columns: Updated) -> ClauseElement:
        keys = table.primary_key.columns.keys()
        given = _given(table, (*columns.new, *keys, *columns.same))
        changed = update(table).values({name: given.c[name] for name in columns.new})
        changed = changed.where(*(table.c[name] == given.c[name] for name in keys))
        return changed.where(*(table.c[name].is_not_distinct_from(given.c[name]) for name in columns.same))

    def _delete(self, table: Table) -> ClauseElement:
        names = table.primary_key.columns.keys()
        given = _given(table, names)
        return delete(table).where(*(table.c[name] == given.c[name] for name in names))

    def _select(self, table: Table, by: tuple[str, ...]) -> ClauseElement:
        given = _given(table, by)
        return select(table).join(given, and_(*(table.c[name] == given.c[name] for name in by)))


def _given(table: Table, names: Sequence[str]) -> TableValuedAlias:
    """Return the rows that parameters named as the columns hold, one array a column."""
    kinds = {name: _plain(table, name) for name in names}
    arrays = [sql_cast(bindparam(name), postgresql.ARRAY(kind)) for name, kind in kinds.items()]
    columns = [column(name, kind) for name, kind in kinds.items()]
    return func.unnest(*arrays).table_valued(*columns, name="given").render_derived()


def _plain(table: Table, name: str) -> BigInteger | Boolean | LargeBinary | Text:
    kind = table.c[name].type
    for plain in (BigInteger, Boolean, LargeBinary):
        if isinstance(kind, plain):
            return plain()
    return Text()
