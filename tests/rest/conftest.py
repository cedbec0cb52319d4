"""The REST application on real servers, asked in this process."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from domain.kit.clock import SystemClock
from domain.kit.cursors import Cursors
from domain.kit.tasks import TaskOwner
from domain.tracks.files.exporting import TrackExporter
from domain.tracks.files.importing import TrackImporter
from domain.tracks.ownership import Ownership
from domain.tracks.reading import TrackReader
from domain.tracks.recorder import Recorder
from domain.tracks.service import TrackService
from domain.tracks.shapes import TrackShapes
from domain.tracks.store import TrackStore
from realtime.bus.connections import BusOptions
from realtime.bus.track_log import RedisTrackLog
from rest.app import create_rest
from rest.limits import LimitOptions, RateLimits
from rest.services import RestServices
from tests.support.accounts import PASSWORD, World, world

GENEROUS = LimitOptions(
    auth_per_minute=10_000, public_per_window=10_000, signed_in_per_window=10_000, uploads_per_hour=10_000
)


@dataclass
class Rest:
    """The application with its services, and a client at one address."""

    app: FastAPI
    client: httpx.AsyncClient
    world: World
    registry: CollectorRegistry

    async def register(self, name: str = "ada", **more: Any) -> dict[str, Any]:
        """A new account, signed in; the answer's body."""
        body = {"username": name, "email": f"{name}@example.org", "password": PASSWORD, "device_id": "phone"}
        answer = await self.client.post("/v1/auth/register", json=body | more)
        assert answer.status_code == 201, answer.text
        signed_in: dict[str, Any] = answer.json()
        return signed_in

    async def sign_in(self, name: str = "ada") -> dict[str, str]:
        """The headers of a new rider."""
        return bearer(await self.register(name))

    def at(self, address: str) -> httpx.AsyncClient:
        """A client at another address."""
        transport = httpx.ASGITransport(self.app, client=(address, 4711))
        return httpx.AsyncClient(transport=transport, base_url="http://test")


def bearer(signed_in: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {signed_in['access_token']}"}


@asynccontextmanager
async def rest_on(
    database_url: str,
    redis_url: str,
    options: LimitOptions = GENEROUS,
    *,
    postgres_seconds: float = 30,
    redis_seconds: float = 30,
) -> AsyncIterator[Rest]:
    """So many seconds are stores waited for: long where none is made to fail, because the machine may be busy."""
    registry = CollectorRegistry()
    async with (
        world(database_url, answer_seconds=postgres_seconds) as services,
        recording_on(services, redis_url) as (track_log, importer),
    ):
        reader = TrackReader(services.engine, services.zones)
        limits = RateLimits(redis_url, services.clock, options, timeout_seconds=redis_seconds)
        app = create_rest(
            RestServices(
                accounts=services.accounts,
                zones=services.zones,
                sharing=services.sharing,
                verifier=services.verifier,
                limits=limits,
                reader=reader,
                tracks=TrackService(services.engine, services.clock, reader, Cursors(services.sealer), track_log),
                shapes=TrackShapes(services.engine),
                exporter=TrackExporter(reader),
                importer=importer,
            ),
            registry,
            body_bytes=100_000,
        )
        transport = httpx.ASGITransport(app, client=("192.0.2.7", 4711))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            yield Rest(app, client, services, registry)
        await limits.close()


@asynccontextmanager
async def recording_on(services: World, redis_url: str) -> AsyncIterator[tuple[RedisTrackLog, TrackImporter]]:
    """The track stream of this Redis, and imports into it with group commits a hundred times a second."""
    log = RedisTrackLog(BusOptions(redis_url), stream_limit_bytes=1 << 30)
    recorder = Recorder(log, SystemClock(), tick_seconds=0.01, pending_limit=100_000)
    store = TrackStore(services.engine)
    async with TaskOwner("rest") as tasks:
        tasks.start(recorder.run(), "recorder")
        yield log, TrackImporter(Ownership(log, store), recorder, store, services.clock)
    await log.aclose()


@pytest.fixture
async def rest(database_url: str, redis_url: str) -> AsyncIterator[Rest]:
    async with rest_on(database_url, redis_url) as each:
        yield each


RestFactory = Callable[[LimitOptions], Awaitable[Rest]]


@pytest.fixture
async def limited_rest(database_url: str, redis_url: str) -> AsyncIterator[RestFactory]:
    """Makes applications with their own limits, on one database and one Redis, as two nodes are."""
    async with AsyncExitStack() as stack:

        async def make(options: LimitOptions) -> Rest:
            return await stack.enter_async_context(rest_on(database_url, redis_url, options))

        yield make
