"""The console script `tallystick`, and `python -m node.cli`: an interrupt ends it in silence from its beginning."""

import sys


def start() -> None:
    """Carry out the command line of this process, and end with its exit status."""
    try:
        # It takes a third of a second, in which somebody may have seen that the command is not what was meant.
        from node.cli.main import main  # noqa: PLC0415 - see above

        main()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    start()
