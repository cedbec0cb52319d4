"""The servers that tests lean on. Each test process has one PostgreSQL and one Redis; each test its own part of them.

A test that disturbs a server (kills, pauses, refuses) or listens to channels takes a private one: `own_redis`,
`own_postgres`. Nothing is started before the first test that asks for it.
"""

import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from hypothesis import settings

from server.stack import PostgresServer, RedisServer
from tests.support.databases import Databases
from tests.support.memory import directory_in_memory
from tests.support.order import with_long_ones_first
from tests.support.redis_topologies import RedisCluster, RedisWithSentinel, running_cluster, running_with_sentinel
from tests.support.servers import TestServers, migrated_and_stopped, new_postgres, new_redis, running

_REDIS_DATABASES = 16
_IN_MEMORY = pytest.StashKey[Path]()
_HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)  # before pytest decides where temporary files lie
def pytest_configure(config: pytest.Config) -> None:
    settings.load_profile("ci")  # the same examples each time, and no complaint about a machine that is busy
    if config.option.basetemp is None and (directory := directory_in_memory()):
        config.option.basetemp = config.stash[_IN_MEMORY] = directory


def pytest_unconfigure(config: pytest.Config) -> None:
    if directory := config.stash.get(_IN_MEMORY, None):
        shutil.rmtree(directory, ignore_errors=True)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items[:] = with_long_ones_first(items, _HERE)


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestServers]:
    """One PostgreSQL and one Redis for all tests of this process; for their addresses use the fixtures below."""
    directory = tmp_path_factory.mktemp("stack")
    servers = TestServers(new_postgres(directory / "postgres"), new_redis(directory / "redis"))
    with running(servers.redis, servers.postgres):
        yield servers


@pytest.fixture(scope="session")
def databases(stack: TestServers) -> Databases:
    """For tests that need several databases, or an empty one."""
    return Databases(stack.postgres)


@pytest.fixture
def database_url(databases: Databases) -> Iterator[str]:
    """A migrated database of this test's own: `postgresql://user:password@host:port/name`."""
    with databases.migrated() as url:
        yield url


@pytest.fixture
def empty_database_url(databases: Databases) -> Iterator[str]:
    """A database of this test's own without a table."""
    with databases.empty() as url:
        yield url


@pytest.fixture(scope="session")
def _redis_numbers() -> Iterator[int]:
    return itertools.cycle(range(_REDIS_DATABASES))


@pytest.fixture
def redis_url(stack: TestServers, _redis_numbers: Iterator[int]) -> str:
    """An empty logical database of this test's own. Pub/sub is not divided by databases: see `own_redis`."""
    url = stack.redis.url.removesuffix("/0") + f"/{next(_redis_numbers)}"
    with redis.Redis.from_url(url) as client:
        client.flushdb()
    return url


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A running Redis of this test's own, to be killed, paused or made to refuse."""
    server = new_redis(tmp_path / "redis")
    with running(server):
        yield server


@pytest.fixture(scope="session")
def _cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisCluster]:
    with running_cluster(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.fixture
def redis_cluster(_cluster: RedisCluster) -> Iterator[RedisCluster]:
    """A Redis Cluster of three masters with a replica each, empty; whatever is done to it, it is healed afterwards."""
    _cluster.empty()
    yield _cluster
    _cluster.heal()


@pytest.fixture(scope="session")
def _with_sentinel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisWithSentinel]:
    with running_with_sentinel(tmp_path_factory.mktemp("sentinel")) as servers:
        yield servers


@pytest.fixture
def redis_with_sentinel(_with_sentinel: RedisWithSentinel) -> Iterator[RedisWithSentinel]:
    """A Redis master with a replica and a sentinel, empty; whatever is done to it, it is healed afterwards."""
    _with_sentinel.empty()
    yield _with_sentinel
    _with_sentinel.heal()


@pytest.fixture(params=["one", "sentinel", "cluster"])
def any_redis_url(request: pytest.FixtureRequest) -> str:
    """The address of an empty Redis of each topology in turn, shared with other tests of this process."""
    fixtures = {"one": "redis_url", "sentinel": "redis_with_sentinel", "cluster": "redis_cluster"}
    found = request.getfixturevalue(fixtures[request.param])
    return found if isinstance(found, str) else str(found.url)


@pytest.fixture(scope="session")
def _postgres_to_copy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    with migrated_and_stopped(tmp_path_factory.mktemp("postgres-to-copy")) as server:
        yield server


@pytest.fixture
def own_postgres(tmp_path: Path, _postgres_to_copy: PostgresServer) -> Iterator[PostgresServer]:
    """A running, migrated PostgreSQL of this test's own, to be killed, paused or made to refuse."""
    server = new_postgres(tmp_path / "postgres", copy_of=_postgres_to_copy)
    with running(server):
        yield server
