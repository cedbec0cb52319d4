"""`python -m loadtests.bench <what>`: run one benchmark."""

import argparse
import logging
import sys

import structlog
import uvloop

from loadtests.bench import tracks
from loadtests.bench.nodes import command as nodes
from loadtests.bench.wire import command as wire

_INTERRUPTED = 130


def main() -> int:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(prog="python -m loadtests.bench", description=__doc__)
    subparsers = parser.add_subparsers(required=True, metavar="what")
    one = subparsers.add_parser("tracks", help="the track writer against a bare COPY")
    one.add_argument("--rounds", type=int, default=5, help="interleaved rounds (default: %(default)s)")
    one.add_argument("--fixes", type=int, default=400_000, help="fixes a round (default: %(default)s)")
    one.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    one.set_defaults(run=_run_tracks)
    wire.add_arguments(subparsers.add_parser("wire", help="this server against Node, python-socketio and a C floor"))
    nodes.add_arguments(subparsers.add_parser("nodes", help="several nodes as one, beside Node with Redis"))
    options = parser.parse_args()
    # Standard output belongs to the figures.
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    try:
        status: int = options.run(options)
    except KeyboardInterrupt:
        return _INTERRUPTED
    return status


def _run_tracks(options: argparse.Namespace) -> int:
    # The loop that workers run on; the floor has the same.
    status: int = uvloop.run(tracks.run(options))
    return status


if __name__ == "__main__":
    sys.exit(main())
