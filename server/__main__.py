"""`python -m server <command>`: the one entrance to everything that runs.

A command is a module of `server.commands`. Only the one that was asked for is imported, so that `stack` needs nothing
of the server itself.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from importlib import import_module

COMMANDS = (
    "conformance",
    "demo",
    "emit",
    "epochs",
    "migrate",
    "nodes",
    "reference",
    "run",
    "settings",
    "stack",
    "worker",
)


def main(arguments: Sequence[str]) -> int:
    """Run one command; returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m server", description="ThrottleCove, a live backend for motorcyclists."
    )
    subparsers = parser.add_subparsers(required=True, metavar="command")
    wanted = [name for name in COMMANDS if name in arguments[:1]]
    for name in wanted or COMMANDS:
        import_module(f"server.commands.{name}").add_parser(subparsers)
    parsed = parser.parse_args(arguments)
    run: Callable[[argparse.Namespace], int] = parsed.run
    return run(parsed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
