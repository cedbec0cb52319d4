"""The official JavaScript client, untouched, over each transport: signing in, acks, frames, refusals, coming back."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.e2e.phones import Account, around, fix, new_id, now_ms, register, revoke
from tests.e2e.processes import Node, Site
from tests.support import eventually
from tests.support.javascript import DIRECTORY
from tests.support.javascript import node as node_binary


class Browser:
    """A Node process with one official client in it, and what it reported."""

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

    def open(self, account: Account, **options: Any) -> None:
        auth = {"token": account.access_token, "device_id": account.device_id}
        self.tell(do="open", name="phone", url=account.url, options={"auth": auth, **options})

    async def ask(self, event: str, payload: Any) -> Any:
        self._next_ack += 1
        wanted = self._next_ack
        self.tell(do="emit", name="phone", event=event, payload=payload, id=wanted)
        await eventually(lambda: any(report.get("ack") == wanted for report in self.reports), timeout=15)
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

    def heard(self, event: str) -> list[list[Any]]:
        return [report["args"] for report in self.reports if report.get("event") == event]


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


@pytest.mark.parametrize("transports", [["websocket"], ["polling"], ["polling", "websocket"]], ids="+".join)
async def test_it_signs_in_rides_and_sees_itself(lone_node: Node, transports: list[str]) -> None:
    account = await register(lone_node.url)
    async with browser() as client:
        client.open(account, transports=transports)
        await eventually(lambda: client.heard("session:ready"), timeout=15)
        assert client.heard("session:ready")[0][0]["rider"] == account.rider
        assert (await client.ask("sharing:set", {"audience": "public"}))["audience"] == "public"
        track = str(new_id())
        assert (await client.ask("track:start", {"track_id": track, "started_at": now_ms()}))["rider"] == account.rider
        assert "cells" in await client.ask("map:watch", around(46.5, 8.3))
        assert await client.ask("location:update", {"track_id": track, "fix": fix(0, 46.5, 8.3)}) == {}
        await eventually(lambda: account.rider in client.riders())
        refused = await client.ask("location:update", {"track_id": track, "fix": fix(1, 91, 8.3)})
        assert (refused["error"]["code"], refused["error"]["field"]) == ("invalid", "fix.latitude")


async def test_a_forged_token_is_refused_with_its_code(lone_node: Node) -> None:
    account = await register(lone_node.url)
    account.access_token += "x"
    async with browser() as client:
        client.open(account, transports=["websocket"])
        await eventually(lambda: client.heard("connect_error"), timeout=15)
        message, data = client.heard("connect_error")[0]
        assert message
        assert data["code"] == "unauthenticated"
        assert not await client.means_to_come_back()


@pytest.mark.parametrize("transport", ["websocket", "polling"])
async def test_a_revoked_session_stays_away(lone_node: Node, transport: str) -> None:
    """The client's own rules say so: it was disconnected by the server, and then refused by it."""
    account = await register(lone_node.url)
    async with browser() as client:
        client.open(account, transports=[transport], reconnectionDelay=10, reconnectionDelayMax=20)
        await eventually(lambda: client.heard("session:ready"), timeout=15)
        await revoke(account)
        await eventually(lambda: client.heard("disconnect"), timeout=5)
        (said,) = client.heard("error")
        assert (said[0]["code"], said[0]["reconnect"]) == ("session_revoked", "never")
        assert client.heard("disconnect") == [["io server disconnect"]]
        assert not await client.means_to_come_back()
        assert len(client.heard("connect")) == 1
        # An app that insists is refused once, and no more comes of it.
        client.open(account, transports=[transport], reconnectionDelay=10, reconnectionDelayMax=20)
        await eventually(lambda: client.heard("connect_error"), timeout=15)
        assert not await client.means_to_come_back()
        assert len(client.heard("connect_error")) == 1


async def test_it_comes_back_by_itself_and_goes_on_with_its_track(one_site: Site) -> None:
    node = await one_site.node()
    account = await register(node.url)
    async with browser() as client:
        client.open(account, transports=["websocket"], reconnectionDelay=50, reconnectionDelayMax=100)
        await eventually(lambda: client.heard("session:ready"), timeout=15)
        track = str(new_id())
        await client.ask("track:start", {"track_id": track, "started_at": now_ms()})
        node.kill()
        await eventually(lambda: client.heard("disconnect"), timeout=15)
        node.start()
        await eventually(lambda: len(client.heard("session:ready")) == 2, timeout=30)
        assert await client.ask("location:update", {"track_id": track, "fix": fix(0, 46.5, 8.3)}) == {}
