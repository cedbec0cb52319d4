"""`python -m server run`: one node, or several behind one port, serving until told to stop."""

import argparse
import functools
import sys

import structlog

from server.listening import CannotListen, add_address, check_address, holding
from server.nodes import parent
from server.nodes.options import add_nodes, base_of, child_of, command
from server.nodes.place import names_of, possible
from server.settings import Settings, load
from server.telemetry import configure_logging, start_logging

_INSTEAD = "choose another with --port {}"
_PARENT_SECONDS = 2.0
"""What a parent waits beyond the time that a node may take to end."""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command and its options."""
    parser = subparsers.add_parser("run", help="run one node, or several behind one port")
    add_address(parser)
    add_nodes(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Serve until SIGTERM or Ctrl-C; exit status 1 when a part of a node failed or the port is taken."""
    settings = load()
    if options.sibling is not None:
        return _run_child(settings, options)
    start_logging(settings)
    try:
        if options.nodes > 1:
            return _run_nodes(settings, options)
        check_address(options.host, options.port, instead=_INSTEAD)
    except CannotListen as reason:
        print(reason, file=sys.stderr)
        return 1
    from server.serving import serve  # noqa: PLC0415 - who only watches over nodes needs nothing that they are made of

    return serve(settings, options.host, options.port)


def _run_nodes(settings: Settings, options: argparse.Namespace) -> int:
    if not possible():
        print("several nodes behind one port need Linux; run one, or each at a port of its own", file=sys.stderr)
        return 1
    base = base_of(settings.node_name)
    family = parent.Family(
        names_of(base, options.nodes),
        functools.partial(command, options, base),
        settings.drain_notice_seconds + settings.drain_seconds + _PARENT_SECONDS,
    )
    with holding(options.host, options.port, instead=_INSTEAD):
        return parent.run(family)


def _run_child(settings: Settings, options: argparse.Namespace) -> int:
    """One of several; its parent has looked at the settings and the port."""
    child = child_of(options)
    configure_logging(settings)
    structlog.contextvars.bind_contextvars(node=child.place.own)
    from server.serving import serve  # noqa: PLC0415 - see above

    return serve(settings.model_copy(update={"node_name": child.place.own}), options.host, options.port, child)
