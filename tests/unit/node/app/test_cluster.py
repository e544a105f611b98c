"""One process of several, in this one: what it asks of whoever started it."""

import getpass
import os
import queue
import sys
import threading
from pathlib import Path

import httpx
import pytest

from node.app import key_files
from node.app.cluster import serve_one_of_several
from node.app.directory import create_node_directory
from tests.support.crashing_node import poll

PASSPHRASE = "correct horse battery"


def test_a_passphrase_is_typed_once_though_the_process_reads_first_and_writes_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def typed(prompt: str) -> str:
        asked.append(prompt)
        return PASSPHRASE

    monkeypatch.setattr(getpass, "getpass", typed)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    directory = create_node_directory(
        tmp_path / "aurora",
        ledger="aurora.example/main.1",
        points="AUR",
        points_name="Aurora Miles",
        url="",
        passphrase=PASSPHRASE.encode,
    ).directory
    hear, say = os.pipe()
    ready: queue.Queue[str] = queue.Queue()
    thread = threading.Thread(
        target=lambda: serve_one_of_several(directory, settings={"port": 0}, shared=say, on_ready=ready.put)
    )
    thread.start()
    try:
        url = ready.get(timeout=60)
        # Only the process that writes answers this one.
        poll(lambda: httpx.get(f"{url}/readyz").is_success or None, "the process to write")
    finally:
        os.close(hear)
        thread.join(60)
        os.close(say)
    assert asked == [key_files.PROMPT]
