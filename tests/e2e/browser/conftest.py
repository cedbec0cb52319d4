"""One browser for a module's tests, one site for all of them."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from tests.e2e.browser.chromium import PATIENCE_MS, chromium
from tests.e2e.processes import Pair, pair_of, site
from tests.support.databases import Databases
from tests.support.servers import new_redis, running

_BUILT = Path(__file__).parents[3] / "web" / "dist" / "index.html"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    """A browser that tests share; each opens windows of its own in it."""
    expect.set_options(timeout=PATIENCE_MS)
    async with chromium() as started:
        yield started


@pytest.fixture(scope="package")
def served(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Two nodes with the page, and a worker; tests may kill a node that they bring back."""
    assert _BUILT.exists(), "the page is not built; run `make page`"
    directory = tmp_path_factory.mktemp("served")
    redis = new_redis(directory / "redis")
    with databases.migrated() as database_url, running(redis), site(database_url, redis.url, directory) as own:
        own.worker()
        yield asyncio.run(pair_of(own))
