"""`python -m server stack start|stop|status|remove`: the private PostgreSQL and Redis, for people and scripts.

Progress goes to standard error, the result to standard output; with `--json` the result is one JSON object.
"""

import argparse
import dataclasses
import json
import sys
from pathlib import Path

from server import stack
from server.demo.record import end_demonstration

DEFAULT_DIRECTORY = Path(__file__).resolve().parents[2] / ".data"

_ACTIONS = """\
The private PostgreSQL and Redis of a directory.

  start   start both, or reuse what runs, and print DATABASE_URL and REDIS_URL
  stop    end both, and the demonstration (make run) that uses them; the data stays
  status  say what runs, on which port; exit status 1 when something is down
  remove  stop, then delete the directory with all that was stored
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command and its options."""
    parser = subparsers.add_parser(
        "stack",
        help="start, stop, look at or remove the private PostgreSQL and Redis",
        description=_ACTIONS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("action", choices=("start", "stop", "status", "remove"))
    parser.add_argument("--dir", type=Path, default=DEFAULT_DIRECTORY, help="where they live (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Do what was asked; the exit status is 1 when it could not be done, or when `status` finds something down."""
    actions = {"start": _start, "stop": _stop, "status": _status, "remove": _remove}
    try:
        return actions[arguments.action](arguments.dir, arguments.json)
    except stack.StackError as error:
        sys.stderr.write(f"{error}\n")
        return 1


def _start(directory: Path, as_json: bool) -> int:
    address = stack.start(directory, report=_report)
    if as_json:
        _print_json(dataclasses.asdict(address))
    else:
        sys.stdout.write(f"DATABASE_URL={address.database_url}\nREDIS_URL={address.redis_url}\n")
    return 0


def _stop(directory: Path, as_json: bool) -> int:
    end_demonstration(directory, _report)
    stack.stop(directory, report=_report)
    if as_json:
        _print_json({"stopped": True})
    return 0


def _remove(directory: Path, as_json: bool) -> int:
    end_demonstration(directory, _report)
    stack.remove(directory, report=_report)
    if as_json:
        _print_json({"removed": True})
    return 0


def _status(directory: Path, as_json: bool) -> int:
    servers = stack.status(directory)
    if as_json:
        _print_json({server.name.lower(): dataclasses.asdict(server) for server in servers})
    else:
        for server in servers:
            sys.stdout.write(f"{_in_words(server)}\n")
    return 0 if all(server.healthy for server in servers) else 1


def _in_words(server: stack.ServerStatus) -> str:
    if server.pid is None:
        return f"{server.name}: not running"
    answer = "healthy" if server.healthy else "does not answer"
    return f"{server.name}: {answer}, port {server.port}, pid {server.pid}"


def _report(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def _print_json(answer: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
