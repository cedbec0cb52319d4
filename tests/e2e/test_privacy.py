"""No coordinate inside a privacy zone leaves: not to watchers, not over the bus, not into logs.

Every byte is recorded: what watchers on both nodes receive, what Redis is told (all of it but the record of tracks),
what it keeps, and what the nodes log. A rider without zones on the same roads shows that the recording sees.
"""

import asyncio
import json
import re
import struct
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from redis.asyncio import Redis
from websockets.asyncio.client import connect

from domain.zones.rules import Place, hide
from geo.geodesics import chord, destination
from geo.zones import Zone
from realtime.bus.rows import ROW_BYTES
from realtime.hub.records import Item, LiveRecord, unpack
from server.settings import Settings
from server.stack import PostgresServer, RedisServer
from tests.e2e.outages import says
from tests.e2e.phones import CONNECT_SECONDS, Account, around, draw_zone, now_ms, phone, register, rest_client
from tests.e2e.processes import ANSWERED_WITHIN_SECONDS, Node, Pair, Site, pair_of, site
from tests.e2e.promises import least
from tests.support import eventually
from tests.support.databases import Databases
from tests.support.servers import new_redis, running

EXAMPLES = 4
HEADER_BYTES = 17
"""Before the rows of a message on the bus."""
ROUNDING_METRES = 1.0
"""What coordinates of 1e-5 degree may be off."""
HERE = (46.5, 8.3)
PLACES = [(46.5123457, 8.3123457), (-17.8123457, 179.9981234), (69.6123457, 18.9123457)]
"""In the Alps, at the antimeridian, beyond the polar circle."""


# What happens


@dataclass(frozen=True)
class Roads:
    """Zones near a place, and points ridden to one after another: zone, bearing, and distance in radii of the zone."""

    zones: list[Place]
    points: list[tuple[int, float, float]]

    def path(self) -> list[tuple[float, float]]:
        places = []
        for number, bearing, radii in self.points:
            zone = self.zones[number % len(self.zones)]
            latitude, longitude = destination(zone.latitude, zone.longitude, bearing, radii * zone.radius_metres)
            places.append((round(latitude, 7), round(longitude, 7)))
        return places


def _wrapped(longitude: float) -> float:
    """The same meridian, from -180 up to 180 degrees."""
    return (longitude + 540) % 360 - 180


@some.composite
def roads(draw: some.DrawFn) -> Roads:
    latitude, longitude = draw(some.sampled_from(PLACES))
    zones = []
    for number in range(draw(some.integers(1, 3))):
        bearing, metres = draw(some.floats(0, 360)), draw(some.floats(0, 3000))
        centre = destination(latitude, longitude, bearing, metres)
        zones.append(Place(f"zone {number}", *centre, draw(some.floats(100, 1200))))
    point = some.tuples(some.integers(0, 2), some.floats(0, 360), some.floats(0, 4))
    through = [(0, 0.0, 0.0), (0, 90.0, 0.5), (0, 180.0, 3.5), (0, 45.0, 0.99)]
    return Roads(zones, [*draw(some.lists(point, min_size=20, max_size=30)), *through])


async def ride(account: Account, path: list[tuple[float, float]], seen: "Seen", zones: list[Zone]) -> None:
    """Two minutes pass between two points, by the phone's clock; it stays at each until a watcher has seen it there."""
    async with phone(account) as device:
        track = await device.start_track()
        began = now_ms() - 120_000 * len(path)
        for seq, place in enumerate(path):
            assert await device.move(track, seq, *place, timestamp=began + 120_000 * seq) == {}
            if not _within(zones, *place, margin=-20):
                await eventually(lambda place=place: _times(seen, "watcher", account.rider, place))


# What is recorded


@dataclass
class Seen:
    """Coordinates by rider and where they were seen, and every byte."""

    places: list[tuple[str, int, float, float]] = field(default_factory=list)
    raw: list[tuple[str, bytes]] = field(default_factory=list)

    def of(self, rider: int) -> list[tuple[str, float, float]]:
        return [(where, latitude, longitude) for where, who, latitude, longitude in self.places if who == rider]

    def add_items(self, where: str, items: Iterator[Item]) -> None:
        for item in items:
            if isinstance(item, LiveRecord):
                self.places.append((where, item.rider, item.latitude_e5 / 1e5, item.longitude_e5 / 1e5))

    def add_frame(self, frame: dict[str, object], origins: dict[str, list[float]]) -> None:
        topic = str(frame["topic"])
        if isinstance(origin := frame.get("origin"), list):
            origins[topic] = origin
        for rider, north, east, *_ in frame.get("riders", []):  # type: ignore[attr-defined]
            latitude, longitude = origins[topic]
            self.places.append(("watcher", rider, latitude + north / 1e5, _wrapped(longitude + east / 1e5)))


@asynccontextmanager
async def watching(node: Node, seen: Seen, place: tuple[float, float]) -> AsyncIterator[None]:
    """A watcher of whom every byte is kept."""
    account = await register(node.url)
    address = f"ws://127.0.0.1:{node.port}/socket.io/?EIO=4&transport=websocket"
    async with connect(address, proxy=None, open_timeout=CONNECT_SECONDS) as websocket:
        auth = {"token": account.access_token, "device_id": account.device_id}
        box = {**around(*place, degrees=0.12), "zoom": 10}
        box["bounds"] = [_wrapped(degrees) for degrees in box["bounds"]]
        await websocket.send("40" + json.dumps(auth))
        ready, watched = asyncio.Event(), asyncio.Event()
        hearing = asyncio.create_task(_hear(websocket, seen, ready, watched))
        await asyncio.wait_for(ready.wait(), CONNECT_SECONDS)
        await websocket.send("427" + json.dumps(["map:watch", box]))
        await asyncio.wait_for(watched.wait(), ANSWERED_WITHIN_SECONDS)
        yield
    await hearing


async def _hear(websocket: object, seen: Seen, ready: asyncio.Event, watched: asyncio.Event) -> None:
    origins: dict[str, list[float]] = {}
    async for text in websocket:  # type: ignore[attr-defined]
        seen.raw.append(("watcher", text.encode()))
        if text == "2":
            await websocket.send("3")  # type: ignore[attr-defined]
        elif text.startswith('42["location:frame"'):
            seen.add_frame(json.loads(text[2:])[1], origins)
        elif text.startswith('42["session:ready"'):
            ready.set()
        elif text.startswith("437"):
            assert "error" not in text, text
            watched.set()


_ARGUMENT = re.compile(rb'"((?:[^"\\]|\\.)*)"')
_ESCAPE = re.compile(rb"\\(x[0-9a-f]{2}|.)")
_PLAIN = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"a": b"\a", b"b": b"\b"}


def _unescaped(match: "re.Match[bytes]") -> bytes:
    escape = match.group(1)
    return bytes((int(escape[1:], 16),)) if len(escape) == 3 else _PLAIN.get(escape, escape)


@asynccontextmanager
async def overhearing(redis_url: str, seen: Seen) -> AsyncIterator[None]:
    """Everything that Redis is told, also by scripts; the record of tracks is left out, it is the record."""
    host, port = redis_url.removeprefix("redis://").removesuffix("/0").split(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=1 << 24)
    writer.write(b"MONITOR\r\n")
    assert await reader.readline() == b"+OK\r\n"

    async def hear() -> None:
        while line := await reader.readline():
            command = [_ESCAPE.sub(_unescaped, argument) for argument in _ARGUMENT.findall(line)]
            if not any(argument.startswith((b"tracks:", b"track:")) for argument in command):
                _note_command(seen, command)

    hearing = asyncio.create_task(hear())
    try:
        yield
        async with Redis.from_url(redis_url) as client:
            await client.ping()
            async for key in client.scan_iter("live:*"):
                seen.add_items("kept", unpack(b"".join((await client.hgetall(key)).values())))
            await eventually(lambda: any(b"live:*" in raw for _, raw in seen.raw))
    finally:
        hearing.cancel()
        writer.close()


def _note_command(seen: Seen, command: list[bytes]) -> None:
    seen.raw.append(("bus", b" ".join(command)))
    name = command[0].upper() if command else b""
    if name == b"SPUBLISH" and (len(command[2]) - HEADER_BYTES) % ROW_BYTES == 0:
        seen.add_items("bus", unpack(command[2][HEADER_BYTES:]))
    elif name == b"HSET" and command[1].startswith(b"live:"):
        seen.add_items("kept", unpack(command[3]))


# What must not be


def _hidden(account: Account, zones: list[Place]) -> list[Zone]:
    """The zones as drawn, and as displaced; a displaced one ends where rounding may carry a position over its edge."""
    secret = Settings().zone_secret.get_secret_value().encode()
    drawn = [Zone(zone.latitude, zone.longitude, zone.radius_metres) for zone in zones]
    return drawn + [hide(zone, UUID(account.user_id), secret).hidden for zone in zones]


def _within(zones: list[Zone], latitude: float, longitude: float, margin: float = 0.0) -> bool:
    return any(chord(z.latitude, z.longitude, latitude, longitude) < z.radius_metres - margin for z in zones)


_LONG_ENOUGH = 8
"""Digits of a number that does not turn up by chance."""


def _needles(latitude: float, longitude: float) -> list[bytes]:
    """A position as it could be written."""
    texts = [text for text in (repr(latitude), repr(longitude)) if len(text) > _LONG_ENOUGH]
    doubles = [struct.pack(order + "d", degrees) for order in "<>" for degrees in (latitude, longitude)]
    pairs = [struct.pack(order + "ii", round(latitude * 1e5), round(longitude * 1e5)) for order in "<>"]
    return [*(text.encode() for text in texts), *doubles, *pairs]


_NUMBER = re.compile(rb"-?\d{1,3}\.\d{3,}")


def assert_nothing_leaked(
    seen: Seen, zones: list[Zone], rider: int, path: list[tuple[float, float]], beside: list[tuple[float, float]]
) -> None:
    leaks = [place for place in seen.of(rider) if _within(zones, *place[1:], margin=-ROUNDING_METRES)]
    assert not leaks, leaks[:3]
    inner = {needle for place in path if _within(zones, *place) for needle in _needles(*place)}
    centres = {needle for zone in zones for needle in _needles(zone.latitude, zone.longitude)}
    # Two points of a path may be so close that the other rider's stop at one is, rounded, this rider's at the other.
    shown = {needle for place in beside for needle in _needles(*place)}
    everything = b"\n".join(raw for _, raw in seen.raw)
    assert not [needle for needle in (inner | centres) - shown if needle in everything]


def assert_logs_are_silent(log: Path, begin: int, zones: list[Zone]) -> None:
    for line in log.read_bytes()[begin:].splitlines():
        numbers = [float(number) for number in _NUMBER.findall(line)]
        pairs = [(a, b) for a in numbers for b in numbers if abs(a) <= 90 and abs(b) <= 180]
        assert not [pair for pair in pairs if _within(zones, *pair)], line


async def ride_and_record(pair: Pair, drawn: Roads) -> None:
    seen, path = Seen(), drawn.path()
    logs = {node.log: node.log.stat().st_size for node in (pair.one, pair.two)}
    zoned, free = await register(pair.one.url), await register(pair.two.url)
    for zone in drawn.zones:
        await draw_zone(zoned, zone.latitude, zone.longitude, zone.radius_metres)
    zones, middle = _hidden(zoned, drawn.zones), (drawn.zones[0].latitude, drawn.zones[0].longitude)
    # Not the very same positions, so that every byte can be told apart.
    beside = [(round(latitude + 5e-5, 7), round(_wrapped(longitude + 5e-5), 7)) for latitude, longitude in path]
    async with (
        overhearing(pair.site.redis_url, seen),
        watching(pair.one, seen, middle),
        watching(pair.two, seen, middle),
    ):
        await asyncio.gather(ride(zoned, path, seen, zones), ride(free, beside, seen, []))
        last = beside[-1]
        await eventually(lambda: _times(seen, "watcher", free.rider, last) >= 2)
        await eventually(lambda: _times(seen, "kept", free.rider, last))
    assert {place[0] for place in seen.of(free.rider) if _within(zones, *place[1:])} == {"watcher", "bus", "kept"}
    if not all(_within(zones, *place, margin=-20) for place in path):
        assert {place[0] for place in seen.of(zoned.rider)} == {"watcher", "bus", "kept"}
    assert_nothing_leaked(seen, zones, zoned.rider, path, beside)
    for log, begin in logs.items():
        assert_logs_are_silent(log, begin, zones)


def _times(seen: Seen, where: str, rider: int, place: tuple[float, float]) -> int:
    shown = [entry for entry in seen.of(rider) if entry[0] == where]
    return sum(
        abs(latitude - place[0]) + abs(_wrapped(longitude - place[1])) < 3e-5 for _, latitude, longitude in shown
    )


@pytest.fixture(scope="module")
def quick_pair(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Two nodes that send each position on by itself, and log everything they can."""
    directory = tmp_path_factory.mktemp("quick")
    redis = new_redis(directory / "redis")
    chosen = {"THROTTLECOVE_TICK_MILLISECONDS": "10", "THROTTLECOVE_LOG_LEVEL": "debug"}
    with databases.migrated() as url, running(redis), site(url, redis.url, directory, chosen) as shared:
        yield asyncio.run(pair_of(shared))


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(drawn=roads())
def test_no_coordinate_inside_a_zone_leaves(quick_pair: Pair, drawn: Roads) -> None:
    asyncio.run(ride_and_record(quick_pair, drawn))


# Choices that take effect at once


@asynccontextmanager
async def shown(pair: Pair) -> AsyncIterator[tuple[Account, Callable[[], list[bool]]]]:
    """A rider who stands, seen by watchers on both nodes; the function says which of them see the dot."""
    anna = await register(pair.one.url)
    async with (
        phone(await register(pair.one.url)) as near,
        phone(await register(pair.two.url)) as far,
        phone(anna) as rider,
    ):
        for watcher in (near, far):
            await watcher.ask("map:watch", around(*HERE))
        track = await rider.start_track()
        await rider.move(track, 0, *HERE)
        sees = lambda: [watcher.sees(anna.rider) is not None for watcher in (near, far)]  # noqa: E731
        await eventually(lambda: all(sees()))
        yield anna, sees


async def share(account: Account, node: Node, **choice: object) -> None:
    async with rest_client(account, node.url) as client:
        answer = await client.put("/v1/users/sharing", json=choice)
    assert answer.status_code == 200, answer.text


async def seconds_until_hidden(account: Account, node: Node, sees: Callable[[], list[bool]], **choice: object) -> float:
    """What a choice takes, from its answer on, until nobody sees the dot."""
    await share(account, node, audience="public")
    await eventually(lambda: all(sees()))
    await share(account, node, **choice)
    began = time.monotonic()
    await eventually(lambda: not any(sees()))
    return time.monotonic() - began


@pytest.mark.parametrize("latitude", [HERE[0], HERE[0] + 0.05])
async def test_a_zone_drawn_around_a_rider_who_stands_hides_the_dot(pair: Pair, latitude: float) -> None:
    async with shown(pair) as (anna, sees):
        await draw_zone(anna, latitude, HERE[1], 300.0)
        if latitude == HERE[0]:
            await eventually(lambda: not any(sees()))
        else:
            await eventually(lambda: all(sees()))


async def test_sharing_with_nobody_hides_the_dot_at_once(pair: Pair) -> None:
    async with shown(pair) as (anna, sees):
        await least(1, lambda: seconds_until_hidden(anna, pair.two, sees, audience="nobody"))


async def test_sharing_with_followers_takes_the_dot_off_the_public_map(pair: Pair) -> None:
    async with shown(pair) as (anna, sees):
        await least(1, lambda: seconds_until_hidden(anna, pair.one, sees, audience="followers"))


async def test_a_dot_is_hidden_when_its_audience_ends(pair: Pair) -> None:
    async with shown(pair) as (anna, sees):

        async def was_shown_until_then() -> bool:
            """On a busy machine it may end before that has been looked at: then there is another one."""
            ends = now_ms() + 1500
            await share(anna, pair.two, audience="public", expires_at=ends)
            await eventually(lambda: all(sees()) or now_ms() >= ends)
            shown_before = all(sees()) and now_ms() < ends
            await eventually(lambda: not any(sees()) and now_ms() >= ends)
            return shown_before

        await eventually(was_shown_until_then, timeout=30)


async def test_a_dot_is_hidden_when_its_audience_ends_though_its_phone_has_gone(pair: Pair) -> None:
    anna = await register(pair.one.url)
    async with phone(await register(pair.two.url)) as watcher:
        await watcher.ask("map:watch", around(*HERE))
        async with phone(anna) as rider:
            track = await rider.begin_track()

            async def is_seen() -> bool:
                """On a busy machine the audience may have ended before: it gets another one."""
                await rider.ask("sharing:set", {"audience": "public", "expires_at": now_ms() + 2000})
                await rider.move(track, now_ms() % 1_000_000, *HERE)
                return watcher.sees(anna.rider) is not None

            await eventually(is_seen, timeout=30, every=1.0)
        await eventually(lambda: watcher.sees(anna.rider) is None)


async def test_a_rider_whose_policy_nobody_can_look_up_is_hidden(
    own_postgres: PostgresServer, own_redis: RedisServer, tmp_path: Path
) -> None:
    with site(own_postgres.url, own_redis.url, tmp_path) as alone:
        nodes = await pair_of(alone)
        anna = await register(nodes.one.url)
        async with phone(await register(nodes.one.url)) as watcher:
            await watcher.ask("map:watch", around(*HERE))
            async with phone(anna) as rider:
                track = await rider.start_track()
                await rider.move(track, 0, *HERE)
                await eventually(lambda: watcher.sees(anna.rider))
            own_postgres.kill()
            for node in (nodes.one, nodes.two):  # from then on nobody reads a policy, and keeps it
                await says(node, 200, database="unhealthy")
            await forget_policies(alone)
            async with phone(anna, nodes.two.url) as rider:
                assert await rider.move(track, 1, *HERE) == {}
                await eventually(lambda: watcher.sees(anna.rider) is None, timeout=30)
                own_postgres.start()
                await eventually(lambda: watcher.sees(anna.rider), timeout=60)


async def forget_policies(running_site: Site) -> None:
    async with Redis.from_url(running_site.redis_url) as client:
        kept = [key async for key in client.scan_iter("policy:*")]
        assert await client.delete(*kept) == len(kept) > 0
