"""A process that holds no sockets emits to those of all nodes."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from domain.kit.errors import Unavailable
from domain.kit.ports import EmitPort
from realtime.bus.emitter import RoomEmitter
from tests.realtime.bus.ears import options_of
from tests.realtime.bus.test_rooms import TEXT, nodes, texts
from tests.support.redis_topologies import SERVICE, RedisCluster, RedisWithSentinel, ask
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("faultless")

ROOT = Path(__file__).resolve().parents[3]


def emit(url: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """`python -m server emit` as an operator runs it."""
    command = [sys.executable, "-m", "server", "emit", *arguments]
    environment = {**os.environ, "REDIS_URL": url}
    return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


async def test_a_plain_process_emits_to_sockets_of_two_nodes(redis_cluster: RedisCluster) -> None:
    async with nodes(redis_cluster.url, "one", "two") as (one, two):
        a, b, c = await one.join("a", "x"), await two.join("b", "x"), await two.join("c")
        said = await asyncio.to_thread(
            emit, redis_cluster.url, "hello", '{"n":1}', "--to", "x", "--to", c.sid, "--namespace", "/chat"
        )
        assert (said.returncode, said.stdout) == (0, "heard by 3 nodes\n"), said.stderr
        await eventually(lambda: texts(a, b, c) == [[TEXT], [TEXT], [TEXT]])


async def test_who_is_in_several_rooms_hears_it_once_and_in_order(any_redis_url: str) -> None:
    emitter = RoomEmitter(options_of(any_redis_url))
    async with nodes(any_redis_url, "one", "two") as (one, two):
        a, b = await one.join("a", "x", "y"), await two.join("b", "y", "z")
        port: EmitPort = emitter
        for number in range(20):
            await port.emit("n", number, to=["x", "y", "z"], but=[a.sid] if number == 0 else (), namespace="/chat")
        await eventually(lambda: len(a.heard) == 19 and len(b.heard) == 20)
        assert b.texts == [f'42/chat,["n",{number}]' for number in range(20)]
        assert await emitter.emit("n", to=["nobody"], namespace="/chat") == 0
    await emitter.aclose()


async def test_a_process_that_lives_on_leaves_a_master_that_was_replaced(
    redis_with_sentinel: RedisWithSentinel,
) -> None:
    """Before that master knows: it would go on to take what nobody hears."""
    master, sentinel = redis_with_sentinel.master, redis_with_sentinel.sentinel
    assert master is not None
    ask(sentinel, "SENTINEL", "DEBUG", "PUBLISH-PERIOD", 60_000)  # tells it four of these later
    emitter = RoomEmitter(options_of(redis_with_sentinel.url))
    running = asyncio.create_task(emitter.run())
    await emitter.emit("n", to=None)
    assert b" name=emitter " in ask(master, "CLIENT", "LIST")
    ask(sentinel, "SENTINEL", "FAILOVER", SERVICE)
    await eventually(lambda: b" name=emitter " not in ask(master, "CLIENT", "LIST"), timeout=20, every=0.1)
    assert ask(master, "ROLE")[0] == b"master"
    new = next(server for server in redis_with_sentinel.servers if server is not master)
    await eventually(lambda: _says(emitter))
    assert b" name=emitter " in ask(new, "CLIENT", "LIST")
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await emitter.aclose()


async def _says(emitter: RoomEmitter) -> bool:
    try:
        await emitter.emit("n", to=None)
    except Unavailable:
        return False
    return True


async def test_what_is_not_said_is_not_reported_as_said() -> None:
    emitter = RoomEmitter(options_of("redis+cluster://127.0.0.1:1,127.0.0.1:2", timeout_seconds=0.3))
    with pytest.raises(Unavailable):
        await emitter.emit("n", to=None)
    await emitter.aclose()
    ended = await asyncio.to_thread(emit, "redis://127.0.0.1:1", "n", "{}")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith("not known to be said")
