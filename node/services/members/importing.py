"""Balances of another system: a file comes in row by row, and counts once all of it is in (specs/import.md)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from node.engine.work import Answer, Desk
from node.services.answers import EntryAnswer
from node.services.batches import ItemRefused
from node.services.context import Context
from node.services.members.people import DEFAULT_LOCALE
from node.services.pending import Pending
from node.services.refusals import NodeCode, NodeRefusal
from node.store.reader import StoreReader
from node.store.rows_members import Personal
from protocol.encoding import JsonValue
from protocol.errors import Code, Refusal
from protocol.identifiers import Account, Digest, holder_account, id_from_random
from protocol.ledger import rules
from protocol.ledger.import_commands import BeginImport, FinishImport, ImportBalance
from protocol.ledger.import_state import IMPORTS, ImportRecord
from protocol.ledger.names import import_finished_id, import_id, imported_id
from protocol.ledger.view import Need, Overlay

ROWS_MAX: Final = 1_024
"""Rows that one commit takes in: others' requests wait no longer than that."""

REFERENCE_TAKEN: Final = "another account has this external reference"
_UUID_BYTES: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceRow:
    """A row of a file: the points of an account, or of whom `external_ref` names and whose account is made here."""

    kind: str
    account: Account | None
    external_ref: str | None
    points: int
    origin: str
    earned_on: str
    expires_on: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportRequest:
    """Begin to take in the file of that SHA-256: so many rows, so many points, as of a day (the program's today)."""

    sha256: Digest
    rows: int
    points: int
    occurred_on: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RowFault:
    """Why a row cannot come in; rows are counted from 1."""

    row: int
    column: str
    code: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RowFaults:
    """What is wrong with rows, in their order: nothing, where they could come in."""

    faults: tuple[RowFault, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportView:
    """How far the import of a file is; `file` is its digest under a key of the node."""

    file: str
    state: Literal["under_way", "finished"]
    day: str
    rows: int
    points: int
    rows_done: int
    points_done: int
    begun_seq: int
    finished_seq: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportList:
    """The files that came in, latest first."""

    imports: tuple[ImportView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsImported:
    """Rows `first_row` to `last_row` are the entries `first_seq` and so on, the last one `last_seq`."""

    file: str
    first_row: int
    last_row: int
    first_seq: int
    last_seq: int


class ImportRowsWork:
    """Rows of a file in one commit, with the references that are kept beside their accounts; all of them or none."""

    def __init__(
        self, reader: StoreReader, commands: Sequence[ImportBalance], people: Sequence[Personal | None]
    ) -> None:
        self._reader = reader
        self._commands = commands
        self._people = people

    def needs(self, view: Overlay) -> Iterator[Need]:
        """Yield what every row reads."""
        for command in self._commands:
            yield from rules.needs(view, command)

    def run(self, desk: Desk) -> list[Answer]:
        """Return the entry of each row; a row that came in before keeps what has been done with its person since."""
        answers = []
        taken = self._taken(desk)
        for index, (command, person) in enumerate(zip(self._commands, self._people, strict=True)):
            try:
                answer = desk.execute(command)
            except Refusal as refusal:
                raise ItemRefused(index, refusal) from refusal
            answers.append(answer)
            if person is None or person.external_ref is None or answer.repeated:
                continue
            holder = taken.setdefault(person.external_ref, person.account)
            if holder != person.account:
                raise NodeRefusal(NodeCode.REFERENCE_TAKEN, f"row {command.row}: {REFERENCE_TAKEN}")
            desk.stage(person)
        return answers

    def _taken(self, desk: Desk) -> dict[str, Account]:
        """Return whose the references are: as stored, and as earlier works of this commit have written them."""
        wanted = [person.external_ref for person in self._people if person and person.external_ref]
        staged = (row for row in desk.staged() if isinstance(row, Personal) and row.external_ref)
        return {**self._reader.accounts_of_references(wanted), **{str(row.external_ref): row.account for row in staged}}


class ImportService:
    """Takes in files of balances."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def page(self, sha256: Digest | None = None) -> ImportList:
        """Return the imports so far, or that of one file."""
        reader = self._context.reader
        found = reader.imports() if sha256 is None else self._named(self.file_of(sha256))
        return ImportList(imports=tuple(_view(file, record) for file, record in found))

    def show(self, file: Digest) -> ImportView:
        """Return how far the import of a file is, or raise `import_unknown`."""
        for named, record in self._named(file):
            return _view(named, record)
        raise Refusal(Code.IMPORT_UNKNOWN, f"no import of the file {file} has begun")

    def check(self, rows: Sequence[BalanceRow], *, first_row: int, file: Digest) -> RowFaults:
        """Return what is wrong with rows, and write nothing; those of the file that are in must be as they were."""
        record = self._context.reader.record(IMPORTS, file)
        faults = [
            *self._faults(rows, file, first_row=first_row, begun_seq=None if record is None else record.begun_seq)
        ]
        if record is not None:
            done = [self._command(file, first_row + at, row) for at, row in enumerate(rows)]
            faults += self._changed([command for command in done if command.row <= record.rows_done])
        return RowFaults(faults=tuple(sorted(faults, key=lambda fault: fault.row)))

    def begin(self, request: ImportRequest) -> Pending[EntryAnswer]:
        """Begin to take in a file; one that has begun, or is in, is answered as before."""
        file = self.file_of(request.sha256)
        fields: dict[str, JsonValue] = {"digest": request.sha256, "rows": request.rows, "points": request.points}
        command = BeginImport(
            id=import_id(file),
            request=self._context.digests.digest("import", fields),
            occurred_on=request.occurred_on,
            file=file,
            rows=request.rows,
            points=request.points,
        )
        return self._context.execute(command)

    def take(self, file: Digest, rows: Sequence[BalanceRow], *, first_row: int) -> Pending[RowsImported]:
        """Take in the next rows of a file, in one commit; rows that are in are passed over."""
        commands = [self._command(file, first_row + at, row) for at, row in enumerate(rows)]
        now = self._context.now
        people = [_person(row, command.account, now) for row, command in zip(rows, commands, strict=True)]
        done = self._context.writer.submit(ImportRowsWork(self._context.reader, commands, people))
        return Pending(done, lambda answers: _imported(file, first_row, answers))

    def finish(self, file: Digest) -> Pending[EntryAnswer]:
        """Make usable what the file has brought, once all of it is in."""
        request = self._context.digests.digest("import_finished", {"file": file})
        return self._context.execute(FinishImport(id=import_finished_id(file), request=request, file=file))

    def file_of(self, sha256: Digest) -> Digest:
        """Return how entries name the file of that SHA-256: a plain digest would tell who guesses a small file."""
        return self._context.digests.digest("import_file", {"digest": sha256})

    def _named(self, file: Digest) -> list[tuple[Digest, ImportRecord]]:
        record = self._context.reader.record(IMPORTS, file)
        return [] if record is None else [(file, record)]

    def _account(self, file: Digest, row: BalanceRow) -> Account:
        if row.account is not None:
            return row.account
        drawn = self._context.digests.digest("import_account", {"file": file, "reference": row.external_ref or ""})
        return holder_account(row.kind, id_from_random(bytes.fromhex(drawn)[:_UUID_BYTES]))

    def _command(self, file: Digest, number: int, row: BalanceRow) -> ImportBalance:
        account = self._account(file, row)
        fields: dict[str, JsonValue] = {
            "file": file,
            "row": number,
            "account": account,
            "points": row.points,
            "origin": row.origin,
            "earned_on": row.earned_on,
            "expires_on": row.expires_on,
        }
        return ImportBalance(
            id=imported_id(file, number),
            request=self._context.digests.digest("imported", fields),
            file=file,
            row=number,
            account=account,
            points=row.points,
            origin=row.origin,
            earned_on=row.earned_on,
            expires_on=row.expires_on,
        )

    def _changed(self, commands: Sequence[ImportBalance]) -> Iterator[RowFault]:
        """Yield a fault of each row that came in as another one."""
        taken = self._context.reader.ids_found([command.id for command in commands])
        for command in commands:
            if taken[command.id].request != command.request:
                text = "the row that came in under this number was another one"
                yield RowFault(row=command.row, column="", code=Code.ID_REUSED.value, detail=text)

    def _faults(
        self, rows: Sequence[BalanceRow], file: Digest, *, first_row: int, begun_seq: int | None
    ) -> Iterator[RowFault]:
        accounts = [self._account(file, row) for row in rows]
        there = self._context.reader.accounts_found(accounts)
        taken = self._context.reader.accounts_of_references([row.external_ref for row in rows if row.external_ref])
        for at, (row, account) in enumerate(zip(rows, accounts, strict=True)):
            record = there.get(account)
            if record is not None and (begun_seq is None or record.imported_seq != begun_seq):
                text = f"the account {account} is there already"
                yield RowFault(row=first_row + at, column="account", code=Code.ACCOUNT_EXISTS.value, detail=text)
            if taken.get(row.external_ref or "", account) != account:
                text = REFERENCE_TAKEN
                code = NodeCode.REFERENCE_TAKEN.value
                yield RowFault(row=first_row + at, column="external_ref", code=code, detail=text)


def _view(file: Digest, record: ImportRecord) -> ImportView:
    return ImportView(
        file=file,
        state="under_way" if record.finished_seq is None else "finished",
        day=record.day,
        rows=record.rows,
        points=record.points,
        rows_done=record.rows_done,
        points_done=record.points_done,
        begun_seq=record.begun_seq,
        finished_seq=record.finished_seq,
    )


def _person(row: BalanceRow, account: Account, now: str) -> Personal | None:
    if row.external_ref is None:
        return None
    return Personal(
        account=account,
        external_ref=row.external_ref,
        display_name=None,
        email=None,
        locale=DEFAULT_LOCALE,
        created_at=now,
        updated_at=now,
    )


def _imported(file: Digest, first_row: int, answers: Sequence[Answer]) -> RowsImported:
    return RowsImported(
        file=file,
        first_row=first_row,
        last_row=first_row + len(answers) - 1,
        first_seq=answers[0].sealed.entry.seq,
        last_seq=answers[-1].sealed.entry.seq,
    )
