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

from server.stack import PostgresServer, RedisServer


@dataclass(frozen=True)
class Addresses:
    """Where the two are."""

    database_url: str
    redis_url: str

    @property
    def environment(self) -> dict[str, str]:
        """What a process of ours needs to find them."""
        return {"DATABASE_URL": self.database_url, "REDIS_URL": self.redis_url}


@contextlib.contextmanager
def private_stack() -> Iterator[Addresses]:
    """Start both in a directory of their own; afterwards, or when this program is killed, they end and go."""
    with tempfile.TemporaryDirectory(prefix="throttlecove-bench-") as directory:
        # PostgreSQL may have to run as another user below it.
        Path(directory).chmod(0o711)
        postgres = PostgresServer(Path(directory) / "postgres", ephemeral=True)
        redis = RedisServer(Path(directory) / "redis", ephemeral=True)
        try:
            redis.start()
            postgres.start()
            addresses = Addresses(postgres.url, redis.url)
            migrate = [sys.executable, "-m", "server", "migrate"]
            subprocess.run(migrate, check=True, env={**os.environ, **addresses.environment}, stdout=subprocess.DEVNULL)
            yield addresses
        finally:
            postgres.remove()
            redis.remove()


def changed_settings(environment: dict[str, str] | None = None) -> dict[str, object]:
    """The settings of this environment (and `environment`) that differ from their defaults, as the server tells."""
    told = subprocess.run(
        [sys.executable, "-m", "server", "settings", "--changed", "--json"],
        check=True,
        stdout=subprocess.PIPE,
        env={**os.environ, **(environment or {})},
    )
    changed: dict[str, object] = json.loads(told.stdout)
    return changed
