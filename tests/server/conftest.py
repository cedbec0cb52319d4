"""A whole node in the process of the test, asked without a socket."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import pytest

from domain.kit.clock import SystemClock
from server.app import create_app, running
from server.health import Health
from server.settings import Settings
from server.stack import RedisServer
from server.telemetry import create_registry
from server.wiring import ServerNode, build


@dataclass(frozen=True)
class Up:
    """A node that runs, and who asks it."""

    node: ServerNode
    health: Health
    client: httpx.AsyncClient


@pytest.fixture
async def up(database_url: str, own_redis: RedisServer) -> AsyncIterator[Up]:
    settings = Settings(DATABASE_URL=database_url, REDIS_URL=own_redis.url)  # type: ignore[call-arg]
    node = build(settings, SystemClock(), create_registry(), "127.0.0.1:1")
    app, health = create_app(node)
    transport = httpx.ASGITransport(app)
    async with running(node, health), httpx.AsyncClient(transport=transport, base_url="http://node") as client:
        yield Up(node, health, client)
