"""Ctrl-C while the command line is still being imported."""

import sys
from collections.abc import Sequence
from types import ModuleType

import pytest

from node.cli.__main__ import start


class Interrupted:
    """Finds no module, and is interrupted where the command line is looked for."""

    def find_spec(self, name: str, _path: Sequence[str] | None, _target: ModuleType | None = None) -> None:
        if name == "node.cli.main":
            raise KeyboardInterrupt


def test_an_interrupt_before_the_first_command_shows_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "node.cli.main", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Interrupted(), *sys.meta_path])
    with pytest.raises(SystemExit) as ended:
        start()
    assert ended.value.code == 130
