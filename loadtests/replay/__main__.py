"""`python -m loadtests.replay`: ride tracks against running nodes, and check what they kept."""

import asyncio
import signal
import sys

from loadtests.replay.options import parse
from loadtests.replay.run import main, say


def run() -> int:
    """The exit status; Ctrl-C and SIGTERM end a run in good order."""
    options = parse()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return asyncio.run(main(options))
    except KeyboardInterrupt:
        say("stopped")
        return 0 if options.forever else 130


if __name__ == "__main__":
    sys.exit(run())
