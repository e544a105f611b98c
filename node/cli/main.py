"""The console script `tallystick`."""

import os
import sys
from collections.abc import Iterable, Sequence
from functools import partial
from importlib.metadata import version
from inspect import getdoc
from typing import Annotated, Final

import typer

from node.app.memory import settle
from node.cli.commands import COMMANDS, find
from node.cli.failures import fail, fail_unforeseen
from node.cli.unread import give_outputs, unread_outputs, while_read
from protocol.errors import EncodingInvalid, TallystickError

DEBUG: Final = "TALLYSTICK_DEBUG"
INTERRUPTED: Final = 130


def app_of(names: Iterable[str]) -> typer.Typer:
    """Return the application of the commands `names`."""
    app = typer.Typer(
        name="tallystick",
        help="Signed, auditable ledgers for brands that convert loyalty points and settle with each other.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        epilog="Exit status: 0 held or done, 1 disproved or refused, 2 wrong usage, 3 could not check or reach.",
    )
    # With a callback, one command alone keeps its name on the command line.
    app.callback()(_before)
    for name in names:
        command = find(name)
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name)
        else:
            app.command(name)(command)
    _tell_whole(app)
    return app


def _tell_whole(app: typer.Typer) -> None:
    """Have lists of commands give the first paragraph of each help: otherwise it is cut where the line ends."""
    for command in app.registered_commands:
        command.short_help = " ".join((getdoc(command.callback) or "").partition("\n\n")[0].split())
    for group in app.registered_groups:
        if group.typer_instance is not None:
            group.short_help = group.typer_instance.info.help
            _tell_whole(group.typer_instance)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"tallystick {version('tallystick')}")
        raise typer.Exit


def _before(
    *,
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version, and end.")
    ] = False,
) -> None:
    pass


def _asked(arguments: Sequence[str]) -> Iterable[str]:
    """Return the command that is called, or all of them for whoever asks for help or errs."""
    return arguments[:1] if arguments and arguments[0] in COMMANDS else COMMANDS


def run(arguments: Sequence[str]) -> int:
    """Carry out one command line and return its exit status; nothing that fails on purpose shows a traceback.

    Nobody need read all that it prints: see `while_read`.
    """
    return while_read(partial(_told, arguments))


def _told(arguments: Sequence[str]) -> int:
    try:
        return _called(arguments)
    except TallystickError as error:
        return fail(error, as_json="--json" in arguments)
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        if isinstance(error, UnicodeEncodeError) and not _encodable(arguments):
            return fail(EncodingInvalid("an argument is not UTF-8"), as_json="--json" in arguments)
        if isinstance(error, BrokenPipeError) and unread_outputs():
            raise
        # Nobody who types a command is helped by a stack; whoever looks for the bug asks for it.
        if os.environ.get(DEBUG):
            raise
        return fail_unforeseen(error, debug=DEBUG)


def _encodable(arguments: Sequence[str]) -> bool:
    """Tell whether arguments are UTF-8: Python reads other bytes as surrogates, which can be sent to nobody."""
    return not any("\ud800" <= character <= "\udfff" for argument in arguments for character in argument)


def _called(arguments: Sequence[str]) -> int:
    try:
        app_of(_asked(arguments))(args=list(arguments), prog_name="tallystick")
    except SystemExit as ended:
        # Typer ends with 1 where a pipe breaks, whichever pipe it is.
        if isinstance(ended.__context__, BrokenPipeError):
            raise ended.__context__ from None
        return ended.code if isinstance(ended.code, int) else 0
    return 0


def main() -> None:
    """Run the command line of this process."""
    give_outputs()
    settle()
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
