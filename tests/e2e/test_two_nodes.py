"""A rider who changes nodes is one dot for everybody, whatever became of the node before."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from realtime.bus.takeover import ORDER_MS
from server.stack import RedisServer
from tests.e2e.phones import Account, Phone, around, fix, login, now_ms, phone, register
from tests.e2e.processes import Node, Pair, Site, pair_of, site
from tests.support import eventually

HERE = (46.5, 8.3)
LIFE_SECONDS = 3


@pytest.fixture(autouse=True)
def others_find_it_running(pair: Pair) -> Iterator[None]:
    """The nodes are everybody's: one that a test has paused goes on, however the test ends."""
    yield
    pair.one.resume()


class Watcher(Phone):
    """A phone that remembers between which frames a rider was nowhere, or in two places."""

    def __init__(self, account: Account) -> None:
        super().__init__(account)
        self.places: list[tuple[float, float] | None] = []
        self.rider = 0

    def follow(self, rider: int) -> None:
        self.rider = rider
        self.places.append(self.sees(rider))

    def _see(self, frame: dict[str, object]) -> None:
        super()._see(frame)  # type: ignore[no-untyped-call,unused-ignore]
        place = self.sees(self.rider)
        if self.places and place != self.places[-1]:
            self.places.append(place)


@dataclass
class Ride:
    """A rider at node one, watched at both."""

    one: Node
    two: Node
    account: Account
    username: str
    rider: Phone
    track: str
    watchers: tuple[Watcher, Watcher]
    began_ms: int

    async def move(self, device: Phone, seq: int, place: tuple[float, float], *, track: str | None = None) -> None:
        """A fix ten seconds after the one before it, of some minutes ago: plausible at any pace of the test."""
        timestamp = self.began_ms + 10_000 * seq
        assert await device.move(track or self.track, seq, *place, timestamp=timestamp) == {}

    async def shown_at(self, place: tuple[float, float], *, timeout: float = 20) -> None:
        for watcher in self.watchers:
            await eventually(lambda watcher=watcher: watcher.sees(self.account.rider) == place, timeout=timeout)

    async def gone(self, *, timeout: float = 20) -> None:
        for watcher in self.watchers:
            await eventually(lambda watcher=watcher: watcher.sees(self.account.rider) is None, timeout=timeout)


@asynccontextmanager
async def watching(node: Node, place: tuple[float, float] = HERE) -> AsyncIterator[Watcher]:
    watcher = Watcher(await register(node.url))
    await watcher.connect()
    try:
        await watcher.ask("map:watch", around(*place))
        yield watcher
    finally:
        await watcher.disconnect()


@asynccontextmanager
async def riding(pair: Pair) -> AsyncIterator[Ride]:
    one, two = pair.one, pair.two
    username = f"anna_{uuid4().hex[:8]}"
    anna = await register(one.url, username)
    async with watching(one) as near, watching(two) as far, phone(anna) as rider:
        track = await rider.start_track()
        ride = Ride(one, two, anna, username, rider, track, (near, far), now_ms() - 600_000)
        await ride.move(rider, 0, HERE)
        await ride.shown_at(HERE)
        for watcher in ride.watchers:
            watcher.follow(anna.rider)
        yield ride


def north(steps: int) -> tuple[float, float]:
    """A place some hundred metres further, for each step."""
    return round(HERE[0] + steps * 0.001, 5), HERE[1]


async def test_a_phone_that_changes_nodes_is_one_dot_all_the_time(pair: Pair) -> None:
    async with riding(pair) as ride:
        await ride.rider.disconnect()
        async with phone(ride.account, ride.two.url) as elsewhere:
            for seq in range(1, 6):
                await ride.move(elsewhere, seq, north(seq))
                await ride.shown_at(north(seq))
        for watcher in ride.watchers:
            assert watcher.places == [HERE, *(north(seq) for seq in range(1, 6))]


async def test_a_phone_whose_old_connection_hangs_is_one_dot_all_the_time(pair: Pair) -> None:
    """Also when the rider's policy is looked up again, which the node before must not take for its own business."""
    async with riding(pair) as ride, phone(ride.account, ride.two.url) as elsewhere:
        await ride.move(elsewhere, 1, north(1))
        await ride.shown_at(north(1))
        await elsewhere.share("public")
        await ride.move(elsewhere, 2, north(2))
        await ride.shown_at(north(2))
        await ride.move(ride.rider, 3, north(3))
        await ride.move(elsewhere, 4, north(4))
        await ride.shown_at(north(4))
        for watcher in ride.watchers:
            assert north(3) not in watcher.places


async def test_a_policy_that_changes_does_not_end_a_dot_that_stands_still(pair: Pair) -> None:
    async with riding(pair) as ride:
        await ride.rider.share("nobody")
        await ride.gone()
        await ride.rider.share("public")
        await ride.shown_at(HERE)


async def test_a_killed_node_leaves_no_ghost_where_its_riders_were(one_site: Site) -> None:
    pair = await pair_of(one_site)
    far_away = (47.5, 9.7)
    async with riding(pair) as ride, watching(ride.two, far_away) as there:
        ride.one.kill()
        async with phone(ride.account, ride.two.url) as elsewhere:
            await elsewhere.ask("track:start", {"track_id": ride.track, "started_at": now_ms()})
            await elsewhere.move(ride.track, 1, *far_away)
            await eventually(lambda: there.sees(ride.account.rider) == far_away)
            await eventually(lambda: ride.watchers[1].sees(ride.account.rider) is None)
            async with watching(ride.two) as late:
                assert late.sees(ride.account.rider) is None


async def test_a_track_that_is_stopped_on_another_node_leaves_the_map(pair: Pair) -> None:
    async with riding(pair) as ride:
        await ride.rider.disconnect()
        async with phone(ride.account, ride.two.url) as elsewhere:
            assert await elsewhere.ask("track:stop", {"track_id": ride.track, "last_seq": 0}) == {}
            await ride.gone()


async def test_a_node_that_was_paused_does_not_move_the_dot_back(pair: Pair) -> None:
    async with riding(pair) as ride:
        near, far = ride.watchers
        ride.one.pause()
        buffered = await ride.rider.tell(
            "location:update",
            {"track_id": ride.track, "fix": fix(1, 46.4991, 8.3, timestamp=ride.began_ms + 10_000)},
        )
        began = now_ms()
        seq = 1
        async with phone(ride.account, ride.two.url) as elsewhere:

            async def rides_on() -> bool:
                nonlocal seq
                seq += 1
                await ride.move(elsewhere, seq, north(seq))
                return now_ms() - began > 3000

            await eventually(rides_on)
            await eventually(lambda: far.sees(ride.account.rider) == north(seq), timeout=20)
            ride.one.resume()
            assert await buffered == {}
            await eventually(lambda: near.sees(ride.account.rider) == north(seq), timeout=20)
            await ride.move(elsewhere, seq + 1, north(seq + 1))
            await ride.shown_at(north(seq + 1))
        assert (46.4991, 8.3) not in far.places
        latitudes = [place[0] for place in far.places if place]
        assert latitudes == sorted(latitudes)
        assert None not in near.places + far.places


async def test_a_node_that_was_paused_does_not_take_the_dot_back(pair: Pair) -> None:
    """It reads, when it goes on, that a track was started again by a connection that its phone has given up since."""
    async with riding(pair) as ride:
        async with phone(ride.account) as hanging, phone(await register(pair.two.url)) as newcomer:
            connected = now_ms()
            await eventually(lambda: now_ms() - connected > ORDER_MS)  # else the order of arrival counts
            ride.one.pause()
            begun = await hanging.tell("track:start", {"track_id": ride.track, "started_at": now_ms()})
            stale = {"track_id": ride.track, "fix": fix(1, *north(9), timestamp=ride.began_ms + 5_000)}
            shown = await hanging.tell("location:update", stale)
            async with phone(ride.account, ride.two.url) as elsewhere:
                await ride.move(elsewhere, 2, north(2))
                await eventually(lambda: ride.watchers[1].sees(ride.account.rider) == north(2))
                ride.one.resume()
                assert "rider" in await begun
                assert await shown == {}
                await ride.move(elsewhere, 3, north(3))
                await ride.shown_at(north(3))
                await newcomer.ask("map:watch", around(*HERE))
                assert newcomer.sees(ride.account.rider) == north(3)
        for watcher in ride.watchers:
            assert north(9) not in watcher.places


async def test_a_late_fix_is_kept_and_does_not_move_the_dot(storing_pair: Pair) -> None:
    async with riding(storing_pair) as ride:
        await ride.move(ride.rider, 1, north(1))
        assert await ride.rider.move(ride.track, 2, *north(9), timestamp=ride.began_ms - 60_000) == {}
        await ride.move(ride.rider, 3, north(2))
        await ride.shown_at(north(2))
        for watcher in ride.watchers:
            assert watcher.places in ([HERE, north(1), north(2)], [HERE, north(2)])
        track = ride.track
    database = await asyncpg.connect(storing_pair.site.database_url)
    try:
        query = "SELECT latitude FROM track_points WHERE track_id = $1 AND seq = 2"
        await eventually(lambda: database.fetchval(query, track))
        assert await database.fetchval(query, track) == north(9)[0]
    finally:
        await database.close()


async def test_the_device_that_began_last_moves_the_dot_and_the_other_one_after_it(pair: Pair) -> None:
    async with riding(pair) as ride:
        second_account = await login(ride.one.url, ride.username)
        async with phone(second_account) as second:
            track = await second.begin_track()
            await ride.move(second, 0, north(5), track=track)
            await ride.shown_at(north(5))
            await ride.move(ride.rider, 1, north(1))
            await ride.move(second, 1, north(6), track=track)
            await ride.shown_at(north(6))
            assert await second.ask("track:stop", {"track_id": track, "last_seq": 1}) == {}
            await ride.gone()
            await ride.move(ride.rider, 2, north(2))
            await ride.shown_at(north(2))
        for watcher in ride.watchers:
            assert north(1) not in watcher.places


async def test_a_device_on_another_node_takes_the_dot_over_and_gives_it_back(pair: Pair) -> None:
    async with riding(pair) as ride:
        second_account = await login(ride.two.url, ride.username)
        async with phone(second_account) as second:
            track = await second.begin_track()
            await ride.move(second, 0, north(5), track=track)
            await ride.shown_at(north(5))
            await ride.move(ride.rider, 1, north(1))
            assert await second.ask("track:stop", {"track_id": track, "last_seq": 0}) == {}
            await ride.gone()
            seq = 2

            async def comes_back() -> bool:
                nonlocal seq
                seq += 1
                later = ride.began_ms + 20_000 + seq
                assert await ride.rider.move(ride.track, seq, *north(2), timestamp=later) == {}
                return all(watcher.sees(ride.account.rider) for watcher in ride.watchers)

            await eventually(comes_back)
        for watcher in ride.watchers:
            assert north(1) not in watcher.places


@pytest.fixture
def short_lived(database_url: str, own_redis: RedisServer, tmp_path: Path) -> Iterator[Site]:
    settings = {"THROTTLECOVE_POSITION_LIFE_SECONDS": str(LIFE_SECONDS)}
    with site(database_url, own_redis.url, tmp_path, settings) as running:
        yield running


async def test_a_phone_that_fell_silent_leaves_the_map(short_lived: Site) -> None:
    async with riding(await pair_of(short_lived)) as ride:
        await ride.gone(timeout=10 * LIFE_SECONDS)
        await ride.move(ride.rider, 1, north(1))
        await ride.shown_at(north(1))
