"""Two machines behind the shipped nginx, one of them with two nodes behind its port: every transport, a machine that
dies, and what the proxy itself refuses.
"""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.deploy.nginx import nginx
from tests.e2e.phones import PASSWORD, Phone, around, fix, register
from tests.e2e.processes import Machine, Node, Site, site
from tests.support import eventually
from tests.support.databases import Databases
from tests.support.servers import new_redis, running

pytestmark = pytest.mark.timeout(180)  # three processes and a proxy have to come up

_NOTICED_WITHIN_SECONDS = 75
"""python-engineio's client may miss the end of a connection to which it is just writing; it then notices when it has
had nothing to write for 30 s."""
TRANSPORTS = [["websocket"], ["polling"], ["polling", "websocket"]]


@dataclass
class Front:
    url: str
    log: Path
    one: Machine
    two: Node


@pytest.fixture(scope="module")
def front(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    directory = tmp_path_factory.mktemp("front")
    redis = new_redis(directory / "redis")
    slow_end = {"THROTTLECOVE_DRAIN_NOTICE_SECONDS": "30"}
    with databases.migrated() as store, running(redis), site(store, redis.url, directory, slow_end) as shared:
        one, two = asyncio.run(started(shared))
        with nginx(directory, {"one": one.port, "two": two.port}) as url:
            yield Front(url, directory / "nginx.log", one, two)


async def started(shared: Site) -> tuple[Machine, Node]:
    one, two = await asyncio.gather(shared.machine("one", 2), shared.node("two"))
    return one, two


async def metric(node: Node, name: str) -> float:
    """Of all nodes behind the port."""
    async with httpx.AsyncClient(timeout=30) as client:
        text = (await client.get(f"{node.url}/metrics")).text
    families = text_string_to_metric_families(text)
    return sum(sample.value for family in families for sample in family.samples if sample.name == name)


async def sockets(node: Node) -> float:
    return await metric(node, "throttlecove_sockets")


def is_on(machine: str, phone: Phone) -> bool:
    """Engine.IO's session ids begin with the machine's name."""
    return str(phone.client.eio.sid).startswith(f"{machine}.")


async def has_sockets(node: Node, number: int) -> bool:
    """Those that have left are counted until their end is seen; a process that is late is not counted at all."""
    return await sockets(node) == number


async def rides(phone: Phone, latitude: float) -> None:
    track = await phone.start_track()
    assert await phone.ask("location:update", {"track_id": track, "fix": fix(0, latitude, 8.3)}) == {}


async def test_every_transport_reaches_both_nodes_and_riders_see_each_other(front: Front) -> None:
    phones = []
    for number in range(6):
        # Registered at a node: how often one address may ask is the last test's.
        account = await register(front.one.url)
        phone = Phone(account)
        await phone.connect(front.url, TRANSPORTS[number % len(TRANSPORTS)])
        await phone.ask("map:watch", around(46.5, 8.3))
        await rides(phone, 46.5 + number / 10_000)
        phones.append(phone)
    for name, node in (("one", front.one), ("two", front.two)):
        there = sum(is_on(name, phone) for phone in phones)
        assert there
        await eventually(lambda node=node, there=there: has_sockets(node, there))
    for phone in phones:
        await eventually(lambda phone=phone: all(phone.sees(other.account.rider) for other in phones))
    for phone in phones:
        await phone.disconnect()


async def test_a_session_is_found_on_its_machine_whichever_of_its_nodes_has_it(front: Front) -> None:
    """nginx knows the machine by the beginning of the id, and keeps connections to it open for requests of all."""
    sids: dict[str, str] = {}
    async with httpx.AsyncClient(headers={"Connection": "close"}, timeout=30) as client:
        while len(sids) < 2:  # each by a connection of its own, to either node of the machine
            answer = await client.get(f"{front.one.url}/socket.io/?EIO=4&transport=polling")
            sid = json.loads(answer.text[1:])["sid"]
            sids[sid.rpartition(".")[0]] = sid
    assert set(sids) == {"one.0", "one.1"}
    params = {"EIO": "4", "transport": "polling"}
    async with httpx.AsyncClient(base_url=front.url, params=params, timeout=30) as client:
        for _ in range(3):
            for sid in sids.values():
                answer = await client.post("/socket.io/", params={"sid": sid}, content="3")
                assert (answer.status_code, answer.text) == (200, "ok")

    async def were_handed_over() -> bool:
        return await metric(front.one, "throttlecove_handovers_total") >= 5

    await eventually(were_handed_over)


async def test_when_a_node_dies_its_riders_come_back_at_the_other(front: Front) -> None:
    phones = [Phone(await register(front.one.url)) for _ in range(6)]
    for number, phone in enumerate(phones):
        await phone.connect(front.url, TRANSPORTS[number % len(TRANSPORTS)])
    cut = [phone for phone in phones if is_on("one", phone)]
    assert cut
    front.one.kill()
    await eventually(lambda: not any(phone.client.connected for phone in cut), timeout=_NOTICED_WITHIN_SECONDS)
    assert all(phone.client.connected for phone in phones if phone not in cut)
    for number, phone in enumerate(phones):
        if phone in cut:
            await phone.disconnect()
            again = Phone(phone.account)
            await again.connect(front.url, TRANSPORTS[number % len(TRANSPORTS)])
            await rides(again, 46.5)
            phones[number] = again
    await eventually(lambda: has_sockets(front.two, len(phones)))
    for phone in phones:
        await phone.disconnect()
    front.one.start()
    await front.one.serves()


async def test_a_caller_cannot_say_where_it_comes_from(front: Front) -> None:
    account = await register(front.one.url, "somewhere_else")
    credentials = {"identifier": "somewhere_else", "password": PASSWORD, "device_id": "laptop"}
    claimed = {"X-Forwarded-For": "203.0.113.7"}
    async with httpx.AsyncClient(base_url=front.url, headers=claimed, timeout=30) as client:
        assert (await client.post("/v1/auth/login", json=credentials)).status_code == 200
        sessions = (await client.get("/v1/auth/sessions", headers=account.headers)).json()["sessions"]
    assert {session["ip_address"] for session in sessions} == {"127.0.0.1"}


async def test_what_the_proxy_refuses_is_a_problem_as_well(front: Front) -> None:
    async with httpx.AsyncClient(base_url=front.url, timeout=30) as client:
        large = await client.post("/v1/auth/login", content=b"x" * 1_100_000)
        assert (large.status_code, large.json()["code"]) == (413, "too_large")
        assert large.headers["content-type"] == "application/problem+json"

        async def too_many() -> list[httpx.Response]:
            many = await asyncio.gather(*(client.get("/v1/nothing?bounds=8.3,46.5,8.4,46.6") for _ in range(80)))
            return [answer for answer in many if answer.status_code == 429]

        refused = await eventually(too_many)  # at once if the machine sends eighty within four seconds
        assert refused[0].json()["code"] == "rate_limited"
        assert refused[0].headers["retry-after"] == "1"
        for inner in ("/metrics", "/ready"):
            assert (await client.get(inner)).status_code == 404

        async def healthy() -> bool:
            return bool((await client.get("/health")).json()["status"] == "healthy")

        await eventually(healthy)  # each process of a machine answers for all, and on a busy one some are late
        await assert_the_other_node_is_tried(front)
        front.one.kill()
        front.two.kill()
        gone = await client.get("/health")
        assert (gone.status_code, gone.json()["code"]) == (503, "unavailable")
        assert gone.headers["retry-after"] == "5"
    assert "bounds" not in front.log.read_text()


async def assert_the_other_node_is_tried(front: Front) -> None:
    """A node that is stopping sends new connections on, and nginx brings them to the one that is not."""
    front.one.terminate()
    async with httpx.AsyncClient(timeout=30) as client:

        async def refuses() -> bool:
            return (await client.get(f"{front.one.url}/socket.io/?EIO=4&transport=polling")).status_code == 503

        await eventually(refuses)
        for _ in range(3):
            answer = await client.get(f"{front.url}/socket.io/?EIO=4&transport=polling")
            assert answer.text.startswith('0{"sid":"two.'), answer.text
