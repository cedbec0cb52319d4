"""The options of `python -m server run` that concern several nodes, and the command of each node."""

import argparse
import secrets
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from server.nodes.place import Place, names_of

MOST_NODES = 64


@dataclass(frozen=True)
class ChildOptions:
    """What a parent tells one of its nodes."""

    place: Place
    lifeline: int
    """The descriptor of a socket."""


def add_nodes(parser: argparse.ArgumentParser) -> None:
    """Declare --nodes, and what only a parent says to its nodes."""
    parser.add_argument(
        "--nodes",
        type=_number_of_nodes,
        default=1,
        metavar="N",
        help="server processes behind the port, about one for each core (default: %(default)s)",
    )
    parser.add_argument("--sibling", nargs=3, metavar=("NUMBER", "PLACE", "LIFELINE"), help=argparse.SUPPRESS)
    parser.add_argument("--base", help=argparse.SUPPRESS)


def base_of(node_name: str) -> str:
    """What the names of a machine's nodes begin with: its own, or one that no other machine has."""
    return node_name or f"node-{secrets.token_hex(4)}"


def child_of(options: argparse.Namespace) -> ChildOptions:
    """What a parent has said to one of its nodes."""
    number, directory, lifeline = options.sibling
    names = names_of(options.base, options.nodes)
    return ChildOptions(Place(Path(directory), names, names[int(number)]), int(lifeline))


def command(options: argparse.Namespace, base: str, name: str, directory: Path, lifeline: int) -> Sequence[str]:
    """The command that starts one of the nodes."""
    number = names_of(base, options.nodes).index(name)
    address = ["--host", options.host, "--port", str(options.port), "--nodes", str(options.nodes)]
    told = ["--base", base, "--sibling", str(number), str(directory), str(lifeline)]
    return [sys.executable, "-m", "server", "run", *address, *told]


def _number_of_nodes(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MOST_NODES:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 to {MOST_NODES}")
    return int(text)
