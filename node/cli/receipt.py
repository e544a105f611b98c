"""`tallystick receipt`: the proof that an entry is in the log, fetched, and made better as witnesses cosign."""

import os
import tempfile
from pathlib import Path
from typing import Annotated, Final

import typer
from typer.core import TyperGroup

from node.cli.audit import receipt as fetch
from node.cli.audit_options import PolicyOption, VkeyOption, parse_vkeys, read_policy
from node.cli.failures import stop
from node.cli.files import FileUnreadable, read_bytes
from node.cli.options import JsonOption, NodeOption, TokenOption, connect
from node.cli.output import print_line
from node.cli.verify import tell
from protocol.audit.findings import EXIT_STATUS
from protocol.audit.verify import verify_file
from protocol.checkpoint import parse_checkpoint
from protocol.entries import decode_entry
from protocol.errors import ProofInvalid
from protocol.note import parse_note
from protocol.proof import Receipt, format_receipt, parse_receipt, refreshed

_FETCH: Final = "fetch"


class _Receipts(TyperGroup):
    """Commands of which `fetch` need not be named: `tallystick receipt ENTRY FILE`."""

    # The type that this parameter has in the base class is private to Typer; what is passed is Typer's own.
    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        """Take what begins with no command for the arguments of `fetch`."""
        if args and args[0] not in {*self.commands, *ctx.help_option_names}:
            args = [_FETCH, *args]
        return super().parse_args(ctx, args)


app: Final = typer.Typer(
    cls=_Receipts, no_args_is_help=True, help="Carry away the proof that an entry is in the log: ENTRY FILE."
)
app.command(_FETCH)(fetch)


@app.command()
def refresh(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A receipt; it is replaced by a later one.")],
    *,
    policy: PolicyOption = None,
    vkeys: VkeyOption = None,
    as_json: JsonOption = False,
    node: NodeOption,
    token_file: TokenOption,
) -> None:
    """Replace a receipt by one with the cosignatures that came since, and say by a policy or key what it proves.

    A later checkpoint that fewer witnesses have cosigned replaces nothing. With neither --policy nor --vkey, no
    signature is checked. Exit status as of `verify`.
    """
    old = parse_receipt(read_bytes(file))
    if old.extra is None:
        raise ProofInvalid(f"{file} does not carry its entry")
    with connect(node, token_file) as client:
        data = client.get(f"/v1/entries/{decode_entry(old.extra).seq}/receipt").data
    kept = _better(old, refreshed(old, parse_receipt(data)))
    if kept != old:
        _replace(file, format_receipt(kept))
    if not as_json:
        print_line(f"{'kept' if kept == old else 'wrote'} {file}: {_state(kept)}")
    if policy is not None or vkeys:
        result = verify_file(format_receipt(kept), verifiers=parse_vkeys(vkeys), policy=read_policy(policy))
        tell(result, as_json=as_json)
        stop(EXIT_STATUS[result.verdict])


def _better(old: Receipt, new: Receipt) -> Receipt:
    """Return `new` unless fewer keys have signed its checkpoint."""
    return old if len(_signers(new)) < len(_signers(old)) else new


def _signers(receipt: Receipt) -> list[str]:
    return sorted({f"{line.name}+{line.key_id.hex()}" for line in parse_note(receipt.checkpoint).signatures})


def _state(receipt: Receipt) -> str:
    checkpoint = parse_checkpoint(parse_note(receipt.checkpoint).text)
    count = len(_signers(receipt)) - 1
    return f"{checkpoint.size:,} entries, cosigned by {count} witness{'' if count == 1 else 'es'}"


def _replace(path: Path, data: bytes) -> None:
    """Put `data` in the file's place in one step: a receipt that cannot be fetched again is never half overwritten."""
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as beside:
            beside.write(data)
            beside.flush()
            os.fsync(beside.fileno())
        Path(beside.name).replace(path)
    except OSError as error:
        raise FileUnreadable(f"{path} cannot be written: {error.strerror}") from error
