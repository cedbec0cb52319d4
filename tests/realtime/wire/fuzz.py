"""Drives the wire with mutated sessions, byte by byte: `python -m tests.realtime.wire.fuzz --seconds 300 --seed 7`.

Each case is one connection of a peer that follows the protocol for a while and then does not: its bytes are cut,
spliced, flipped and split anyhow, it stops reading, comes back, hangs up or goes silent. Afterwards nothing may be left
of it, and nobody may have complained. A case is told by the seed and its number: `--seed 7 --case 4711` is one alone.
"""

import argparse
import asyncio
import base64
import gc
import json
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import structlog
import uvicorn
from uvicorn.server import ServerState

from domain.kit.errors import Problem, Unauthenticated
from realtime.wire.arguments import Arguments
from realtime.wire.connection import Connection, Upgrade
from realtime.wire.frames import FrameReader
from realtime.wire.interface import OVERFLOWED, STOPPING, Refused, Socket
from realtime.wire.link import Link
from realtime.wire.options import WireOptions
from realtime.wire.outbox import Outbox
from realtime.wire.packets import Lane, encode_event
from realtime.wire.peer import Peer
from realtime.wire.server import Wire, uvicorn_options
from realtime.wire.socket import WireSocket
from tests.realtime.serving import handshake, masked
from tests.realtime.wire.transports import Clock, RecordingTransport, settle, turned_clock

_OPTIONS = WireOptions(
    event_bytes=2000, frame_bytes=4000, auth_bytes=500, queue_bytes=8000, queue_packets=60, ahead_bytes=512,
    compression=True, close_within_seconds=0.5,
)  # fmt: skip
_KINDS: tuple[type, ...] = (Connection, Upgrade, Peer, WireSocket, Link, FrameReader, Outbox)
_PLACED = '{"_placeholder":true,"num":%d}'
_TEXTS = (
    "40/custom,", '40/custom,{"a":1}', "41/custom,", "5", "3", "6", '42["ask"]', '42["many"]', '42["many"]',
    '42["echo",{"a":[1,2.5,null,"é😀"]}]', '421["echo",1]', '42/custom,7["say","x"]', '42["ask"]', '42["many"]',
    f'452-8["echo",{_PLACED % 0},{_PLACED % 1}]', f'461-1[{_PLACED % 0}]', '43%d["yes"]', '42["echo"]',
    '42["x","' + "y" * 1900 + '"]', '42["x","' + "y" * 2100 + '"]', "4" + "[" * 300, "42", '44{"message":"no"}',
)  # fmt: skip
_LAST_TEXTS = ("40", '40{"token":"t"}', "41", "2probe", "2", "1", '42["leave"]', '42["kick"]', '451-["x"]')
"""What mostly ends a connection, or is not understood."""


def _msgpack(kind: int, data: object, namespace: str = "/", ack_id: int | None = None) -> bytes:
    packet = {"type": kind, "data": data, "nsp": namespace} | ({} if ack_id is None else {"id": ack_id})
    return msgspec.msgpack.encode(packet)


_BINARIES = (
    b"one", b"", bytes(1500), _msgpack(0, {"token": "t"}), _msgpack(0, None, "/custom"), _msgpack(1, None),
    _msgpack(2, ["echo", b"x", 1.5]), _msgpack(2, ["echo", {"a": None}], ack_id=3), _msgpack(3, ["yes"], ack_id=1),
    _msgpack(2, ["ask"], "/custom"), msgspec.msgpack.encode(["no", "map"]),
)  # fmt: skip
_PROBES = ((b"2probe", b"5"),) * 5 + ((b"2probe",), (b"5",), ())
_METHODS = ("GET",) * 4 + ("POST",) * 8 + ("OPTIONS", "PUT")
_QUERIES = ("EIO=4&transport=websocket",) * 20 + (
    "EIO=3&transport=websocket", "transport=websocket", "EIO=4&transport=polling", "",
    "EIO=4&transport=websocket&sid=x",
)  # fmt: skip
_HEADERS = ("",) * 8 + (
    "Sec-WebSocket-Extensions: permessage-deflate\r\n", "Origin: https://elsewhere.example\r\n",
    "X-Forwarded-For: 203.0.113.9, 10.0.0.1\r\n", "Sec-WebSocket-Extensions: ;\r\n",
)  # fmt: skip
_FIRST_BYTES = (0x81,) * 12 + (0x82, 0x88, 0x89, 0x8A, 0x01, 0x00, 0x80, 0xC1, 0xFF)


async def _elsewhere(
    scope: dict[str, Any], _receive: object, send: Callable[[dict[str, Any]], Awaitable[None]]
) -> None:
    """The application beside ours, to which other paths go."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.close"})
    else:
        await send({"type": "http.response.start", "status": 404})
        await send({"type": "http.response.body"})


class Broken(AssertionError):
    """A case after which something was left, or in which something went wrong."""


class Fickle:
    """An endpoint that does everything an endpoint may: waits, refuses, asks, answers, leaves, kicks, falls over."""

    def __init__(self, wire: Wire, dice: random.Random) -> None:
        self._wire = wire
        self._dice = dice
        self.open: Counter[Socket] = Counter()
        """Sockets that were let in and not said goodbye to."""
        self.asked = 0

    def admit(self, socket: Socket, _auth: Arguments) -> Awaitable[None] | None:
        if self._dice.random() < 0.1:
            raise self._dice.choice((Unauthenticated("no"), Refused({"message": "no"})))
        if self._dice.random() < 0.5:
            return self._wait(socket)
        self.open[socket] += 1
        return None

    async def _wait(self, socket: Socket) -> None:
        for _ in range(self._dice.randrange(4)):
            await asyncio.sleep(0)
        if self._dice.random() < 0.1:
            raise Unauthenticated("no")
        self.open[socket] += 1

    def opened(self, socket: Socket) -> None:
        socket.send(encode_event("ready", {}, namespace=socket.namespace))

    def event(self, socket: Socket, name: str, arguments: Arguments, ack_id: int | None) -> None:
        if name == "ask":
            asking = self._wire.next_ack_id()
            self.asked += 1
            socket.expect(asking, self._answered)
            socket.send(encode_event("ask", namespace=socket.namespace, ack_id=asking))
        elif name == "many":
            for lane in Lane:
                socket.send(encode_event("much", "x" * 300, namespace=socket.namespace, lane=lane))
        elif name == "leave":
            socket.leave()
        elif name == "kick":
            socket.close(self._dice.choice((OVERFLOWED, STOPPING)))
        if ack_id is not None:
            socket.acknowledge(ack_id, *(arguments.values() if not arguments.binary else ()))

    def _answered(self, _socket: Socket, _answers: Arguments | None) -> None:
        self.asked -= 1

    def fault(self, socket: Socket, problem: Problem, ack_id: int | None) -> None:
        socket.send(encode_event("error", {"code": problem.code.value}, namespace=socket.namespace))

    def closed(self, socket: Socket, _reason: str) -> None:
        self.open[socket] -= 1
        if not self.open[socket]:
            del self.open[socket]


class Fuzzer:
    """One wire, and the cases that are played on it."""

    def __init__(self, seed: str, clock: Clock) -> None:
        self._seed = seed
        self._clock = clock
        self._dice = random.Random(seed)
        self.wire = Wire(_OPTIONS)
        self.endpoint = Fickle(self.wire, self._dice)
        self.wire.serve(self.endpoint)
        self.wire.serve(self.endpoint, "/custom")
        self._app = self.wire.app(_elsewhere)
        self._config = uvicorn.Config(self._app, log_config=None, lifespan="off", **uvicorn_options(self.wire.engine))
        self._config.load()
        self._state = ServerState()
        self._before = asyncio.all_tasks()
        self._msgpack = False
        """Whether the present peer speaks it."""
        self.played: Counter[str] = Counter()

    async def play(self, number: int) -> None:
        """One case. Raises Broken."""
        self._dice.seed(f"{self._seed}:{number}")
        play = self._websocket if self._dice.random() < 0.7 else self._polling
        with complaints() as heard:
            try:
                await play()
                await self._wait_for_the_end()
            except Exception as error:
                raise Broken(f"case {number}: {error!r}") from error
        left = [*heard, *self.left()]
        if left:
            raise Broken(f"case {number}: {left}")

    # A WebSocket

    async def _websocket(self, query: str | None = None, beginning: tuple[bytes, ...] = ()) -> None:
        dice = self._dice
        link = Link({"/socket.io/": self.wire.engine}, self._config, self._state, {})
        transport = RecordingTransport(link, dice.choice(("192.0.2.1", "127.0.0.1", "2001:db8::1")))
        link.connection_made(transport)
        opening = handshake(1, query if query is not None else dice.choice(_QUERIES), dice.choice(_HEADERS))
        transport.feed(self._mutated(opening) if dice.random() < 0.1 else opening)
        self.played[bytes(transport.sent[9:12]).decode() or "none"] += 1
        data = b"".join([*map(masked, beginning), *self._frames()])
        if dice.random() < 0.25:
            data = self._mutated(data)
        if link._other is not None:  # the handshake named another path: uvicorn's own class is not driven here
            transport.reset()
            return
        await self._say(transport, data)
        ending = dice.randrange(4)
        if ending == 0:
            transport.reset()
        elif ending == 1:
            transport.hang_up()
        elif ending == 2:
            transport.drain()

    async def _say(self, transport: RecordingTransport, data: bytes) -> None:
        dice = self._dice
        most = dice.choice((1, 7, 60, 600, 10_000))
        while data and not transport.is_closing():
            if not transport.stalled and dice.random() < 0.1:
                transport.stall()
            elif transport.stalled and dice.random() < 0.05:
                transport.drain()
            if transport.reading:
                size = dice.randint(1, most)
                transport.feed(data[:size])
                data = data[size:]
            if not transport.reading or dice.random() < 0.3:
                await asyncio.sleep(0)
                if not transport.reading and dice.random() < 0.01:
                    return

    def _frames(self) -> Iterator[bytes]:
        dice = self._dice
        self._msgpack = dice.random() < 0.3
        if dice.random() < 0.97:
            yield masked(_BINARIES[3], 0x82) if self._msgpack else masked(b"40")
        for _ in range(dice.randrange(40)):
            for whole in self._messages():
                data = self._mutated(whole) if dice.random() < 0.04 else whole
                first = 0x82 if data in _BINARIES or data == b"part" else 0x81
                if dice.random() < 0.02:
                    first = dice.choice(_FIRST_BYTES)
                if dice.random() < 0.1 and len(data) > 1:
                    cut = dice.randrange(len(data))
                    yield masked(data[:cut], first & 0x7F)
                    yield masked(data[cut:], 0x80)
                else:
                    yield masked(data, first)

    def _messages(self) -> list[bytes]:
        """One message; what announces attachments mostly has them behind it."""
        if self._dice.random() < 0.02:
            return [self._dice.choice(_LAST_TEXTS).encode()]
        if self._msgpack or self._dice.random() < 0.03:
            return [self._dice.choice(_BINARIES)]
        text = self._dice.choice(_TEXTS)
        if "%d" in text:
            text = text % (self.wire._ack_id - self._dice.randrange(2))
        parts = [b"part"] * text.count("_placeholder") if self._dice.random() < 0.8 else []
        return [text.encode(), *parts]

    def _mutated(self, data: bytes) -> bytes:
        dice, bent = self._dice, bytearray(data)
        for _ in range(dice.randint(1, 3)):
            at = dice.randrange(len(bent) + 1)
            end = min(len(bent), at + dice.choice((1, 1, 4, 30)))
            way = dice.randrange(5)
            if way == 0 and at < len(bent):
                bent[at] ^= 1 << dice.randrange(8)
            elif way == 1:
                bent[at:end] = b""
            elif way == 2:
                bent[at:at] = bent[at:end] * dice.choice((1, 3))
            elif way == 3:
                bent[at:end] = dice.randbytes(dice.choice((1, 4, 9)))
            else:
                del bent[at + dice.randrange(500) :]
        return bytes(bent)

    # Long-polling

    async def _polling(self) -> None:
        dice = self._dice
        opening = await self._request("GET", "EIO=4&transport=polling")
        self.played["polling"] += 1
        self._msgpack = False
        sid = json.loads(opening[1:])["sid"] if opening[:1] == b"0" else "none"
        under_way = []
        query = f"EIO=4&transport=polling&sid={sid}"
        for _ in range(dice.randrange(1, 12)):
            method = dice.choice(_METHODS)
            body = b"\x1e".join(self._payload()) if method == "POST" else b""
            if dice.random() < 0.1:
                body = self._mutated(body)
            patient = dice.random() < 0.95
            under_way.append(asyncio.ensure_future(self._request(method, query, body, patient=patient)))
            if dice.random() < 0.15:
                probing = self._websocket(f"EIO=4&transport=websocket&sid={sid}", dice.choice(_PROBES))
                under_way.append(asyncio.ensure_future(probing))
            if dice.random() < 0.8:
                await settle()
        await self._clock.turn(100)
        await self._clock.turn(100)
        await asyncio.wait_for(asyncio.gather(*under_way), 10_000)

    def _payload(self) -> Iterator[bytes]:
        if self._dice.random() < 0.3:
            yield b"40"
        for _ in range(self._dice.choice((0, 1, 3, 3, 70))):
            for data in self._messages():
                yield b"b" + base64.b64encode(data) if data in _BINARIES or data == b"part" else data

    async def _request(self, method: str, query: str, body: bytes = b"", *, patient: bool = True) -> bytes:
        scope = {
            "type": "http", "method": method, "path": "/socket.io/", "query_string": query.encode(), "headers": [],
            "scheme": "http", "client": ("192.0.2.7", 1), "root_path": "",
        }  # fmt: skip
        half = len(body) // 2
        arriving = [{"type": "http.request", "body": body[:half], "more_body": True}] if patient or half else []
        if patient:
            arriving.append({"type": "http.request", "body": body[half:]})
        told: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            await asyncio.sleep(0)
            if arriving:
                return arriving.pop(0)
            if patient:
                await asyncio.Event().wait()
            return {"type": "http.disconnect"}

        async def send(event: dict[str, Any]) -> None:
            told.append(event)

        await self._app(scope, receive, send)
        return b"".join(event.get("body", b"") for event in told)

    # Afterwards

    async def _wait_for_the_end(self) -> None:
        """Whoever said nothing any more is found out by the heartbeat, whoever does not read by the queue."""
        for _ in range(10):
            await self._clock.turn(50)
            if not self.left():
                return

    def left(self) -> list[str]:
        """What is not as it was before."""
        wire, engine = self.wire, self.wire.engine
        counts = {
            "sessions": len(engine.sessions),
            "peers": len(wire._peers),
            "tasks": len(engine.tasks),
            "other tasks": len(asyncio.all_tasks() - self._before - {asyncio.current_task()}),
            "links": len(self._state.connections),
            "doors": engine.doors.open,
            "unauthenticated": engine.doors._unauthenticated,
            "addresses": len(engine.doors._addresses),
            "open sockets": len(self.endpoint.open),
            "answers awaited": self.endpoint.asked,
            "connects": len(wire._connects),
            **{name: len(getattr(engine, name)) for name in ("_pings", "_pongs", "_waits", "_upgrades")},
        }
        return [f"{name}: {count}" for name, count in counts.items() if count]

    def alive(self) -> list[str]:
        """Objects of earlier connections that something still holds."""
        gc.collect()
        return [type(each).__name__ for each in gc.get_objects() if type(each) in _KINDS]


@contextmanager
def complaints() -> Iterator[list[str]]:
    """What the event loop's exception handler and the log are told meanwhile, errors only."""
    loop, heard = asyncio.get_running_loop(), list[str]()
    loop.set_exception_handler(
        lambda _loop, context: heard.append(f"{context['message']}: {context.get('exception')!r}")
    )
    try:
        with structlog.testing.capture_logs() as entries:
            yield heard
        heard += [str(entry) for entry in entries if entry["log_level"] == "error"]
    finally:
        loop.set_exception_handler(None)


async def fuzz(seed: str, go_on: Callable[[int], bool], first: int = 0) -> Fuzzer:
    """Play cases from the first while `go_on` of the next one's number says so. Raises Broken."""
    with turned_clock() as clock:
        fuzzer = Fuzzer(seed, clock)
        number = first
        while go_on(number):
            await fuzzer.play(number)
            number += 1
            if number % 500 == 0 and (alive := fuzzer.alive()):
                raise Broken(f"before case {number}: {Counter(alive)} are alive")
        if alive := fuzzer.alive():
            raise Broken(f"after all: {Counter(alive)} are alive")
        await fuzzer.wire.shutdown()
        return fuzzer


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--case", type=int, help="run this one alone")
    chosen = parser.parse_args()
    until = time.monotonic() + chosen.seconds
    first = chosen.case or 0
    one = chosen.case is not None
    fuzzer = asyncio.run(fuzz(chosen.seed, lambda number: number == first if one else time.monotonic() < until, first))
    print(f"{fuzzer.played.total()} connections: {dict(fuzzer.played)}")  # noqa: T201


if __name__ == "__main__":
    _main()
