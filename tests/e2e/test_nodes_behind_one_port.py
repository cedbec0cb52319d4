"""Three server processes behind one port: official clients of every kind, a process that is killed, the end of all."""

import asyncio
import stat
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.phones import around, fix, new_id, now_ms, register
from tests.e2e.processes import ANSWERED_WITHIN_SECONDS, Machine, Process, site
from tests.e2e.test_javascript_client import Browser, Way, browser
from tests.support import eventually
from tests.support.databases import Databases
from tests.support.servers import new_redis, running

NAMES = ["one.0", "one.1", "one.2"]
WAYS = [Way("json", ["polling"]), Way("msgpack", ["polling"]), Way("json", ["polling", "websocket"])]
CLIENTS = [f"{'+'.join(way.transports)}-{way.parser}-{number}" for way in WAYS for number in range(3)]


@pytest.fixture(scope="module")
def machine(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    directory = tmp_path_factory.mktemp("machine")
    redis, quick = new_redis(directory / "redis"), {"THROTTLECOVE_TICK_MILLISECONDS": "20"}
    with databases.migrated() as url, running(redis), site(url, redis.url, directory, quick) as shared:
        yield asyncio.run(shared.machine("one", 3))


@pytest.fixture
async def clients(machine: Machine) -> AsyncIterator[Browser]:
    """Official clients of all kinds, signed in."""
    accounts = await asyncio.gather(*(register(machine.url) for _ in CLIENTS))
    async with browser() as here:
        for number, name in enumerate(CLIENTS):
            here.open(accounts[number], WAYS[number // 3], name)
        for name in CLIENTS:
            await here.hears("session:ready", name=name)
        yield here


async def metrics(machine: Machine) -> str:
    async with httpx.AsyncClient(timeout=ANSWERED_WITHIN_SECONDS) as client:
        return (await client.get(f"{machine.url}/metrics")).text


def sample(text: str, name: str, **labels: str) -> dict[str, float]:
    """By node."""
    return {
        one.labels["node"]: one.value
        for family in text_string_to_metric_families(text)
        for one in family.samples
        if one.name == name and labels.items() <= one.labels.items()
    }


async def test_official_clients_that_poll_are_served_by_whichever_node_has_them(
    machine: Machine, clients: Browser
) -> None:
    for name in CLIENTS:
        track = str(new_id())
        assert "rider" in await clients.ask("track:start", {"track_id": track, "started_at": now_ms()}, name)
        assert "cells" in await clients.ask("map:watch", around(46.5, 8.3), name)
        assert await clients.ask("location:update", {"track_id": track, "fix": fix(0, 46.5, 8.3)}, name) == {}
    assert not any(clients.heard("disconnect", name) for name in CLIENTS)
    text = await metrics(machine)
    assert len([node for node, open_ in sample(text, "throttlecove_sockets").items() if open_]) > 1

    async def all_that_is_given_is_taken() -> bool:
        text = await metrics(machine)  # asked of one node after the other, while connections change hands
        given, taken, failed = (
            sum(sample(text, "throttlecove_handovers_total", outcome=outcome).values())
            for outcome in ("given", "taken", "failed")
        )
        assert given == taken >= len(CLIENTS)
        assert failed == 0
        return True

    await eventually(all_that_is_given_is_taken)


async def test_when_a_process_is_killed_the_others_serve_and_it_comes_back(machine: Machine, clients: Browser) -> None:

    async def sockets_of_these_clients() -> dict[str, float] | None:
        found = sample(await metrics(machine), "throttlecove_sockets")
        return found if sum(found.values()) == len(CLIENTS) else None  # those of the test before may take a while

    sockets = await eventually(sockets_of_these_clients, timeout=90)
    assert sockets is not None
    victim = max(sockets, key=lambda node: sockets[node])
    (process,) = (child for child in machine.children() if child.cmdline()[-3] == str(NAMES.index(victim)))
    before = listening(machine)
    machine.pause()  # the parent, which starts it again as soon as it can
    try:
        process.kill()
        await eventually(lambda: process not in machine.children())
        # A process is dead a moment before its sockets are; until then the kernel deals connections out to it.
        await eventually(lambda: listening(machine) == before - 1)
        await the_others_serve(machine, victim)
    finally:
        machine.resume()
    begun = len(CLIENTS) + (lost := int(sockets[victim]))
    await eventually(lambda: sum(len(clients.heard("session:ready", name)) for name in CLIENTS) == begun, timeout=90)
    assert sum(len(clients.heard("disconnect", name)) for name in CLIENTS) == lost
    await machine.ready()
    for name in CLIENTS:
        assert "cells" in await clients.ask("map:watch", around(46.5, 8.3), name)


def listening(machine: Machine) -> int:
    """How many sockets listen at its port: one for each node."""
    every = psutil.net_connections("tcp")
    return sum(each.status == psutil.CONN_LISTEN and each.laddr.port == machine.port for each in every)


async def the_others_serve(machine: Machine, victim: str) -> None:
    """And say who does not."""
    async with httpx.AsyncClient(timeout=ANSWERED_WITHIN_SECONDS) as client:
        for _ in range(10):  # each by a connection of its own
            assert (await client.get(f"{machine.url}/health", headers={"Connection": "close"})).status_code == 200
        ready = await client.get(f"{machine.url}/ready")
    assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
    assert ready.json()["nodes"][victim]["status"] == "unhealthy"
    up = sample(await metrics(machine), "throttlecove_node_up")
    assert (set(up), up[victim]) == (set(NAMES), 0)


async def test_its_port_is_taken_and_a_signal_ends_all_of_it(machine: Machine, tmp_path: Path) -> None:
    command = ["server", "run", "--port", str(machine.port), "--nodes", "2"]
    second = Process(command, {}, tmp_path / "second.log")
    second.start()
    children = machine.children()
    directory = Path(children[0].cmdline()[-2])
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert second.end() == 1
    (said,) = second.log.read_text().splitlines()
    assert said.startswith(f"port {machine.port} is in use by pid ")
    assert machine.stop() == 0
    assert not any(child.is_running() for child in children)
    assert not directory.exists()
