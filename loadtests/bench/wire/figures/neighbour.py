"""One more neighbour: how many bytes a `location:frame` grows by with each further rider, in either format.

Riders of a whole node move in groups of several sizes; two watchers, one with each parser, keep the frames they get.
The figure is the slope of the straight line through (riders in the frame, bytes of the frame).
"""

import json
import random
import statistics
from abc import ABC, abstractmethod
from typing import Any

import msgspec
from websockets.sync.client import ClientConnection, connect

from domain.kit.clock import SystemClock
from domain.kit.ids import uuid7
from loadtests.bench.wire.accounts import Rider
from loadtests.bench.wire.bench import Bench, Server
from loadtests.bench.wire.figures.figure import Measurement
from loadtests.bench.wire.figures.live_map import move, start_track
from loadtests.bench.wire.figures.places import Place, places
from loadtests.bench.wire.generator import Generator, LoadFailed
from loadtests.bench.wire.peers import OUR_NODE
from loadtests.bench.wire.results import OURS, Reading

_GROUPS = (5, 15, 40)
"""Riders who move within one tick."""
_TURNS = 6
_PAUSE_SECONDS = 1.0
_SILENCE_SECONDS = 1.0
_FRAME = "location:frame"

Frame = tuple[int, int]
"""Riders, and bytes."""


class Neighbour(Measurement):
    """Both neighbour figures, at one node."""

    peers = (OURS,)
    once = True

    def measure(self, bench: Bench, peer: str) -> list[Reading]:
        place = places()[0]
        # The newest accounts: their numbers are as long as those of a community with thousands of riders.
        *riders, json_watcher, msgpack_watcher = bench.riders[-sum(_GROUPS) - 2 :]
        with (
            bench.server(OUR_NODE) as server,
            bench.generator(server) as generator,
            JsonWatcher(server, json_watcher) as by_json,
            MsgpackWatcher(server, msgpack_watcher) as by_msgpack,
        ):
            by_json.ask(place)
            by_msgpack.ask(place)
            _ride(generator, riders, place)
            return [_reading("neighbour-json", by_json.frames()), _reading("neighbour-msgpack", by_msgpack.frames())]


def _ride(generator: Generator, riders: list[Rider], place: Place) -> None:
    """Groups of several sizes move, one after another, so that frames of several sizes come of it."""
    chance, clock = random.Random(2), SystemClock()
    for size in _GROUPS:
        name, members, riders = f"riders{size}", riders[:size], riders[size:]
        tracks = [uuid7(clock.epoch_ms()) for _ in members]
        generator.group(name, [one.auth for one in members], greeted=True)
        generator.open(name, size)
        generator.events(name, [start_track(track) for track in tracks])
        generator.once(name, at_once=size)
        generator.events(name, [move(track, place, chance) for track in tracks])
    for _ in range(_TURNS):
        for size in _GROUPS:
            generator.once(f"riders{size}", at_once=size)
        generator.idle(_PAUSE_SECONDS)


def _reading(figure: str, frames: list[Frame]) -> Reading:
    if len({riders for riders, _ in frames}) < 2:
        raise LoadFailed(f"the watcher of {figure} saw frames of fewer than two sizes: {frames}")
    slope = statistics.linear_regression([riders for riders, _ in frames], [size for _, size in frames]).slope
    return Reading(figure, OURS, slope, "", {"frames": len(frames), "largest": max(frames)[0]})


class Watcher(ABC):
    """One client that looks at a place and keeps every frame."""

    def __init__(self, server: Server, rider: Rider) -> None:
        self._socket: ClientConnection = connect(
            f"ws://127.0.0.1:{server.port}/socket.io/?EIO=4&transport=websocket", compression=None, max_queue=None
        )
        self._socket.recv()
        self._socket.send(self.connect_packet(json.loads(rider.auth)))

    def __enter__(self) -> "Watcher":
        return self

    def __exit__(self, *_error: object) -> None:
        self._socket.close()

    @abstractmethod
    def connect_packet(self, auth: dict[str, str]) -> str | bytes:
        """CONNECT."""

    @abstractmethod
    def event_packet(self, text: str) -> str | bytes:
        """An event, given as JSON."""

    @abstractmethod
    def read_event(self, message: str | bytes) -> list[Any] | None:
        """The event in a message, None where there is none."""

    def ask(self, place: Place) -> None:
        """Look at the place."""
        self._socket.send(self.event_packet(place.watch()))

    def frames(self) -> list[Frame]:
        """Every frame so far but the snapshots, which also bring the origin."""
        found = []
        while (message := self._receive()) is not None:
            event = self.read_event(message)
            if event and event[0] == _FRAME and event[1].get("riders") and not event[1].get("snapshot"):
                found.append((len(event[1]["riders"]), len(message.encode() if isinstance(message, str) else message)))
        return found

    def _receive(self) -> str | bytes | None:
        try:
            return self._socket.recv(_SILENCE_SECONDS)
        except TimeoutError:
            return None


class JsonWatcher(Watcher):
    """With the default parser."""

    def connect_packet(self, auth: dict[str, str]) -> str:
        return "40" + json.dumps(auth)

    def event_packet(self, text: str) -> str:
        return "42" + text

    def read_event(self, message: str | bytes) -> list[Any] | None:
        if not isinstance(message, str) or not message.startswith("42"):
            return None
        event: list[Any] = json.loads(message[2:])
        return event


class MsgpackWatcher(Watcher):
    """With socket.io-msgpack-parser."""

    def connect_packet(self, auth: dict[str, str]) -> bytes:
        return msgspec.msgpack.encode({"type": 0, "data": auth, "nsp": "/"})

    def event_packet(self, text: str) -> bytes:
        return msgspec.msgpack.encode({"type": 2, "data": json.loads(text), "nsp": "/"})

    def read_event(self, message: str | bytes) -> list[Any] | None:
        packet = msgspec.msgpack.decode(message) if isinstance(message, bytes) else {}
        return packet["data"] if packet.get("type") == 2 else None
