"""A migrated Postgres and a Redis for one benchmark, with the durability of the default stack."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Addresses:
    """Where the two are."""

    database_url: str
    redis_url: str


@contextlib.contextmanager
def private_stack() -> Iterator[Addresses]:
    """Start both in a directory of their own; afterwards stop and remove them."""
    with tempfile.TemporaryDirectory(prefix="throttlecove-bench-") as directory:
        # PostgreSQL may have to run as another user below it.
        Path(directory).chmod(0o711)
        stack = [sys.executable, "-m", "server", "stack"]
        try:
            started = subprocess.run(
                [*stack, "start", "--dir", directory, "--json"], check=True, stdout=subprocess.PIPE
            )
            found = json.loads(started.stdout)
            addresses = Addresses(found["database_url"], found["redis_url"])
            environment = {**os.environ, "DATABASE_URL": addresses.database_url, "REDIS_URL": addresses.redis_url}
            migrate = [sys.executable, "-m", "server", "migrate"]
            subprocess.run(migrate, check=True, env=environment, stdout=subprocess.DEVNULL)
            yield addresses
        finally:
            subprocess.run([*stack, "stop", "--dir", directory], check=False, stdout=subprocess.DEVNULL)


def changed_settings() -> dict[str, object]:
    """The settings of this environment that differ from their defaults, as the server tells them."""
    told = subprocess.run(
        [sys.executable, "-m", "server", "settings", "--changed", "--json"], check=True, stdout=subprocess.PIPE
    )
    changed: dict[str, object] = json.loads(told.stdout)
    return changed
