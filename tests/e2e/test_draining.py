"""A node that is told to stop: everybody hears it first, gets what was promised, and comes back elsewhere by itself."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.e2e.door import door
from tests.e2e.phones import CONNECT_SECONDS, Account, Phone, fix, new_id, now_ms, register
from tests.e2e.processes import ANSWERED_WITHIN_SECONDS, Node, Site
from tests.e2e.raw import RawClient, raw_client
from tests.e2e.test_javascript_client import Browser, Way, browser
from tests.realtime.serving import StalledClient
from tests.support import eventually

NOTICE_SECONDS = 4.0
"""Long enough for what happens meanwhile, on a machine that is busy."""
TICK_SECONDS = 60.0
LIMIT_SECONDS = 60.0
SHORT_SECONDS = 3.0
"""The limit of a node that needs all of it."""
# Acks wait for the group commit for longer than anything else here: only draining can bring them in time.
SETTINGS = {
    "THROTTLECOVE_TICK_MILLISECONDS": str(round(TICK_SECONDS * 1000)),
    "THROTTLECOVE_DRAIN_SECONDS": str(LIMIT_SECONDS),
}
NOTICE = {"THROTTLECOVE_DRAIN_NOTICE_SECONDS": str(NOTICE_SECONDS)}
TIMERS_MS = 5
"""How inexact clocks and timers may be."""
JAVASCRIPT = {
    "websocket": Way("json", ["websocket"]),
    "polling": Way("json", ["polling"]),
    "upgraded": Way("msgpack", ["polling", "websocket"]),
    "obedient": Way("json", ["websocket"]),
}
PYTHON = {"websocket": ["websocket"], "polling": ["polling"]}


class Returning(Phone):
    """python-socketio's client as apps use it: it comes back by itself."""

    def __init__(self, account: Account) -> None:
        super().__init__(account)
        self.client.reconnection = True
        self.client.eio.request_timeout = CONNECT_SECONDS


async def figure(node: Node, name: str) -> float:
    async with httpx.AsyncClient(timeout=ANSWERED_WITHIN_SECONDS) as http:
        text = (await http.get(f"{node.url}/metrics")).text
    return next(float(line.split()[1]) for line in text.splitlines() if line.startswith(f"{name} "))


async def is_refusing(node: Node) -> bool:
    async with httpx.AsyncClient(timeout=ANSWERED_WITHIN_SECONDS) as http:
        answer = await http.get(f"{node.url}/ready")
    assert answer.status_code == 200 or "another one" in answer.json()["detail"]
    return answer.status_code == 503


async def ended(node: Node) -> int:
    return await asyncio.to_thread(node.end)


async def test_clients_of_all_kinds_get_their_answers_and_are_back_within_seconds(one_site: Site) -> None:
    one, two = await one_site.nodes("one", "two", **SETTINGS, **NOTICE)
    async with door({"one": one.port, "two": two.port}) as entrance, browser() as javascript, AsyncExitStack() as rest:
        for name, way in JAVASCRIPT.items():
            account = await register(one.url)
            account.url = entrance.url
            javascript.open(account, way, name, obeys=name == "obedient")
            await javascript.hears("session:ready", name=name)
        phones = [Returning(await register(one.url)) for _ in PYTHON]
        for phone, transports in zip(phones, PYTHON.values(), strict=True):
            await phone.connect(entrance.url, transports)
            rest.push_async_callback(phone.disconnect)
        late = await rest.enter_async_context(stranger(one))
        answers = await ask_all(javascript, phones)
        await eventually(lambda: all_taken(one, len(answers)))

        newcomer = await register(two.url)
        entrance.leads_to = "two"
        told, told_ms = time.monotonic(), now_ms()
        one.terminate()
        await eventually(lambda: is_refusing(one))
        await assert_new_ones_are_sent_on(one, late, newcomer)
        assert [kept for _, kept in await asyncio.gather(*answers)] == [{}] * len(answers)
        for name in JAVASCRIPT:
            await assert_it_came_back(javascript, name, told_ms)
        for phone in phones:
            await eventually(
                lambda phone=phone: [name for name, _ in phone.heard].count("session:ready") == 2, timeout=30
            )
        assert time.monotonic() - told < TICK_SECONDS  # some 2 s after the notice
        assert await ended(one) == 0, one.tail()

        async def all_are_here() -> bool:
            return await figure(two, "throttlecove_sockets") == len(JAVASCRIPT) + len(PYTHON)

        await eventually(all_are_here)


async def ask_all(javascript: Browser, phones: list[Returning]) -> list["asyncio.Future[list[Any]]"]:
    """Each of them begins a track and sends a fix, which the group commit has yet to keep."""
    asked = [lambda event, payload, name=name: javascript.ask(event, payload, name) for name in JAVASCRIPT]
    asked += [phone.ask for phone in phones]
    tasks = []
    for ask in asked:
        start = {"track_id": str(new_id()), "started_at": now_ms()}
        update = {"track_id": start["track_id"], "fix": fix(0, 46.5, 8.3)}
        tasks.append(asyncio.gather(ask("track:start", start), ask("location:update", update)))
    return tasks


async def all_taken(node: Node, fixes: int) -> bool:
    return await figure(node, "throttlecove_recorder_pending_fixes") >= 2 * fixes


@asynccontextmanager
async def stranger(node: Node) -> AsyncIterator[ClientConnection]:
    """A WebSocket whose CONNECT is still to come."""
    address = f"ws://127.0.0.1:{node.port}/socket.io/?EIO=4&transport=websocket"
    async with connect(address, proxy=None, open_timeout=CONNECT_SECONDS) as websocket:
        await websocket.recv()
        yield websocket


async def assert_new_ones_are_sent_on(node: Node, late: ClientConnection, account: Account) -> None:
    """A new connection is told to try elsewhere; who was on the way in hears when to go."""
    async with httpx.AsyncClient(timeout=ANSWERED_WITHIN_SECONDS) as http:
        answer = await http.get(f"{node.url}/socket.io/?EIO=4&transport=polling")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert answer.json() == {"code": 4, "message": "This server is stopping: reconnect to another one"}
    await late.send("40" + json.dumps({"token": account.access_token, "device_id": account.device_id}))
    heard: list[str] = []
    with pytest.raises(ConnectionClosed):
        while True:
            heard.append(str(await late.recv()))
    events = [json.loads(text[2:]) for text in heard if text.startswith("42")]
    assert [name for name, _ in events] == ["session:ready", "session:drain", "error"]
    assert events[2][1]["code"] == "stopping"
    assert late.close_code == 4012


async def assert_it_came_back(javascript: Browser, name: str, told_ms: int) -> None:
    """By itself, when it was told to and not before; to Socket.IO it is a new socket, which resumes by our event."""
    await javascript.hears("session:ready", times=2, name=name)
    (drain,) = javascript.heard("session:drain", name)
    after_ms = drain[0]["reconnect_after_ms"]
    assert NOTICE_SECONDS * 500 < after_ms < (NOTICE_SECONDS + LIMIT_SECONDS / 2) * 1000
    ((reason, left_ms),) = javascript.departures(name)
    assert left_ms > told_ms + after_ms - TIMERS_MS
    # Who goes by itself has a quarter of a second for it, which a busy machine may take from it.
    goes_by_itself = reason == "io client disconnect"
    assert name == "obedient" or not goes_by_itself
    codes = [said["code"] for (said,) in javascript.heard("error", name)]
    assert codes == [] if goes_by_itself else codes in (["stopping"], [])
    assert {connected[2] for connected in javascript.heard("connect", name)} == {None}  # `socket.recovered`
    streams = javascript.heard("session:ready", name)[0][0]["streams"]
    stood = {stream: {"epoch": head["epoch"], "seq": head["head"]} for stream, head in streams.items()}
    resumed = await javascript.ask("session:resume", {"streams": stood}, name)
    assert [stream["recovered"] for stream in resumed["streams"].values()] == [True]


async def test_clients_that_never_read_do_not_hold_a_node_up(one_site: Site) -> None:
    """One node has all its time and takes no more; the other would wait for long, and is told a second time."""
    short = {**SETTINGS, "THROTTLECOVE_DRAIN_SECONDS": str(SHORT_SECONDS)}
    (patient,), (hurried,) = await asyncio.gather(one_site.nodes("one", **short), one_site.nodes("two", **SETTINGS))
    account = await register(patient.url)
    async with crowd_that_never_reads(patient, account) as one, crowd_that_never_reads(hurried, account) as two:
        began = time.monotonic()
        patient.terminate()
        hurried.terminate()
        patience = asyncio.create_task(seconds_until_ended(patient, began))
        await eventually(lambda: "session:drain" in [name for name, _ in two.events])
        heard = time.monotonic()
        await eventually(lambda: time.monotonic() > heard + 0.4)
        hurried.terminate()
        assert await seconds_until_ended(hurried, began) < LIMIT_SECONDS / 2
        assert SHORT_SECONDS / 2 < await patience < LIMIT_SECONDS / 2
        assert [await reading.ended() for reading in (one, two)] == [4012, 4012]


async def seconds_until_ended(node: Node, began: float) -> float:
    """By the monotonic clock, when it ends well."""
    assert await ended(node) == 0, node.tail()
    return time.monotonic() - began


@asynccontextmanager
async def crowd_that_never_reads(node: Node, account: Account) -> AsyncIterator[RawClient]:
    """A socket and a page's connection for which much waits; what is given is a client that does read."""
    auth = json.dumps({"token": account.access_token, "device_id": account.device_id})
    async with StalledClient.open(node.port, "40" + auth) as stalled, raw_client(node, account) as reading:
        await stalled.read_until(b"session:ready", within=CONNECT_SECONDS)
        stalled.stop_reading()
        for _ in range(900):
            stalled.emit("x" * 100, {})  # refused at length, which it does not read
        await eventually(lambda: waits(node))
        reader, writer = await asyncio.open_connection("127.0.0.1", node.port, limit=1024)
        reader._transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(b"GET /openapi.json HTTP/1.1\r\nHost: node\r\n\r\n" * 50)
        try:
            yield reading
        finally:
            writer.transport.abort()
            with suppress(OSError):
                await writer.wait_closed()


async def waits(node: Node) -> bool:
    return await figure(node, "throttlecove_sockets_unsent_bytes") > 10_000
