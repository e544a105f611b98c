"""`python -m protocol verify FILE`: check a receipt, a message or a document offline, with public keys alone.

Exit status 0: it held; 1: it is disproved; 2: the command line cannot be understood; 3: it could not be checked.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from protocol.agreement import SignedAgreement, decode_signed_agreement
from protocol.audit.findings import EXIT_STATUS, Verdict
from protocol.audit.verify import Verification, verify_file
from protocol.errors import CouldNotCheck, KeyInvalid, PolicyInvalid, ProtocolError
from protocol.exchange_file import FILE_BYTES_MAX
from protocol.note import Verifier, parse_vkey
from protocol.policy import Policy, parse_policy

_HEADLINES: Final = {Verdict.HELD: "Held", Verdict.BROKEN: "DISPROVED", Verdict.INCOMPLETE: "Could not check"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    options = _parser().parse_args(arguments)
    try:
        agreements = [_agreement(path) for path in options.agreement]
        policy = None if options.policy is None else _policy(options.policy)
        result = verify_file(
            _read(options.file),
            verifiers=options.vkey,
            agreements=agreements,
            policy=policy,
            answers=[_read(path) for path in options.answer],
        )
    except CouldNotCheck as error:
        result = Verification(verdict=Verdict.INCOMPLETE, kind=None, code=error.code, lines=(str(error),))
    if options.json:
        print(result.json().decode())
    else:
        _show(result)
    return EXIT_STATUS[result.verdict]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m protocol", description="Check what a ledger signed, offline.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    verify = commands.add_parser("verify", help="verify one file: a receipt, a message, an agreement, evidence")
    verify.add_argument("file", metavar="FILE", type=Path)
    verify.add_argument(
        "--vkey", metavar="VKEY", type=_vkey, action="append", default=[], help="a known log's verifier key"
    )
    verify.add_argument(
        "--agreement",
        metavar="FILE",
        type=Path,
        action="append",
        default=[],
        help="an agreement whose parties' keys are known to be right",
    )
    verify.add_argument(
        "--policy", metavar="FILE", type=Path, help="a trust policy: known logs, and how many witnesses must cosign"
    )
    verify.add_argument(
        "--answer", metavar="FILE", type=Path, action="append", default=[], help="what the accused answers to evidence"
    )
    verify.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


def _vkey(text: str) -> Verifier:
    try:
        return parse_vkey(text)
    except KeyInvalid as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise CouldNotCheck(f"{path} cannot be read: {error.strerror}") from error
    if len(data) > FILE_BYTES_MAX:
        raise CouldNotCheck(f"{path} is longer than {FILE_BYTES_MAX} bytes, which no document is")
    return data


def _agreement(path: Path) -> SignedAgreement:
    try:
        return decode_signed_agreement(_read(path))
    except ProtocolError as error:
        raise CouldNotCheck(f"{path} is not an agreement to check by: {error}") from error


def _policy(path: Path) -> Policy:
    try:
        return parse_policy(_read(path))
    except PolicyInvalid as error:
        raise CouldNotCheck(f"{path} is no policy to check by: {error}") from error


def _show(result: Verification) -> None:
    print(f"{_HEADLINES[result.verdict]}: {result.kind or 'unknown file'}")
    for line in result.lines:
        print(f"  {line}")


if __name__ == "__main__":
    sys.exit(main())
