"""`python -m loadtests.load` (`make load`): a small load, headless, on a system of its own; prints Locust's table.

Locust runs as a program of its own in an environment of its own, because importing it replaces Python's sockets. With
`--url` the load goes there instead, which must be loopback or a machine that is yours to load.
"""

import argparse
import asyncio
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from loadtests.verify.processes import DidNotStart, System

ROOT = Path(__file__).parents[1]
LOCUST = ROOT / ".data" / "tools" / "locust" / "bin" / "python"
SCENARIOS = ROOT / "loadtests" / "scenarios" / "locustfile.py"
_NODES = 2
_LONGEST_GOODBYE_SECONDS = 15


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser("python -m loadtests.load", description=__doc__)
    parser.add_argument("--users", type=int, default=40, help="simulated people (default: %(default)s)")
    parser.add_argument("--per-second", type=float, default=5.0, help="arrivals a second (default: %(default)s)")
    parser.add_argument("--seconds", type=int, default=30, help="how long (default: %(default)s)")
    parser.add_argument("--url", help="load this server instead of a fresh one")
    parser.add_argument("--csv", type=Path, metavar="PREFIX", help="also write Locust's figures to PREFIX_stats.csv, …")
    parser.add_argument("scenarios", nargs="*", help="Rider, TunnelRider, Watcher, Reader (default: all, by weight)")
    return parser.parse_args()


async def load(options: argparse.Namespace, directory: Path) -> int:
    """Start what is needed, run Locust, stop everything; the exit status. Raises DidNotStart."""
    if options.url:
        return await _locust(options, options.url)
    system = System(directory)
    try:
        _say(f"starting a fresh stack, {_NODES} nodes and a worker (logs in {system.logs})")
        await system.start(_NODES)
        _say(f"settings that differ from their defaults: {await system.changed_settings()}")
        status = await _locust(options, *system.urls)
        system.check()
    finally:
        _say("stopping everything")
        await system.stop()
    return status


async def _locust(options: argparse.Namespace, *urls: str) -> int:
    command = [str(LOCUST), "-m", "locust", "--locustfile", str(SCENARIOS), "--headless", "--only-summary"]
    command += ["--users", str(options.users), "--spawn-rate", str(options.per_second)]
    command += ["--run-time", f"{options.seconds}s", "--stop-timeout", str(_LONGEST_GOODBYE_SECONDS)]
    command += ["--host", urls[0], "--loglevel", "WARNING", "--exit-code-on-error", "1"]
    command += ["--csv", str(options.csv)] if options.csv else []
    command += options.scenarios
    _say(f"{options.users} people for {options.seconds} s on {', '.join(urls)}")
    # The scenarios are found from the project's root; several nodes are shared out among the users.
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "LOAD_URLS": " ".join(urls)}
    process = await asyncio.create_subprocess_exec(*command, env=environment, cwd=ROOT, start_new_session=True)
    try:
        return await process.wait()
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            await process.wait()


def _say(words: str) -> None:
    print(f"· {words}", flush=True)


def main() -> int:
    """Run; the exit status: 0 without a failed request, 1 with one, 2 could not run."""
    options = parse()
    if not LOCUST.exists():
        _say("Locust is not installed: run `make load`, which sees to it")
        return 2
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    directory = Path(tempfile.mkdtemp(prefix="throttlecove-load-"))
    try:
        return asyncio.run(load(options, directory))
    except DidNotStart as reason:
        _say(str(reason))
        return 2
    except KeyboardInterrupt:
        _say("stopped")
        return 130
    finally:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
