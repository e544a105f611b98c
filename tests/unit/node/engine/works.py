"""Works for the engine's tests: good ones, and each kind of bad one."""

from collections.abc import Iterator

from node.engine.work import Answer, CommandWork, Desk
from node.store.rows import PutSetting, Write
from protocol.errors import Code, Refusal
from protocol.identifiers import Account, Id
from protocol.ledger.commands import AnyCommand, IssuePoints, OpenAccount
from protocol.ledger.state import ACCOUNTS
from protocol.ledger.view import Need, Overlay, need
from tests.support.documents import digest, uuid
from tests.support.ledger import holder


class Bug(Exception):
    """What a programming error raises."""


def opening(name: str) -> OpenAccount:
    return OpenAccount(id=uuid(f"open {name}"), account=holder(name), request=digest(f"open {name}"))


def issuing(number: int | str, *, name: str = "ann", amount: int = 1) -> IssuePoints:
    return IssuePoints(
        id=uuid(f"issue {number}"), account=holder(name), amount=amount, request=digest(f"issue {number} {amount}")
    )


def work(*asked: AnyCommand) -> CommandWork:
    return CommandWork(asked)


class HalfDone(CommandWork):
    """Executes its commands, stages a row, and raises."""

    def __init__(self, error: Exception, *asked: AnyCommand) -> None:
        super().__init__(asked, writes=[PutSetting("half", "done")])
        self._error = error

    def run(self, desk: Desk) -> list[Answer]:
        super().run(desk)
        raise self._error


class CannotSayNeeds(CommandWork):
    """Raises where it should say what it needs."""

    def __init__(self, error: Exception) -> None:
        super().__init__([])
        self._error = error

    def needs(self, view: Overlay) -> Iterator[Need]:
        yield from super().needs(view)
        raise self._error


class Insatiable(CommandWork):
    """Needs another row each time it is asked."""

    def __init__(self) -> None:
        super().__init__([])
        self._asked = 0

    def needs(self, view: Overlay) -> Iterator[Need]:
        self._asked += 1
        yield need(ACCOUNTS, Account(f"member/{uuid(str(self._asked))}"))


class NeedsWhatOthersMade(CommandWork):
    """Opens an account, and reads a row that is needed only where the account `of` has points."""

    def __init__(self, *, of: Account) -> None:
        super().__init__([opening("beside")], writes=[PutSetting("once", "only")])
        self._of = of

    def needs(self, view: Overlay) -> Iterator[Need]:
        yield from super().needs(view)
        yield need(ACCOUNTS, self._of)
        record = view.peek(ACCOUNTS, self._of)
        if record is not None and record.posted:
            yield need(ACCOUNTS, holder("read where there are points"))

    def run(self, desk: Desk) -> list[Answer]:
        answers = super().run(desk)
        record = desk.find(ACCOUNTS, self._of)
        if record is not None and record.posted:
            desk.find(ACCOUNTS, holder("read where there are points"))
        return answers


class ReadsUnasked(CommandWork):
    """Reads a row that its needs do not name."""

    def __init__(self) -> None:
        super().__init__([])

    def run(self, desk: Desk) -> list[Answer]:
        desk.find(ACCOUNTS, holder("nobody asked for"))
        return []


class Stages:
    """Stages one write and returns what was staged before it."""

    def __init__(self, write: Write, *, fails: bool = False) -> None:
        self._write = write
        self._fails = fails

    def needs(self, _view: Overlay) -> Iterator[Need]:
        return iter(())

    def run(self, desk: Desk) -> list[Write]:
        before = list(desk.staged())
        desk.stage(self._write)
        if self._fails:
            raise Refusal(Code.CLOCK, "on purpose")
        return before


def id_of(command: AnyCommand) -> Id:
    return command.id
