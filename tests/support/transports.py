"""Two in-process nodes joined in each of the three ways: both dial, one alone dials, or files are carried."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from node.services.channel.exchange_files import ExchangeFilesService, ImportAnswer
from node.services.context import Context, WriteWork
from node.services.request_digest import RequestDigests
from node.store.rows import PartnerUrl
from protocol.agreement import Transport
from protocol.ledger.state import LEDGER, ONLY
from tests.support.documents import AURORA, BLUEBIRD
from tests.support.keyrings import SeededRandomness, SideKeyring
from tests.support.nodes import Alliance, LocalNode, alliance, make_alliance

SIDES: Final = (AURORA, BLUEBIRD)
CYCLE_SECONDS: Final = 60
ROUNDS_MAX: Final = 8
QUIET: Final = ("nothing", "nothing")

Carry = Callable[[Alliance], None]


def files_of(node: LocalNode) -> ExchangeFilesService:
    """Return the exchange by files of a node of this process."""
    record = node.reader.record(LEDGER, ONLY)
    assert record is not None
    context = Context(
        record=record,
        reader=node.reader,
        writer=node.writer,
        keyring=SideKeyring(node.side),
        clock=node.clock,
        randomness=SeededRandomness("files"),
        digests=RequestDigests(b"files"),
    )
    return ExchangeFilesService(context, node.exchange)


def carry_file(sender: LocalNode, receiver: LocalNode) -> ImportAnswer:
    """Export a file at one node and import it at the other."""
    return files_of(receiver).take(files_of(sender).export(receiver.ledger).data)


def carry_round(nodes: Alliance) -> tuple[ImportAnswer, ImportAnswer]:
    """Carry a file there and one back."""
    first, second = nodes.pair
    there = carry_file(first, second)
    return there, carry_file(second, first)


def carry_files(nodes: Alliance) -> int:
    """Carry files there and back until neither node has anything to do, and return how many rounds that took."""
    for done in range(ROUNDS_MAX):
        there, back = carry_round(nodes)
        if (there.next, back.next) == QUIET:
            return done
    raise AssertionError("files without end")


def _let_talk(nodes: Alliance) -> None:
    nodes.talk(2 * CYCLE_SECONDS)


def _carry(nodes: Alliance) -> None:
    carry_files(nodes)
    nodes.clock.advance(2 * CYCLE_SECONDS)


WAYS: Final[Mapping[str, Carry]] = {"https": _let_talk, "answers": _let_talk, "files": _carry}


@contextmanager
def joined(directory: Path, kind: str) -> Iterator[Alliance]:
    """Lend two nodes whose agreement names the transport `kind`; under `answers` only the second can be dialled."""
    directory.mkdir()
    cycle = 0 if kind == "https" else CYCLE_SECONDS
    make_alliance(directory, SIDES, transport=Transport(kind=kind, cycle_seconds=cycle))
    with alliance(directory, SIDES) as nodes:
        first, second = nodes.pair
        if kind == "answers":
            second.run(WriteWork([PartnerUrl(first.ledger, "")]))
        yield nodes
