"""Several threads that meet a type for the first time at once all get what they asked for."""

import subprocess
import sys

# In a process of its own: what goes wrong here ends the process (signal 11), as it did within a few dozen rounds.
MEETING = """
import sys, threading
from typing import Annotated
import msgspec
from node.kinds import known

sys.setswitchinterval(1e-6)
NAMES = [f"field{number}" for number in range(14)]
VALUES = dict.fromkeys(NAMES, "x")
found = []
for _ in range(300):
    kind = msgspec.defstruct("Row", [(name, Annotated[str, msgspec.Meta(max_length=9)]) for name in NAMES])
    start = threading.Barrier(3)

    def read():
        start.wait()
        found.append(msgspec.convert(VALUES, known(kind)).field13)

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
assert found == ["x"] * 900
"""


def test_threads_that_read_a_new_type_at_once_read_it_whole() -> None:
    done = subprocess.run([sys.executable, "-c", MEETING], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
