"""A node's process that does not outlive the one that started it: python -m scripts.alliance.child PARENT serve DIR.

However the parent ends, also by a signal that nobody can handle, the operating system gives its child another parent.
The child looks for that and stops cleanly.
"""

import os
import signal
import sys
import threading
import time
from typing import Final

from node.cli.main import main

LOOK_SECONDS: Final = 0.5
GRACE_SECONDS: Final = 10.0


def watch_parent(parent: int) -> None:
    """Stop this process once `parent` is no longer its parent; by force if it does not stop in time."""
    while os.getppid() == parent:
        time.sleep(LOOK_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_SECONDS)
    os._exit(1)


if __name__ == "__main__":
    parent_id = int(sys.argv.pop(1))
    threading.Thread(target=watch_parent, args=(parent_id,), daemon=True, name="watch-parent").start()
    main()
