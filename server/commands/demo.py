"""`python -m server demo`: the whole system on this machine, with simulated riders; what `make run` runs.

Starts the private stack (unless DATABASE_URL and REDIS_URL say otherwise), migrates, then runs a server, a worker and
riders as processes of their own. Ctrl-C stops all of it, in the order that loses nothing.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from server.stack import start as start_stack
from server.stack import stop as stop_stack

DEMO_USER = "demo"
DEMO_PASSWORD = "ride-with-friends-2026"
_START_SECONDS = 60
_STOP_SECONDS = 15


class DemoFailed(Exception):
    """A part did not start or ended by itself; the message says which, and where its log is."""


@dataclass
class Part:
    """One process of the demo, its log beside it."""

    name: str
    command: list[str]
    log: Path
    process: subprocess.Popen[bytes] | None = field(default=None)

    def start(self, environment: Mapping[str, str]) -> None:
        """Start it in a session of its own, so that Ctrl-C reaches only the demo itself."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(  # noqa: S603 - our own modules
                self.command, env=dict(environment), stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )

    def check(self) -> None:
        """Raise DemoFailed when it has ended by itself."""
        if self.process is not None and self.process.poll() is not None:
            tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])
            raise DemoFailed(f"the {self.name} ended with status {self.process.returncode}; see {self.log}\n{tail}")

    def stop(self) -> None:
        """Ask it to end, and insist when it does not."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command and its options."""
    parser = subparsers.add_parser("demo", help="everything at once, with simulated riders (make run)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8000, help="port to listen on (default: %(default)s)")
    parser.add_argument("--riders", type=int, default=12, help="simulated riders (default: %(default)s)")
    parser.add_argument("--dir", type=Path, default=Path(".data"), help="where data and logs live (default: .data)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run until Ctrl-C or SIGTERM; exit status 1 when a part failed."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with _stores(options.dir) as environment:
            _ride(options, environment)
    except KeyboardInterrupt:
        _say("stopped; your data stays in " + str(options.dir))
        return 0
    except DemoFailed as failure:
        print(f"\n{failure}", file=sys.stderr)
        return 1
    return 0


@contextmanager
def _stores(directory: Path) -> Iterator[dict[str, str]]:
    environment = dict(os.environ)
    # Riders that start over and over from one address are not an attack here.
    environment.setdefault("THROTTLECOVE_AUTH_REQUESTS_PER_MINUTE", "1000")
    environment.setdefault("THROTTLECOVE_PUBLIC_REQUESTS_PER_WINDOW", "10000")
    environment.setdefault("THROTTLECOVE_SOCKETS_PER_ADDRESS", "1000")
    # The page offers it beside its sign-in form; in production mode the server keeps it to itself.
    login = {"identifier": DEMO_USER, "password": DEMO_PASSWORD}
    environment.setdefault("THROTTLECOVE_DEMO_LOGIN", json.dumps(login))
    if environment.get("DATABASE_URL") and environment.get("REDIS_URL"):
        _say("using the Postgres and Redis of DATABASE_URL and REDIS_URL")
        yield environment
        return
    address = start_stack(directory, report=_say)
    try:
        yield {**environment, "DATABASE_URL": address.database_url, "REDIS_URL": address.redis_url}
    finally:
        _say("stopping Postgres and Redis")
        stop_stack(directory)


def _ride(options: argparse.Namespace, environment: Mapping[str, str]) -> None:
    url = f"http://{options.host}:{options.port}"
    logs = options.dir / "logs"
    python = [sys.executable, "-m"]
    server = Part(
        "server",
        [*python, "server", "run", "--host", options.host, "--port", str(options.port)],
        logs / "server.log",
    )
    worker = Part("worker", [*python, "server", "worker"], logs / "worker.log")
    riders = Part(
        "riders",
        [*python, "loadtests.replay", "--riders", str(options.riders), "--forever", "--url", url],
        logs / "riders.log",
    )
    _say("bringing the database up to date")
    migration = subprocess.run([*python, "server", "migrate"], env=dict(environment), check=False)  # noqa: S603
    if migration.returncode != 0:
        raise DemoFailed("the database could not be brought up to date; what it said is above")
    try:
        for part in (server, worker):
            _say(f"starting the {part.name}")
            part.start(environment)
        _await_ready(url, server)
        _create_demo_rider(url)
        _give_past_rides(url, environment, logs)
        _say(f"starting {options.riders} simulated riders")
        riders.start(environment)
        _welcome(url, logs)
        while True:
            for part in (server, worker, riders):
                part.check()
            time.sleep(0.5)
    finally:
        for part in (riders, server, worker):
            if part.process is not None:
                _say(f"stopping the {part.name}")
                part.stop()


def _await_ready(url: str, server: Part) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        server.check()
        try:
            with urllib.request.urlopen(f"{url}/ready", timeout=5) as answer:  # noqa: S310 - our own address
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise DemoFailed(f"the server was not ready within {_START_SECONDS} s; see {server.log}")


def _create_demo_rider(url: str) -> None:
    account = {"username": DEMO_USER, "email": "demo@example.org", "password": DEMO_PASSWORD}
    request = urllib.request.Request(  # noqa: S310 - our own address
        f"{url}/v1/auth/register",
        data=json.dumps(account).encode(),
        headers={"content-type": "application/json"},
    )
    try:
        urllib.request.urlopen(request, timeout=10).close()  # noqa: S310 - our own address
    except urllib.error.HTTPError as answer:
        if answer.code != 409:
            raise DemoFailed(f"the demo rider could not be made: the server answered {answer.code}") from answer


def _give_past_rides(url: str, environment: Mapping[str, str], logs: Path) -> None:
    """Something for the demo rider's list of rides; the demonstration goes on without."""
    command = ["loadtests.past_rides", "--url", url, "--identifier", DEMO_USER, "--password", DEMO_PASSWORD]
    with (logs / "past_rides.log").open("wb") as log:
        done = subprocess.run(  # noqa: S603 - our own module
            [sys.executable, "-m", *command], env=dict(environment), stdout=log, stderr=subprocess.STDOUT, check=False
        )
    if done.returncode != 0:
        _say(f"the demo rider has no past rides; {logs / 'past_rides.log'} says why")


def _welcome(url: str, logs: Path) -> None:
    page = (
        url if _is_served(url) else "nothing yet: the page is not built; make page builds it, and says what is missing"
    )
    print(
        f"\n  ThrottleCove is running.\n\n"
        f"    open      {page}\n"
        f"    login     {DEMO_USER}  /  {DEMO_PASSWORD}\n"
        f"    for apps  Socket.IO at {url}/socket.io, REST at {url}/v1, its reference at {url}/docs\n"
        f"    to watch  {url}/health, /ready, /metrics; logs in {logs}\n"
        f"    stop      Ctrl-C\n",
        flush=True,
    )


def _is_served(url: str) -> bool:
    """Whether the server has a page to show."""
    try:
        urllib.request.urlopen(url, timeout=10).close()  # noqa: S310 - our own address
    except urllib.error.HTTPError:
        return False
    return True


def _say(words: str) -> None:
    print(f"· {words}", flush=True)
