"""Files of tracks at real processes: size, outages, readers and senders that misbehave."""

import asyncio
import itertools
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import asyncpg
import httpx
import psutil
import pytest

from server.stack import RedisServer
from tests.e2e.phones import Account, Phone, phone, register
from tests.e2e.processes import Node, Pair, Site
from tests.e2e.promises import least
from tests.support import eventually

MANY = 100_000
GROWTH_BYTES = 24 << 20
"""What a node may grow by while it handles MANY points: as text they are 20 MB, as Python objects over 50 MB."""
GPX = {"Content-Type": "application/gpx+xml"}
_HEAD = b"<gpx><trk><trkseg>"
_TAIL = b"</trkseg></trk></gpx>"


def ride(count: int) -> Iterator[bytes]:
    """A GPX file of a ride east, one point a second, in pieces."""
    yield _HEAD
    for begin in range(0, count, 500):
        yield b"".join(
            b'<trkpt lat="45.5" lon="%.6f"><ele>%d</ele><time>2015-%02d-%02dT%02d:%02d:%02dZ</time></trkpt>'
            % (-120 + i * 1e-4, i % 900, 1 + i // 2_419_200, 1 + i // 86400 % 28, i // 3600 % 24, i // 60 % 60, i % 60)
            for i in range(begin, min(begin + 500, count))
        )
    yield _TAIL


class Watch:
    """The largest memory of a process while it is watched, in bytes above where it began."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._began = self._process.memory_info().rss
        self.growth = 0

    def look(self) -> None:
        self.growth = max(self.growth, self._process.memory_info().rss - self._began)


async def in_pieces(count: int, watch: Watch) -> AsyncIterator[bytes]:
    for piece in ride(count):
        watch.look()
        yield piece


@asynccontextmanager
async def client_of(node: Node, account: Account) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=node.url, headers=account.headers, timeout=60) as client:
        yield client


async def put_track(database_url: str, user_id: str, points: int) -> UUID:
    """A finished track of this many points, straight in the database."""
    track_id = uuid4()
    sql = await asyncpg.connect(database_url)
    await sql.execute("CREATE TABLE IF NOT EXISTS track_points_201503 PARTITION OF track_points FOR VALUES IN (201503)")
    await sql.execute(
        "INSERT INTO tracks (id, month, user_id, started_at, first_heard_at, last_heard_at, stored, finished_at)"
        " VALUES ($1, 201503, $2, '2015-03-25', '2015-03-25', '2015-03-25', $3, now())",
        track_id,
        UUID(user_id),
        points,
    )
    await sql.execute(
        "INSERT INTO track_points (track_month, track_id, seq, timestamp, latitude, longitude, altitude, speed,"
        " received_at) SELECT 201503, $1, i, timestamptz '2015-03-25' + i * interval '1 s', 45 + i * 1e-6, 9, 250.5,"
        " 11.1, now() FROM generate_series(0, $2 - 1) AS i",
        track_id,
        points,
        timeout=60,
    )
    await sql.close()
    return track_id


@pytest.mark.parametrize("kind", ["gpx", "geojson"])
async def test_an_export_needs_no_memory_in_proportion_to_the_track(pair: Pair, kind: str) -> None:
    account = await register(pair.one.url)
    track_id = await put_track(pair.site.database_url, account.user_id, MANY)
    path = f"/v1/tracks/{track_id}/export?format={kind}"
    warming = await put_track(pair.site.database_url, account.user_id, 5_000)
    async with client_of(pair.one, account) as client:
        await client.get(f"/v1/tracks/{warming}/export?format={kind}")
        watch, size, points = Watch(pair.one.pid), 0, 0
        async with client.stream("GET", path) as answer:
            assert answer.status_code == 200
            async for piece in answer.aiter_bytes():
                size += len(piece)
                points += piece.count(b"</trkpt>" if kind == "gpx" else b"2015-03-")
                watch.look()
    assert size > MANY * 75
    assert points >= MANY * 0.99  # a word may be cut in two by the pieces
    assert watch.growth < GROWTH_BYTES


async def test_an_import_needs_no_memory_in_proportion_and_keeps_no_phone_waiting(pair: Pair) -> None:
    account, rider = await register(pair.one.url), await register(pair.one.url)
    watch = Watch(pair.one.pid)
    async with client_of(pair.one, account) as client, phone(rider) as device:
        track_id, seqs = await device.start_track(), itertools.count()

        async def slowest_ack() -> float:
            content = in_pieces(MANY, watch)
            importing = asyncio.create_task(client.post("/v1/tracks/import", content=content, headers=GPX))
            slowest = await _slowest_ack(device, track_id, seqs, importing, watch)
            answer = await importing
            assert answer.status_code == 202, answer.text
            assert [track["fixes"] for track in answer.json()["tracks"]] == [MANY]
            return slowest

        await least(2.0, slowest_ack)
    assert watch.growth < GROWTH_BYTES


async def _slowest_ack(
    device: Phone, track_id: str, seqs: Iterator[int], importing: "asyncio.Task[Any]", watch: Watch
) -> float:
    """Ride until the import is done; the seconds of the slowest ack."""
    slowest = 0.0
    while not importing.done():
        began, seq = time.monotonic(), next(seqs)
        assert await device.move(track_id, seq, 45.0, 9.0 + seq * 1e-4) in (None, {}), "refused"
        slowest = max(slowest, time.monotonic() - began)
        watch.look()
    assert slowest
    return slowest


class HalfRead(NamedTuple):
    """An export of which the first piece has been read, and which its reader's system has no room to take in whole."""

    client: httpx.AsyncClient
    path: str
    answer: httpx.Response
    pieces: AsyncIterator[bytes]
    sql: Any

    async def readers(self) -> list[int]:
        """The processes of Postgres in the middle of the export, whether they send just now or wait to be asked."""
        rows = await self.sql.fetch(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            " AND state <> 'idle' AND query LIKE '%FROM track_points%'"
        )
        return [row[0] for row in rows]


@asynccontextmanager
async def half_read(pair: Pair) -> AsyncIterator[HalfRead]:
    account = await register(pair.one.url)
    track_id = await put_track(pair.site.database_url, account.user_id, MANY)
    path = f"/v1/tracks/{track_id}/export"
    little = httpx.AsyncHTTPTransport(socket_options=[(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)])
    sql = await asyncpg.connect(pair.site.database_url)
    try:
        async with (
            httpx.AsyncClient(base_url=pair.one.url, headers=account.headers, timeout=60, transport=little) as client,
            client.stream("GET", path) as answer,
        ):
            pieces = answer.aiter_raw()
            await anext(pieces)
            export = HalfRead(client, path, answer, pieces, sql)
            await eventually(export.readers, timeout=30)
            yield export
    finally:
        await sql.close()


async def test_an_export_that_cannot_be_finished_does_not_look_whole(pair: Pair) -> None:
    async with half_read(pair) as export:
        readers = await export.readers()
        assert readers
        await export.sql.execute("SELECT pg_terminate_backend(pid) FROM unnest($1::int[]) AS pid", readers)
        with pytest.raises(httpx.RemoteProtocolError, match="incomplete"):
            async for _ in export.pieces:
                pass
        assert (await export.client.get(export.path)).content.endswith(b"</gpx>\n")


async def test_a_reader_that_goes_away_gives_the_connection_back(pair: Pair) -> None:
    async with half_read(pair) as export:
        await export.answer.aclose()

        async def given_back() -> bool:
            return not await export.readers()

        await eventually(given_back, timeout=30)


async def test_fifty_megabytes_of_rubbish_are_refused_in_little_memory(pair: Pair) -> None:
    account = await register(pair.one.url)
    watch = Watch(pair.one.pid)

    async def rubbish() -> AsyncIterator[bytes]:
        yield _HEAD
        for _ in range(800):
            watch.look()
            yield b"<!-- nothing to see here -->" * 2340

    async with client_of(pair.one, account) as client:
        answer = await client.post("/v1/tracks/import", content=rubbish(), headers=GPX)
        assert (answer.status_code, answer.json()["reason"]) == (422, "not_xml")
    assert watch.growth < GROWTH_BYTES


async def test_a_file_that_is_announced_as_too_large_is_not_waited_for(pair: Pair) -> None:
    account = await register(pair.one.url)
    reader, writer = await asyncio.open_connection("127.0.0.1", pair.one.port)
    head = f"POST /v1/tracks/import HTTP/1.1\r\nHost: x\r\nContent-Length: {65 << 20}\r\n"
    writer.write(f"{head}Authorization: {account.headers['Authorization']}\r\n\r\n".encode())
    assert await reader.readline() == b"HTTP/1.1 413 Request Entity Too Large\r\n"
    writer.close()
    await writer.wait_closed()


async def test_an_import_without_redis_is_unavailable_and_the_same_file_later_is_the_same_tracks(
    one_site: Site, own_redis: RedisServer
) -> None:
    node = await one_site.node()
    one_site.worker()
    account = await register(node.url)
    document = b"".join(ride(1000))
    async with client_of(node, account) as client:
        first = await client.post("/v1/tracks/import", content=document, headers=GPX)
        own_redis.stop()
        during = await client.post("/v1/tracks/import", content=document, headers=GPX)
        assert (during.status_code, during.json()["code"]) == (503, "unavailable")
        own_redis.start()

        async def accepted() -> Any:
            answer = await client.post("/v1/tracks/import", content=document, headers=GPX)
            return answer.json() if answer.status_code == 202 else None

        assert await eventually(accepted, timeout=30) == first.json()
        track_id = first.json()["tracks"][0]["track_id"]

        async def stored() -> bool:
            answer = await client.get(f"/v1/tracks/{track_id}/export")
            return answer.status_code == 200 and answer.content.count(b"<trkpt ") == 1000

        await eventually(stored, timeout=60)
