"""Real servers for tests, each in a directory of its own that goes with it."""

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


def new_postgres(directory: Path, *, copy_of: PostgresServer | None = None) -> PostgresServer:
    """A PostgreSQL that does not wait for the disk and does not outlive the test process; not started yet."""
    return PostgresServer(directory, durable=False, ephemeral=True, copy_of=copy_of)


@contextmanager
def migrated_and_stopped(directory: Path) -> Iterator[PostgresServer]:
    """A PostgreSQL whose database has the whole schema, to be copied: a tenth of the work of making it anew."""
    from domain.db.migrate import migrate  # noqa: PLC0415 - tests without a database do not load the schema

    server = new_postgres(directory)
    with running(server):
        migrate(server.url)
        server.stop()
        yield server


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
            server.remove()
