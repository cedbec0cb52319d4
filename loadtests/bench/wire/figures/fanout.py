"""Fan-out: CPU per delivery of one event of 80 bytes to a room of 1,000.

The generator asks for each broadcast with an event of its own: every 20 ms, or (back to back) whenever fewer than two
are under way. A delivery counts when its frame has arrived.
"""

from loadtests.bench.wire.bench import Bench, Server
from loadtests.bench.wire.figures.figure import MICRO, Measurement, details
from loadtests.bench.wire.generator import Generator, Happened
from loadtests.bench.wire.measuring import CpuMeter, CpuTime
from loadtests.bench.wire.peers import FLOOR_SERVER, NODE_SERVER, OUR_ROOMS, PLAIN_SERVER
from loadtests.bench.wire.results import FLOOR, NODE, OURS, PLAIN, Reading

LISTENERS = 1000
PACES_MS = (20, 100, 250)
"""The pace of the figure, and slower ones for whoever does not sustain it."""
_WINDOW = 2
_LATE = 1.2
"""A load that takes longer than this multiple of its time was not sustained."""
_RECIPES = {OURS: OUR_ROOMS, NODE: NODE_SERVER, PLAIN: PLAIN_SERVER, FLOOR: FLOOR_SERVER}


class FanOut(Measurement):
    """Both fan-out figures, of one server start."""

    peers = (OURS, NODE, PLAIN, FLOOR)

    def __init__(self) -> None:
        self._first_pace: dict[str, int] = {}

    def measure(self, bench: Bench, peer: str) -> list[Reading]:
        with bench.server(_RECIPES[peer]) as server, bench.generator(server) as generator:
            _fill_room(generator)
            generator.flow("driver", _WINDOW, bench.durations.warm_up, "room")
            paced = self._paced(bench, peer, server, generator)
            return [paced, _back_to_back(bench, peer, server, generator)]

    def _paced(self, bench: Bench, peer: str, server: Server, generator: Generator) -> Reading:
        """At the first pace that is sustained; the next round does not try again what was not."""
        for position, pace_ms in enumerate(PACES_MS):
            if position < self._first_pace.get(peer, 0):
                continue
            seconds = bench.durations.load
            meter = CpuMeter(server.pid)
            happened = generator.pace("driver", pace_ms, seconds, listeners="room", drain_seconds=30)
            if happened.done and happened.seconds <= seconds * _LATE:
                self._first_pace[peer] = position
                return _reading("fanout-paced", peer, happened, meter.read(), _pace_note(pace_ms))
        return Reading("fanout-paced", peer, None, f"not one of {PACES_MS} ms is sustained")


def _back_to_back(bench: Bench, peer: str, server: Server, generator: Generator) -> Reading:
    meter = CpuMeter(server.pid)
    happened = generator.flow("driver", _WINDOW, bench.durations.load, "room")
    if not happened.done:
        return Reading("fanout-flow", peer, None, "deliveries were lost")
    return _reading("fanout-flow", peer, happened, meter.read(), "")


def _fill_room(generator: Generator) -> None:
    generator.group("room")
    generator.group("driver")
    generator.open("room", LISTENERS)
    generator.open("driver", 1)
    generator.events("room", ['["join",{}]'])
    generator.events("driver", ['["go",{}]'])
    generator.once("room")


def _reading(figure: str, peer: str, happened: Happened, cpu: CpuTime, note: str) -> Reading:
    deliveries = happened.groups["room"].events
    return Reading(
        figure, peer, cpu.seconds / deliveries * MICRO, note, {"deliveries": deliveries, **details(happened, cpu)}
    )


def _pace_note(pace_ms: int) -> str:
    if pace_ms == PACES_MS[0]:
        return ""
    return f"one event every {PACES_MS[0]} ms is not sustained; the figure is that of one every {pace_ms} ms"
