"""`python -m server demo`: the whole system on this machine, with simulated riders; what `make run` runs.

Starts the private stack (unless DATABASE_URL and REDIS_URL say otherwise), migrates, then runs a server, a worker and
riders as processes of their own. Ctrl-C stops all of it, and loses nothing; the second one is only quicker.
"""

import argparse
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from server.demo.parts import DemoFailed, Part
from server.demo.record import Record, end, only_one
from server.demo.rider import DEMO_PASSWORD, DEMO_USER, create_demo_rider, give_past_rides
from server.demo.signals import Signals
from server.listening import CannotListen, add_address, check_address
from server.settings import load, unknown_variables
from server.stack import StackError, make_directory
from server.stack import start as start_stack
from server.stack import stop as stop_stack

RIDERS_AT = (46.53, 10.45)
"""Where the simulated riders ride: latitude and longitude of a place near the Stelvio, in degrees."""
RIDERS_WITHIN_KM = 6
_MOST_RIDERS = 500
_START_SECONDS = 60
_POLL_SECONDS = 0.2
_PYTHON = (sys.executable, "-m")


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command and its options."""
    parser = subparsers.add_parser("demo", help="everything at once, with simulated riders (make run)")
    add_address(parser)
    parser.add_argument("--riders", type=_riders, default=12, help="simulated riders (default: %(default)s)")
    parser.add_argument("--dir", type=Path, default=Path(".data"), help="where data and logs live (default: .data)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run until Ctrl-C or SIGTERM; exit status 1 when a part failed, 2 when a setting is wrong."""
    load()
    for warning in unknown_variables():
        _say(warning)
    try:
        make_directory(options.dir)
        with Signals() as signals, only_one(options.dir, _say) as record:
            check_address(options.host, options.port, instead='make run ARGS="--port {}"')
            status = _run(options, record, signals)
    except (StackError, CannotListen) as reason:
        print(reason, file=sys.stderr)
        return 1
    _say("stopped" if _stores_are_given() else f"stopped; your data stays in {options.dir}")
    return status


def _run(options: argparse.Namespace, record: Record, signals: Signals) -> int:
    """Start all and watch over it, then stop all of it: the first can be interrupted, the second cannot."""
    status = 0
    try:
        with signals.interrupting():
            _ride(options, _environment(options.dir), record, signals)
    except KeyboardInterrupt:
        _say("stopping; Ctrl-C again makes short work of it")
    except (DemoFailed, StackError) as failure:
        print(f"\n{failure}\n", file=sys.stderr)
        status = 1
    finally:
        _stop(options.dir, record, signals)
    return status


def _stop(directory: Path, record: Record, signals: Signals) -> None:
    parts = [entry for entry in record.read()[1:] if entry.runs]
    if parts:
        _say(f"stopping the {', the '.join(entry.name for entry in parts)}")
        end(parts, hurried=lambda: signals.again)
    if not _stores_are_given():
        _say("stopping Postgres and Redis")
        stop_stack(directory)


def _stores_are_given() -> bool:
    """Whether the stores are somebody else's: neither started nor stopped here."""
    return bool(os.environ.get("DATABASE_URL") and os.environ.get("REDIS_URL"))


def _environment(directory: Path) -> dict[str, str]:
    """That of the parts, with the addresses of the stores, which run afterwards. Raises StackError."""
    environment = dict(os.environ)
    # Riders that start over and over from one address are not an attack here.
    environment.setdefault("THROTTLECOVE_AUTH_REQUESTS_PER_MINUTE", "1000")
    environment.setdefault("THROTTLECOVE_PUBLIC_REQUESTS_PER_WINDOW", "10000")
    environment.setdefault("THROTTLECOVE_SOCKETS_PER_ADDRESS", "1000")
    # The page offers it beside its sign-in form; in production mode the server keeps it to itself.
    login = {"identifier": DEMO_USER, "password": DEMO_PASSWORD}
    environment.setdefault("THROTTLECOVE_DEMO_LOGIN", json.dumps(login))
    if _stores_are_given():
        _say("using the Postgres and Redis of DATABASE_URL and REDIS_URL")
        return environment
    for name in ("DATABASE_URL", "REDIS_URL"):
        if environment.get(name):
            _say(f"{name} is left alone, because the other one of DATABASE_URL and REDIS_URL is not set")
    address = start_stack(directory, report=_say)
    return {**environment, "DATABASE_URL": address.database_url, "REDIS_URL": address.redis_url}


def _ride(options: argparse.Namespace, environment: Mapping[str, str], record: Record, signals: Signals) -> None:
    host = f"[{options.host}]" if ":" in options.host else options.host
    url = f"http://{host}:{options.port}"
    logs = options.dir / "logs"
    server, worker, riders = parts = _parts(options, url, logs)
    _migrate(environment)
    for part in (server, worker):
        _say(f"starting the {part.name}")
        with signals.held():
            part.start(environment, record)
    _await_ready(url, server)
    create_demo_rider(url)
    if not give_past_rides(url, environment, logs / "past_rides.log"):
        _say(f"the demo rider has no past rides; {logs / 'past_rides.log'} says why")
    _say(f"starting {options.riders} simulated riders")
    with signals.held():
        riders.start(environment, record)
    _welcome(url, logs)
    while True:
        for part in parts:
            part.check()
        time.sleep(_POLL_SECONDS)


def _parts(options: argparse.Namespace, url: str, logs: Path) -> tuple[Part, Part, Part]:
    server = (*_PYTHON, "server", "run", "--host", options.host, "--port", str(options.port))
    place = f"--centre={RIDERS_AT[0]},{RIDERS_AT[1]}", "--radius-km", str(RIDERS_WITHIN_KM)
    riders = (*_PYTHON, "loadtests.replay", "--riders", str(options.riders), "--forever", "--url", url, *place)
    return (
        Part("server", server, logs),
        Part("worker", (*_PYTHON, "server", "worker"), logs),
        Part("riders", riders, logs),
    )


def _migrate(environment: Mapping[str, str]) -> None:
    _say("bringing the database up to date")
    done = subprocess.run(  # noqa: S603 - our own module
        [*_PYTHON, "server", "migrate"],
        env=dict(environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise DemoFailed(f"the database could not be brought up to date:\n{done.stdout.strip()}")


def _await_ready(url: str, server: Part) -> None:
    """Until our own server is ready: the port was free before, so nobody else can answer while it runs."""
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        ready = _answers(f"{url}/ready")
        server.check()
        if ready:
            return
        time.sleep(_POLL_SECONDS)
    raise DemoFailed(f"the server was not ready within {_START_SECONDS} s; see {server.log}")


def _welcome(url: str, logs: Path) -> None:
    unbuilt = "nothing yet: the page is not built; make page builds it, and says what is missing"
    _print(
        f"\n  ThrottleCove is running.\n\n"
        f"    open      {url if _answers(url) else unbuilt}\n"
        f"    login     {DEMO_USER}  /  {DEMO_PASSWORD}\n"
        f"    riders    within {RIDERS_WITHIN_KM} km of {RIDERS_AT[0]} N, {RIDERS_AT[1]} E\n"
        f"    for apps  Socket.IO at {url}/socket.io, REST at {url}/v1, its reference at {url}/docs\n"
        f"    to watch  {url}/health, /ready, /metrics; logs in {logs}\n"
        f"    stop      Ctrl-C\n"
    )


def _answers(url: str) -> bool:
    """Whether a GET is answered with success."""
    try:
        urllib.request.urlopen(url, timeout=10).close()  # noqa: S310 - our own address
    except OSError:  # also what HTTP refuses
        return False
    return True


def _riders(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= _MOST_RIDERS:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 to {_MOST_RIDERS}")
    return int(text)


def _say(words: str) -> None:
    _print(f"· {words}")


def _print(text: str) -> None:
    with suppress(OSError):  # the terminal may be gone; that must not keep anything from being stopped
        print(text, flush=True)
