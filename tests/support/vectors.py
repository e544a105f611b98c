"""Where the test vectors lie that other projects wrote; a user's clone has none."""

from pathlib import Path
from typing import Final

import pytest

FOLDER: Final = Path(__file__).resolve().parents[2].parent / "shared" / "vectors"


def vectors(name: str) -> Path:
    """Return the folder of vectors `name`, or skip the module that asks for it."""
    folder = FOLDER / name
    if not folder.is_dir():
        pytest.skip(f"the public vectors {name!r} are not beside this checkout", allow_module_level=True)
    return folder
