"""Sites for end-to-end tests: nodes and workers as processes, on servers that tests may disturb."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from server.stack import RedisServer
from tests.e2e.processes import Site, site


@pytest.fixture
def one_site(database_url: str, own_redis: RedisServer, tmp_path: Path) -> Iterator[Site]:
    """A database and a Redis of this test's own; the test starts the nodes and workers it needs."""
    with site(database_url, own_redis.url, tmp_path) as running:
        yield running
