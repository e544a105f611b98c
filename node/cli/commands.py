"""Every command's name, and where it is found: a command line imports the module of its own command alone."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Final

import typer

COMMANDS: Final[Mapping[str, str]] = {
    "init": "directory:init",
    "serve": "directory:serve",
    "vkey": "directory:vkey",
    "keys": "keys:app",
    "agent": "keys:agent",
    "fsck": "directory:fsck",
    "doctor": "doctor:doctor",
    "recover": "directory:recover",
    "backup": "backup:backup",
    "restore": "backup:restore",
    "copy-store": "backup:copy_store",
    "standing": "ledger:standing",
    "start": "ledger:start",
    "succeed": "ledger:succeed",
    "waive": "ledger:waive",
    "sandbox": "sandbox:sandbox",
    "credential": "credential:app",
    "approval": "approval:app",
    "tls": "tls:app",
    "dev-issuer": "dev_issuer:app",
    "account": "account:app",
    "points": "points:app",
    "import-balances": "importing:import_balances",
    "program": "program:app",
    "transfer": "transfer:app",
    "review": "review:app",
    "hold": "hold:app",
    "link": "link:app",
    "quote": "conversion:quote",
    "convert": "conversion:convert",
    "conversion": "conversion:app",
    "partner": "partner:app",
    "agreement": "agreement:app",
    "window": "window:app",
    "statement": "statement:app",
    "expire": "expire:expire",
    "exceptions": "exceptions:exceptions",
    "appeal": "appeal:app",
    "events": "event:events",
    "trace": "trace:trace",
    "webhook": "event:app",
    "evidence": "evidence:app",
    "witnesses": "witnesses:witnesses",
    "explain": "explain:explain",
    "journal": "reports:journal",
    "reconcile": "reports:reconcile",
    "exchange": "exchange:app",
    "audit": "audit:audit",
    "verify": "verify:verify",
    "export": "audit:export",
    "receipt": "receipt:app",
}
"""The module and its function, or its application of several commands, in the order of their help."""


def find(name: str) -> typer.Typer | Callable[..., object]:
    """Import the command `name` of `COMMANDS`, and return it."""
    module, _, attribute = COMMANDS[name].partition(":")
    found: object = getattr(import_module(f"node.cli.{module}"), attribute)
    assert isinstance(found, typer.Typer) or callable(found), "the table names commands"
    return found
