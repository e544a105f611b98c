"""A process that reads logs ahead of the one that judges them: python -m node.services.audits.audit_helper.

It is told on its standard input what to read, one JSON object a line, and hands segments over on its standard output,
each after its length; a length of 0 stands for one that is not sound. It ends with its input.
"""

import contextlib
import gc
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from node.peers.package_source import ClosedSource, Opening, PackageSource
from protocol.audit.ahead import Pages, Stretch, read_ahead, read_pages

LENGTH_BYTES: Final = 4
READY: Final = b"ready"
_PIPE_BYTES: Final = 1 << 20
_SET_PIPE_SIZE: Final = 1031
"""F_SETPIPE_SZ of Linux, which `fcntl` names on Linux alone."""


class Errand(msgspec.Struct, frozen=True, kw_only=True):
    """What to read, and where: entries, or received messages."""

    opening: Opening
    work: Stretch | Pages


_ERRANDS: Final = msgspec.json.Decoder(Errand)


def main() -> None:
    """Go on errands until there are no more of them, or nobody takes over what is read."""
    # Whoever interrupts the audit at a terminal interrupts both: the other one ends this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # What is read here is handed over and gone, and refers to nothing that refers to it.
    gc.disable()
    _widen(sys.stdout.fileno())
    with contextlib.suppress(BrokenPipeError):
        serve(sys.stdin.buffer, sys.stdout.buffer)


def serve(told: BinaryIO, taken: BinaryIO) -> None:
    """Say that this process is ready, and go on each errand."""
    taken.write(READY)
    taken.flush()
    for line in told:
        errand = _ERRANDS.decode(line)
        with _opened(errand.opening) as source:
            for data in _done(source, errand.work):
                taken.write(len(data or b"").to_bytes(LENGTH_BYTES) + (data or b""))
                taken.flush()


def _done(source: ClosedSource, work: Stretch | Pages) -> Iterator[bytes | None]:
    return read_ahead(source, work) if isinstance(work, Stretch) else read_pages(source, work)


def _opened(opening: Opening) -> ClosedSource:
    if not opening.is_remote:
        return PackageSource(Path(opening.place))
    # What speaks HTTP takes as long to load as all the rest, and is not needed for a package.
    from node.peers.log_source import HttpSource  # noqa: PLC0415 - as said

    return HttpSource(opening.place, opening.token)


def _widen(descriptor: int) -> None:
    """Let a few segments wait in the pipe, where the system allows it: then neither process waits for the other."""
    with contextlib.suppress(ImportError, OSError):
        import fcntl  # noqa: PLC0415 - not every system has it

        fcntl.fcntl(descriptor, _SET_PIPE_SIZE, _PIPE_BYTES)


if __name__ == "__main__":
    main()
