"""The console script `tallystick`."""

import os
import sys
from collections.abc import Sequence
from typing import Final

import typer

from node.cli import (
    account,
    agreement,
    appeal,
    approval,
    audit,
    backup,
    conversion,
    credential,
    dev_issuer,
    directory,
    doctor,
    event,
    evidence,
    exceptions,
    exchange,
    expire,
    explain,
    hold,
    importing,
    keys,
    ledger,
    link,
    ordering,
    partner,
    points,
    program,
    receipt,
    reports,
    review,
    run_off,
    sandbox,
    statement,
    tls,
    trace,
    transfer,
    verify,
    window,
    witnesses,
)
from node.cli.failures import fail, fail_unforeseen
from protocol.errors import TallystickError

DEBUG: Final = "TALLYSTICK_DEBUG"
INTERRUPTED: Final = 130

app: Final = typer.Typer(
    name="tallystick",
    help="Signed, auditable ledgers for brands that convert loyalty points and settle with each other.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    epilog="Exit status: 0 held or done, 1 disproved or refused, 2 wrong usage, 3 could not check or reach.",
)
app.command()(directory.init)
app.command()(directory.serve)
app.command()(directory.vkey)
app.add_typer(keys.app, name="keys")
app.command()(keys.agent)
app.command()(directory.fsck)
app.command()(doctor.doctor)
app.command()(directory.recover)
app.command()(backup.backup)
app.command()(backup.restore)
app.command()(backup.copy_store)
app.command()(ledger.standing)
app.command()(ledger.start)
app.command()(ledger.succeed)
app.command()(ledger.waive)
app.command()(sandbox.sandbox)
app.add_typer(credential.app, name="credential")
app.add_typer(approval.app, name="approval")
app.add_typer(tls.app, name="tls")
app.add_typer(dev_issuer.app, name="dev-issuer")
app.add_typer(account.app, name="account")
app.add_typer(points.app, name="points")
app.command("import-balances")(importing.import_balances)
app.add_typer(program.app, name="program")
app.add_typer(transfer.app, name="transfer")
app.add_typer(review.app, name="review")
app.add_typer(hold.app, name="hold")
app.add_typer(link.app, name="link")
app.command()(conversion.quote)
app.command()(conversion.convert)
conversion.app.command()(ordering.order)
app.add_typer(conversion.app, name="conversion")
partner.app.command()(run_off.show)
partner.app.command()(run_off.end)
app.add_typer(partner.app, name="partner")
app.add_typer(agreement.app, name="agreement")
app.add_typer(window.app, name="window")
app.add_typer(statement.app, name="statement")
app.command()(expire.expire)
app.command()(exceptions.exceptions)
app.add_typer(appeal.app, name="appeal")
app.command()(event.events)
app.command()(trace.trace)
app.add_typer(event.app, name="webhook")
app.add_typer(evidence.app, name="evidence")
app.command()(witnesses.witnesses)
app.command()(explain.explain)
app.command()(reports.journal)
app.command()(reports.reconcile)
app.add_typer(exchange.app, name="exchange")
app.command()(audit.audit)
app.command()(verify.verify)
app.command()(audit.export)
app.add_typer(receipt.app, name="receipt")


def run(arguments: Sequence[str]) -> int:
    """Carry out one command line and return its exit status; nothing that fails on purpose shows a traceback."""
    try:
        app(args=list(arguments), prog_name="tallystick")
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 0
    except TallystickError as error:
        return fail(error, as_json="--json" in arguments)
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        # Nobody who types a command is helped by a stack; whoever looks for the bug asks for it.
        if os.environ.get(DEBUG):
            raise
        return fail_unforeseen(error, debug=DEBUG)
    return 0


def main() -> None:
    """Run the command line of this process."""
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
