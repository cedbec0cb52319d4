"""Redis through TLS: all works as without it, who is not trusted is refused with a reason, renewed files are read."""

import asyncio
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
import uvloop

from domain.kit.clock import SystemClock
from domain.kit.errors import Unavailable
from domain.kit.redis_clients import create_redis
from realtime.bus.connections import BusOptions, RedisLink
from realtime.bus.track_log import RedisTrackLog
from server.checks import _REDIS_FAILURES, _redis
from server.health import Check, Health
from tests.realtime.bus.ears import Ear, ears, options_of
from tests.realtime.bus.test_redis_bus import position, rows
from tests.realtime.bus.test_rooms import HELLO, TEXT, X, nodes
from tests.support.certificates import Authority
from tests.support.redis_tls import TlsServers, running_with_tls
from tests.support.waiting import eventually

TOPOLOGIES = ("one", "sentinel", "cluster")
CHANNELS = [f"ride:{number}" for number in range(8)]
"""On a cluster of two masters, on each of them."""


@pytest.fixture(scope="module", params=TOPOLOGIES)
def servers(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsServers]:
    """Redis of each topology in turn, which insists on TLS and on its clients' certificates."""
    with running_with_tls(tmp_path_factory.mktemp("tls"), request.param) as made:
        yield made


async def all_is_heard_and_kept(url: str, version: int) -> None:
    """`version` is newer than what is kept there."""
    async with ears(url, "one", "two") as (one, two):
        for channel in CHANNELS:
            await two.bus.subscribe(channel)
        await one.bus.publish({channel: rows(position(version)) for channel in CHANNELS})
        await eventually(lambda: sorted(channel for channel, _ in two.heard) == CHANNELS)
        assert await two.bus.snapshot(CHANNELS[0], 0) == rows(position(version))
        many = rows(*(position(version, rider=rider) for rider in range(2, 3000)))
        await one.bus.publish({CHANNELS[1]: many})  # more than TLS puts into one record
        await eventually(lambda: two.heard[-1] == (CHANNELS[1], many))
        two.bus._subscriber.reset()
        await eventually(lambda: two.bus.losses == 1 and two.bus.connected)
        await one.bus.publish({CHANNELS[2]: many})
        await eventually(lambda: two.heard[-1] == (CHANNELS[2], many))
    async with nodes(url, "one", "two") as (here, there):
        socket = await there.join("b", "x")
        for _ in range(20):
            await here.emitter.emit(X, HELLO)
        await eventually(lambda: socket.texts == [TEXT] * 20)
    log, track = RedisTrackLog(options_of(url), stream_limit_bytes=1 << 30), uuid4()
    await log.append([b"a fix"])
    assert await log.claim_track(track, b"me") == b"me"
    await log.aclose()
    async with create_redis(url, name="test", timeout_seconds=10) as client:
        assert await client.set("key", "value")


async def refusal(url: str) -> str:
    """Why nothing can be asked."""
    link = RedisLink(BusOptions(url, timeout_seconds=5), name="test")
    try:
        with pytest.raises(Unavailable) as refused:
            await link.call("GET", "key")
    finally:
        await link.aclose()
    return str(refused.value.__cause__)


async def unready(url: str) -> str:
    """What `/ready` says."""
    async with create_redis(url, name="test", timeout_seconds=5) as client:
        health = Health([Check("redis", lambda: _redis(client), _REDIS_FAILURES)], SystemClock(), "1.0")
        _, body = await health.ready()
    return str(body["checks"]["redis"]["detail"])


@pytest.mark.usefixtures("faultless")
async def test_all_is_heard_and_kept(servers: TlsServers) -> None:
    await all_is_heard_and_kept(servers.url(), 1)


def test_the_same_on_uvloop(servers: TlsServers) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(all_is_heard_and_kept(servers.url(), 2))


@pytest.mark.usefixtures("faultless")
async def test_who_is_not_trusted_is_refused_with_the_reason(servers: TlsServers, tmp_path: Path) -> None:
    other = Authority(tmp_path / "other").certificate
    for url in (servers.url(ssl_ca_certs=other), servers.url(ssl_ca_certs="")):
        assert "the certificate of 127.0.0.1:" in (said := await refusal(url))
        assert "is refused: " in said
        assert "is refused: " in await unready(url)
    assert await refusal(servers.url(ssl_certfile="", ssl_keyfile="")), "the server wants to know its clients"
    elsewhere = servers.place.replace("127.0.0.1", "localhost") + servers.url().removeprefix(servers.place)
    assert "Hostname mismatch" in await refusal(elsewhere)
    ear = Ear(servers.url(ssl_ca_certs=other), "one")
    running = asyncio.create_task(ear.bus.run())
    with pytest.raises(Unavailable):
        await ear.bus.publish({"ride:1": rows(position(1))})
    assert not ear.bus.connected
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def a_master_that_was_replaced_is_left(url: str) -> None:
    options = options_of(url)
    async with ears(url, "one", followers=options.followers) as (one,):
        assert options.followers.follow(("elsewhere", 1)) > 1
        await eventually(lambda: one.bus.losses == 1 and one.bus.connected)
        await one.bus.publish({CHANNELS[0]: rows(position(3))})


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_connections_are_ended_from_within(
    tmp_path: Path, loop: Callable[[], asyncio.AbstractEventLoop], caplog: pytest.LogCaptureFixture
) -> None:
    with running_with_tls(tmp_path, "sentinel") as servers, asyncio.Runner(loop_factory=loop) as runner:
        runner.run(a_master_that_was_replaced_is_left(servers.url()))
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


@pytest.mark.usefixtures("faultless")
async def test_files_that_were_renewed_are_read_again(servers: TlsServers, tmp_path: Path) -> None:
    trusted = tmp_path / "trusted.pem"
    shutil.copy(Authority(tmp_path / "former").certificate, trusted)
    link = RedisLink(options_of(servers.url(ssl_ca_certs=trusted)), name="test")
    with pytest.raises(Unavailable):
        await link.call("GET", "key")
    shutil.copy(servers.authority.certificate, trusted)
    await link.call("GET", "key")
    await link.aclose()
