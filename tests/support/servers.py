"""Real servers for tests, each in a directory of its own that goes with it."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from server.stack import PostgresServer, PrivateServer, RedisServer


@dataclass(frozen=True)
class TestServers:
    """The two servers that the tests of one process share."""

    __test__ = False

    postgres: PostgresServer
    redis: RedisServer


def new_postgres(directory: Path) -> PostgresServer:
    """A PostgreSQL that does not wait for the disk and does not outlive the test process; not started yet."""
    return PostgresServer(directory, durable=False, ephemeral=True)


def new_redis(directory: Path) -> RedisServer:
    """A Redis with the durability of the default stack that does not outlive the test process; not started yet."""
    return RedisServer(directory, ephemeral=True)


@contextmanager
def running(*servers: PrivateServer) -> Iterator[None]:
    """Start the servers; afterwards stop them, whatever the test did to them, and remove their directories."""
    try:
        for server in servers:
            server.start()
        yield
    finally:
        for server in servers:
            server.stop()
            shutil.rmtree(server.directory, ignore_errors=True)
