"""The official JavaScript client, untouched: signing in, acks, frames, refusals, coming back.

Each test runs with both parsers, by WebSocket alone, by long-polling alone and from the one to the other.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import product
from typing import Any, NamedTuple

import pytest

from tests.e2e.phones import Account, around, fix, new_id, now_ms, register, revoke
from tests.e2e.processes import Node, Site
from tests.support import eventually
from tests.support.javascript import DIRECTORY
from tests.support.javascript import node as node_binary


class Way(NamedTuple):
    """How a client connects."""

    parser: str
    transports: list[str]

    @property
    def name(self) -> str:
        return "-".join([self.parser, "+".join(self.transports)])


WAYS = [Way(*way) for way in product(("json", "msgpack"), (["websocket"], ["polling"], ["polling", "websocket"]))]
every_way = pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)


class Browser:
    """A Node process with official clients in it, and what they reported. One client unless it says which."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.reports: list[dict[str, Any]] = []
        self._next_ack = 0

    async def read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            self.reports.append(json.loads(line))

    def tell(self, **command: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command).encode() + b"\n")

    def open(self, account: Account, way: Way, name: str = "phone", *, obeys: bool = False, **options: Any) -> None:
        auth = {"token": account.access_token, "device_id": account.device_id}
        options |= {"auth": auth, "transports": way.transports}
        self.tell(do="open", name=name, url=account.url, parser=way.parser, obeys=obeys, options=options)

    async def ask(self, event: str, payload: Any, name: str = "phone") -> Any:
        self._next_ack += 1
        wanted = self._next_ack
        self.tell(do="emit", name=name, event=event, payload=payload, id=wanted)
        await eventually(lambda: any(report.get("ack") == wanted for report in self.reports), timeout=60)
        return next(report["answer"] for report in self.reports if report.get("ack") == wanted)

    def riders(self) -> set[int]:
        """The riders it was shown."""
        return {row[0] for (frame,) in self.heard("location:frame") for row in frame.get("riders", [])}

    async def means_to_come_back(self) -> bool:
        """Whether the client connects again by itself."""
        before = len(self.reports)
        self.tell(do="state", name="phone")
        await eventually(lambda: any("active" in report for report in self.reports[before:]))
        return bool(next(report["active"] for report in self.reports[before:] if "active" in report))

    def heard(self, event: str, name: str = "phone") -> list[list[Any]]:
        """The arguments of these events, oldest first."""
        return [report["args"] for report in self.reports if (report["name"], report.get("event")) == (name, event)]

    def departures(self, name: str) -> list[tuple[str, int]]:
        """Why it was disconnected, and when, in milliseconds since 1970."""
        found = [one for one in self.reports if (one["name"], one.get("event")) == (name, "disconnect")]
        return [(one["args"][0], one["at"]) for one in found]

    async def hears(self, event: str, times: int = 1, name: str = "phone") -> list[list[Any]]:
        """The same, once there are so many."""
        await eventually(lambda: len(self.heard(event, name)) >= times, timeout=60)
        return self.heard(event, name)


@asynccontextmanager
async def browser() -> AsyncIterator[Browser]:
    process = await asyncio.create_subprocess_exec(
        node_binary(), "client.mjs", cwd=DIRECTORY, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    client = Browser(process)
    reading = asyncio.create_task(client.read())
    try:
        yield client
    finally:
        process.kill()
        await process.wait()
        await reading


@every_way
async def test_it_signs_in_rides_and_sees_itself(lone_node: Node, way: Way) -> None:
    account = await register(lone_node.url)
    async with browser() as client:
        client.open(account, way)
        assert (await client.hears("session:ready"))[0][0]["rider"] == account.rider
        assert (await client.ask("sharing:set", {"audience": "public"}))["audience"] == "public"
        track = str(new_id())
        assert (await client.ask("track:start", {"track_id": track, "started_at": now_ms()}))["rider"] == account.rider
        assert "cells" in await client.ask("map:watch", around(46.5, 8.3))
        assert await client.ask("location:update", {"track_id": track, "fix": fix(0, 46.5, 8.3)}) == {}
        await eventually(lambda: account.rider in client.riders())
        refused = await client.ask("location:update", {"track_id": track, "fix": fix(1, 91, 8.3)})
        assert (refused["error"]["code"], refused["error"]["field"]) == ("invalid", "fix.latitude")


@every_way
async def test_it_is_on_the_transport_that_it_asked_for(lone_node: Node, way: Way) -> None:
    """An upgrade takes a moment after the connection; until then and afterwards there are answers."""
    account = await register(lone_node.url)
    async with browser() as client:
        client.open(account, way)
        await client.hears("session:ready")

        async def upgraded() -> bool:
            assert "cells" in await client.ask("map:watch", around(46.5, 8.3))
            client.tell(do="transport", name="phone")
            return bool((await client.hears("transport"))[-1] == way.transports[-1:])

        await eventually(upgraded)
        assert client.heard("disconnect") == []


@every_way
async def test_a_forged_token_is_refused_with_its_code(lone_node: Node, way: Way) -> None:
    account = await register(lone_node.url)
    account.access_token += "x"
    async with browser() as client:
        client.open(account, way)
        message, data = (await client.hears("connect_error"))[0]
        assert message
        assert data["code"] == "unauthenticated"
        assert not await client.means_to_come_back()


@every_way
async def test_a_revoked_session_stays_away(lone_node: Node, way: Way) -> None:
    """The client's own rules say so: it was disconnected by the server, and then refused by it."""
    account = await register(lone_node.url)
    soon: dict[str, Any] = {"reconnectionDelay": 10, "reconnectionDelayMax": 20}
    async with browser() as client:
        client.open(account, way, **soon)
        await client.hears("session:ready")
        await revoke(account)
        assert await client.hears("disconnect") == [["io server disconnect"]]
        (said,) = client.heard("error")
        assert (said[0]["code"], said[0]["reconnect"]) == ("session_revoked", "never")
        assert not await client.means_to_come_back()
        assert len(client.heard("connect")) == 1
        # An app that insists is refused once, and no more comes of it.
        client.open(account, way, **soon)
        await client.hears("connect_error")
        assert not await client.means_to_come_back()
        assert len(client.heard("connect_error")) == 1


async def test_it_comes_back_by_itself_and_goes_on_with_its_track(one_site: Site) -> None:
    """Every way at once: a node takes seconds to start."""
    node = await one_site.node()
    tracks = {way.name: str(new_id()) for way in WAYS}
    async with browser() as client:
        for way in WAYS:
            account = await register(node.url)
            client.open(account, way, way.name, reconnectionDelay=50, reconnectionDelayMax=100)
            await client.hears("session:ready", name=way.name)
            await client.ask("track:start", {"track_id": tracks[way.name], "started_at": now_ms()}, way.name)
        node.kill()
        for name in tracks:
            await client.hears("disconnect", name=name)
        node.start()
        for name, track in tracks.items():
            await client.hears("session:ready", times=2, name=name)
            assert await client.ask("location:update", {"track_id": track, "fix": fix(0, 46.5, 8.3)}, name) == {}
