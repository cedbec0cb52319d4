"""`python -m server run`: one node, serving until it is told to stop."""

import argparse
import sys

from server.listening import CannotListen, add_address, check_address
from server.settings import load
from server.telemetry import start_logging


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command and its options."""
    parser = subparsers.add_parser("run", help="run one node")
    add_address(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Serve until SIGTERM or Ctrl-C; exit status 1 when a part of the node failed or the port is taken."""
    settings = load()
    start_logging(settings)
    try:
        check_address(options.host, options.port, instead="choose another with --port {}")
    except CannotListen as reason:
        print(reason, file=sys.stderr)
        return 1
    from server.serving import serve  # noqa: PLC0415 - who only watches over nodes needs nothing that they are made of

    return serve(settings, options.host, options.port)
