"""Sites for end-to-end tests: nodes and workers as processes, on servers that tests may disturb."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.stack import PostgresServer, RedisServer
from tests.e2e.outages import IMPATIENT, Ground
from tests.e2e.processes import Node, Pair, Site, pair_of, site
from tests.support.databases import Databases
from tests.support.servers import new_postgres, new_redis, running

_HERE = Path(__file__).parent
_UNLIMITED = {"THROTTLECOVE_UPDATES_BURST": "100000"}
"""Where generated events come by the hundred on one socket, how fast the machine is does not decide their answers."""
_LONGEST_SECONDS = 300
"""For one test, the servers and processes that it starts included, on a slow machine that has other things to do."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if _HERE in item.path.parents and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(_LONGEST_SECONDS))


@pytest.fixture
def one_site(database_url: str, own_redis: RedisServer, tmp_path: Path) -> Iterator[Site]:
    """A database and a Redis of this test's own; the test starts the nodes and workers it needs."""
    with site(database_url, own_redis.url, tmp_path) as running:
        yield running


@pytest.fixture(scope="session")
def pair(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Two nodes that all tests of a process share: starting them takes seconds.

    For tests that disturb nothing but their own riders, and leave both nodes running.
    """
    directory = tmp_path_factory.mktemp("pair")
    redis = new_redis(directory / "redis")
    with databases.migrated() as database_url, running(redis), site(database_url, redis.url, directory) as shared:
        yield asyncio.run(pair_of(shared))


@pytest.fixture(scope="session")
def storing_pair(pair: Pair) -> Pair:
    """`pair` with a worker, which all tests of a process share as well."""
    pair.site.worker()
    return pair


@pytest.fixture(scope="session")
def lone_node(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """One node that all tests of a process share, as `pair`; it acknowledges quickly."""
    directory = tmp_path_factory.mktemp("lone")
    redis, quick = new_redis(directory / "redis"), {"THROTTLECOVE_TICK_MILLISECONDS": "20", **_UNLIMITED}
    with databases.migrated() as url, running(redis), site(url, redis.url, directory, quick) as shared:
        yield asyncio.run(shared.node())


@pytest.fixture(scope="session")
def shared_ground(tmp_path_factory: pytest.TempPathFactory, _postgres_to_copy: PostgresServer) -> Iterator[Ground]:
    directory = tmp_path_factory.mktemp("outages")
    postgres = new_postgres(directory / "postgres", copy_of=_postgres_to_copy)
    redis = new_redis(directory / "redis")
    with running(postgres, redis), site(postgres.url, redis.url, directory, IMPATIENT) as there:
        worker = there.worker()
        pair = asyncio.run(pair_of(there))
        yield Ground(there, postgres, redis, pair.one, pair.two, worker)


@pytest.fixture
async def ground(shared_ground: Ground) -> Ground:
    """Two nodes, a worker and servers that tests may end: everything works, whatever the test before did to it."""
    await shared_ground.heal()
    return shared_ground
