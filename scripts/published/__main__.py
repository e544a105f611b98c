"""Write the published vectors, or with `--check` say where they differ: python -m scripts.published [--check]."""

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from node.cli.unread import while_read
from scripts.published import answers, documents, messages, notes, settlement
from scripts.published.files import Case, VectorFile, render
from scripts.published.judges import outcomes

FOLDER: Final = Path(__file__).resolve().parents[2] / "specs" / "vectors"

FILES: Final[Mapping[str, Callable[[], VectorFile]]] = {
    "encoding.json": documents.encoding,
    "entries.json": documents.entries,
    "checkpoints.json": notes.checkpoints,
    "cosignatures.json": notes.cosignatures,
    "add-checkpoint.json": notes.exchanges,
    "receipts.json": notes.receipts,
    "envelopes.json": messages.envelopes,
    "evidence.json": messages.evidence,
    "fenced.json": answers.fenced_answers,
    "statements.json": settlement.statements,
    "bodies.json": settlement.bodies,
}


class CodeDiffers(Exception):
    """A case is not judged as whoever wrote it meant."""


def main(arguments: Sequence[str] | None = None, *, folder: Path = FOLDER) -> int:
    """Write or check all files and return the exit status: 1 where a file is not what the code makes."""
    parser = argparse.ArgumentParser(prog="scripts/vectors", description="Write specs/vectors from the code.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail where a file differs")
    options = parser.parse_args(arguments)
    return while_read(partial(_write, folder, check=options.check))


def _write(folder: Path, *, check: bool) -> int:
    made = {name: render(complete(make())) for name, make in FILES.items()}
    if check:
        differing = list(differences(made, folder))
        for line in differing:
            print(line, file=sys.stderr)
        return int(bool(differing))
    for name, data in made.items():
        (folder / name).write_bytes(data)
        print(f"{folder / name}: {len(data):,} bytes")
    return 0


def differences(made: Mapping[str, bytes], folder: Path) -> Iterator[str]:
    """Yield each file that is missing, is not what the code makes, or that nothing makes."""
    found = {path.name: path.read_bytes() for path in folder.glob("*.json")}
    for name in sorted({*made, *found}):
        if made.get(name) != found.get(name):
            yield f"{folder / name} is not what the code makes: run scripts/vectors, and look at what changed"


def complete(file: VectorFile) -> VectorFile:
    """Return `file` with the properties of all cases; raise `CodeDiffers` for one that is judged otherwise."""
    cases: list[Case] = []
    for case, (code, properties) in zip(file.cases, outcomes(file), strict=True):
        if code != case.error:
            raise CodeDiffers(f"{file.format}, {case.name}: {code}, where {case.error} was meant")
        cases.append(msgspec.structs.replace(case, expected=properties))
    names = [case.name for case in cases]
    if len(names) != len(set(names)):
        raise CodeDiffers(f"{file.format}: two cases have one name")
    return msgspec.structs.replace(file, cases=tuple(cases))


if __name__ == "__main__":
    sys.exit(main())
