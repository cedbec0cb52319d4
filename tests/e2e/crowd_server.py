"""A node of the wire alone, as a process: `python -m tests.e2e.crowd_server PORT`. What it does is asked for by HTTP.

`/levels`                      what is open, held and waited for, as JSON
`/tell?count=&bytes=&every_ms=`  numbered events to everybody, each with the time at which it was sent
`/flood?bytes=`                events of its own to each socket that said `{"stalled": true}`, until all are closed
"""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs

import uvicorn

from domain.kit.errors import Problem
from realtime.wire.arguments import Arguments
from realtime.wire.interface import Socket
from realtime.wire.options import WireOptions
from realtime.wire.packets import encode_event
from realtime.wire.server import Wire, uvicorn_options

OPTIONS = WireOptions(
    queue_bytes=64 * 1024,
    sockets_per_address=10_000,
    queue_seconds=60,
    connect_within_seconds=60,
    head_within_seconds=60,
)

Send = Callable[[dict[str, Any]], Awaitable[None]]


class Crowd:
    """Everybody who is here, by whether they read."""

    def __init__(self) -> None:
        self.readers: set[Socket] = set()
        self.stalled: set[Socket] = set()
        self.reasons: dict[str, int] = {}
        self._number = 0

    def admit(self, socket: Socket, auth: Arguments) -> None:
        said = auth.values()
        (self.stalled if said and said[0].get("stalled") else self.readers).add(socket)

    def opened(self, socket: Socket) -> None:
        pass

    def event(self, socket: Socket, name: str, arguments: Arguments, ack_id: int | None) -> None:
        if ack_id is not None:
            socket.acknowledge(ack_id, *arguments.values())

    def fault(self, socket: Socket, problem: Problem, ack_id: int | None) -> None:
        pass

    def closed(self, socket: Socket, reason: str) -> None:
        self.readers.discard(socket)
        self.stalled.discard(socket)
        self.reasons[reason] = self.reasons.get(reason, 0) + 1

    async def tell(self, count: int, size: int, every_ms: int) -> None:
        for _ in range(count):
            packet = encode_event("number", self._number, time.monotonic_ns(), "x" * size)
            self._number += 1
            for socket in (*self.readers, *self.stalled):
                socket.send(packet)
            await asyncio.sleep(every_ms / 1000)

    async def flood(self, size: int) -> None:
        while self.stalled:
            for socket in list(self.stalled):
                socket.send(encode_event("own", "x" * size))
            await asyncio.sleep(0.005)


class Control:
    """The application beside the wire."""

    def __init__(self) -> None:
        self.crowd = Crowd()
        self.wire = Wire(OPTIONS, self.crowd)

    async def __call__(self, scope: dict[str, Any], _receive: object, send: Send) -> None:
        query = {name: int(values[0]) for name, values in parse_qs(scope["query_string"].decode()).items()}
        if scope["path"] == "/tell":
            await self.crowd.tell(query["count"], query["bytes"], query["every_ms"])
        elif scope["path"] == "/flood":
            await self.crowd.flood(query["bytes"])
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": json.dumps(self.levels()).encode()})

    def levels(self) -> dict[str, Any]:
        engine, doors = self.wire.engine, self.wire.engine.doors
        waiting = [socket.backlog() for socket in self.crowd.stalled]
        return {
            "open": doors.open,
            "unauthenticated": doors._unauthenticated,
            "addresses": len(doors._addresses),
            "sessions": len(engine.sessions),
            "peers": len(self.wire._peers),
            "timers": len(engine._pings) + len(engine._pongs) + len(engine._waits) + len(self.wire._connects),
            "readers": len(self.crowd.readers),
            "stalled": sum(packets > 0 for packets in waiting),
            "reasons": self.crowd.reasons,
        }


def main() -> None:
    control = Control()
    app = control.wire.app(control)
    uvicorn.run(
        app,
        port=int(sys.argv[1]),
        loop="uvloop",
        lifespan="off",
        log_level="warning",
        backlog=4096,
        **uvicorn_options(control.wire.engine),
    )


if __name__ == "__main__":
    main()
