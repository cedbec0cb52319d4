"""Across two nodes: CPU of the node that emits, and of the node whose room of ten hears it, for each event.

A client of the first node asks for each emit with an event of its own, every 20 ms or (back to back) whenever fewer
than two are under way; ten clients of the second one are in the room. An event
counts when all ten deliveries have arrived.
"""

import contextlib

from loadtests.bench.nodes.peers import ROOMS
from loadtests.bench.nodes.plan import Plan
from loadtests.bench.nodes.results import PEERS
from loadtests.bench.wire.accounts import strangers
from loadtests.bench.wire.bench import Bench, Server
from loadtests.bench.wire.figures import Measurement
from loadtests.bench.wire.figures.figure import MICRO, details
from loadtests.bench.wire.generator import Generator, Happened, LoadFailed
from loadtests.bench.wire.measuring import CpuMeter, CpuTime
from loadtests.bench.wire.results import OURS, Reading

LISTENERS = 10
_PACE_MS = 20
_WINDOW = 2
_SETTLE_SECONDS = 0.3
"""Until Redis has confirmed what a room of Node's sharded adapter has not waited for."""


class Across(Measurement):
    """The figures `across-…`."""

    peers = PEERS

    def __init__(self, plan: Plan) -> None:
        self._plan = plan

    def measure(self, bench: Bench, peer: str) -> list[Reading]:
        plan = self._plan
        with contextlib.ExitStack() as stack:
            emits, hears = (stack.enter_context(bench.server(ROOMS[peer])) for _ in range(2))
            generator = stack.enter_context(bench.generator(emits))
            fill_room(generator, hears, LISTENERS, greeted=peer == OURS)
            generator.flow("driver", _WINDOW, plan.warm_up, "room")
            meters = Meters(emits, hears)
            paced = meters.readings("", peer, generator.pace("driver", _PACE_MS, plan.load, listeners="room"))
            meters = Meters(emits, hears)
            flow = meters.readings("-flow", peer, generator.flow("driver", _WINDOW, plan.load, "room"))
            return [*paced, *flow]


def fill_room(generator: Generator, hears: Server, listeners: int, *, greeted: bool) -> None:
    """Clients of `hears` enter the room; the client that asks for emits is one of the generator's own server.

    `greeted`: they sign in, and are connected when they have been greeted.
    """
    auths = [one.auth for one in strangers(listeners + 1)] if greeted else None
    generator.group("room", auths, port=hears.port, greeted=greeted)
    generator.group("driver", auths and auths[listeners:], greeted=greeted)
    generator.open("room", listeners)
    generator.open("driver", 1)
    generator.events("room", ['["join",{}]'])
    generator.events("driver", ['["go",{}]'])
    generator.once("room")
    generator.idle(_SETTLE_SECONDS)


class Meters:
    """CPU time of either node since this was made."""

    def __init__(self, emits: Server, hears: Server) -> None:
        self._publish, self._receive = CpuMeter(emits.pid), CpuMeter(hears.pid)

    def readings(self, suffix: str, peer: str, happened: Happened) -> list[Reading]:
        """Both figures. Raises LoadFailed when a delivery is missing."""
        publish, receive = self._publish.read(), self._receive.read()
        events = happened.groups["driver"].sent
        if happened.groups["room"].events != events * LISTENERS:
            raise LoadFailed(f"{peer}: of {events} events to {LISTENERS}, {happened.groups['room'].events} arrived")
        return [
            _reading(f"across-publish{suffix}", peer, happened, publish),
            _reading(f"across-receive{suffix}", peer, happened, receive),
        ]


def _reading(figure: str, peer: str, happened: Happened, cpu: CpuTime) -> Reading:
    events = happened.groups["driver"].sent
    return Reading(figure, peer, cpu.seconds / events * MICRO, "", {"events": events, **details(happened, cpu)})
