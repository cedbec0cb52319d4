"""A WebSocket that speaks Engine.IO and Socket.IO by hand: it may send anything, and counts every answer."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.e2e.phones import CONNECT_SECONDS, Account
from tests.e2e.processes import ANSWERED_WITHIN_SECONDS, Node
from tests.support import eventually


class RawClient:
    """One signed-in connection. `acks` has every answer by ack id, `events` what was heard, in order."""

    def __init__(self, websocket: ClientConnection) -> None:
        self._websocket = websocket
        self._ids = itertools.count(1)
        self.acks: dict[int, list[Any]] = {}
        self.events: list[tuple[str, Any]] = []
        self.close_code: int | None = None

    @property
    def open(self) -> bool:
        return self.close_code is None

    async def hear(self) -> None:
        try:
            async for text in self._websocket:
                await self._heard(str(text))
        except ConnectionClosed:
            pass
        self.close_code = self._websocket.close_code

    async def _heard(self, text: str) -> None:
        if text == "2":
            await self._websocket.send("3")
        elif text.startswith("42"):
            name, payload = json.loads(text[2:])
            self.events.append((name, payload))
        elif text.startswith("43"):
            ack_id, bracket, rest = text[2:].partition("[")
            (answer,) = json.loads(bracket + rest)
            self.acks.setdefault(int(ack_id), []).append(answer)

    async def send(self, *frames: str | bytes) -> None:
        for frame in frames:
            await self._websocket.send(frame)

    async def tell(self, event: str, *arguments: str, header: str = "42") -> int:
        """Send an event with these arguments, JSON or not; its ack id."""
        ack_id = next(self._ids)
        await self.send(f"{header}{ack_id}[{','.join((json.dumps(event), *arguments))}]")
        return ack_id

    async def answer(self, ack_id: int) -> Any:
        await eventually(lambda: ack_id in self.acks, timeout=ANSWERED_WITHIN_SECONDS)
        (answer,) = self.acks[ack_id]
        return answer

    async def ask(self, event: str, *arguments: Any) -> Any:
        """Send an event with these arguments; the only answer."""
        return await self.answer(await self.tell(event, *map(json.dumps, arguments)))

    async def ended(self) -> int | None:
        """Wait for the close; its WebSocket status."""
        await eventually(lambda: not self.open)
        return self.close_code


@asynccontextmanager
async def raw_client(node: Node, account: Account) -> AsyncIterator[RawClient]:
    """A connection that has heard `session:ready`."""
    address = f"ws://127.0.0.1:{node.port}/socket.io/?EIO=4&transport=websocket"
    async with connect(address, proxy=None, max_size=None, open_timeout=CONNECT_SECONDS) as websocket:
        client = RawClient(websocket)
        await client.send("40" + json.dumps({"token": account.access_token, "device_id": account.device_id}))
        hearing = asyncio.create_task(client.hear())
        try:
            await eventually(lambda: client.events, timeout=CONNECT_SECONDS)
            assert client.events[0][0] == "session:ready"
            yield client
        finally:
            await websocket.close()
            await hearing
