"""REST while Postgres is away: `unavailable` soon, with the time to come back; and it heals by itself."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from uuid import UUID

import asyncpg
import pytest

from domain.db.migrate import migrate_database
from server.stack import PostgresServer
from tests.rest.conftest import Rest, bearer, rest_on
from tests.rest.problems import problem
from tests.support import eventually
from tests.support.accounts import PASSWORD
from tests.support.tracks import seed_track

ANSWER_SECONDS = 2.5
"""For so long a request waits for a silent database."""
SOON_SECONDS = 25
"""Three on a machine that has time; if the requests waited one after another it would be over 35."""
TRACK_SUFFIXES = ("", "/statistics", "/points", "/geometry", "/profile", "/picture.svg")


@pytest.fixture
async def rest(own_postgres: PostgresServer, redis_url: str) -> AsyncIterator[Rest]:
    await migrate_database(own_postgres.url)
    async with rest_on(own_postgres.url, redis_url, postgres_seconds=ANSWER_SECONDS) as each:
        yield each


@pytest.mark.parametrize("fault", ["kill", "pause", "refuse"])
async def test_without_postgres_everything_is_unavailable_and_heals(
    rest: Rest, own_postgres: PostgresServer, fault: str
) -> None:
    signed_in = await rest.register()
    headers = bearer(signed_in)
    track = await seed_track(rest.world.engine, UUID(signed_in["user"]["id"]))
    requests = [
        ("POST", "/v1/auth/register", {"username": "bob", "email": "bob@example.org", "password": PASSWORD}),
        ("POST", "/v1/auth/login", {"identifier": "ada", "password": PASSWORD}),
        ("POST", "/v1/auth/refresh", {"refresh_token": signed_in["refresh_token"], "device_id": "phone"}),
        ("GET", "/v1/users/profile", None),
        ("POST", "/v1/users/zones", {"name": "x", "latitude": 1.0, "longitude": 2.0, "radius_metres": 300}),
        ("PUT", "/v1/users/sharing", {"audience": "public"}),
        ("PUT", "/v1/users/profile", {"username": "ada"}),
        ("GET", "/v1/tracks", None),
        *(("GET", f"/v1/tracks/{track.id}{suffix}", None) for suffix in TRACK_SUFFIXES),
    ]
    getattr(own_postgres, fault)()
    began = time.monotonic()

    answers = await asyncio.gather(
        *(rest.client.request(method, path, json=body, headers=headers) for method, path, body in requests)
    )

    for answer in answers:
        assert problem(answer, 503, "unavailable")["retry_after_ms"] > 0
    assert time.monotonic() - began < SOON_SECONDS
    own_postgres.resume()
    own_postgres.start()

    async def healed() -> bool:
        return (await rest.client.get("/v1/users/profile", headers=headers)).status_code == 200

    await eventually(healed, timeout=20)
    for method, path, body in requests:
        answer = await rest.client.request(method, path, json=body, headers=headers)
        assert answer.status_code in (200, 201), answer.text


async def test_refreshes_cut_off_on_their_way_can_be_repeated(rest: Rest, own_postgres: PostgresServer) -> None:
    signed_in = await rest.register()
    body = {"refresh_token": signed_in["refresh_token"], "device_id": "phone"}

    async def refresh() -> int:
        return (await rest.client.post("/v1/auth/refresh", json=body)).status_code

    holder = await asyncpg.connect(own_postgres.url)
    await holder.execute("BEGIN; SELECT * FROM sessions FOR UPDATE")
    on_its_way = [asyncio.create_task(refresh()) for _ in range(3)]
    await eventually(lambda: waiting(own_postgres, 3))
    own_postgres.kill()
    assert await asyncio.gather(*on_its_way) == [503] * 3
    holder.terminate()
    own_postgres.start()

    await eventually(lambda: succeeded(refresh))


async def waiting(server: PostgresServer, number: int) -> bool:
    found = server.run_sql("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
    return found.strip() == str(number)


async def succeeded(request: Callable[[], Awaitable[int]]) -> bool:
    return await request() == 200
