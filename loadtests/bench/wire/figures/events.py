"""Event in, handled, ack out: CPU per event with an empty handler, a hundred clients waiting for each answer.

Ours decodes into a declared type, takes from the socket's rate limit, and dispatches through the gateway; the others
parse what they parse and call a function; the floor receives, looks for a name, and sends.
"""

from loadtests.bench.wire.accounts import strangers
from loadtests.bench.wire.bench import Bench
from loadtests.bench.wire.figures.figure import MICRO, Measurement, details
from loadtests.bench.wire.generator import LoadFailed
from loadtests.bench.wire.measuring import CpuMeter
from loadtests.bench.wire.peers import FLOOR_SERVER, NODE_SERVER, OUR_GATEWAY, PLAIN_SERVER
from loadtests.bench.wire.results import FLOOR, NODE, OURS, PLAIN, Reading

CLIENTS = 100
EVENT = '["bench:event",{"kind":"text","body":"On the way, at the pass by noon","count":{seq},"at":{now}}]'
_RECIPES = {OURS: OUR_GATEWAY, NODE: NODE_SERVER, PLAIN: PLAIN_SERVER, FLOOR: FLOOR_SERVER}


class Events(Measurement):
    """The figure `event`."""

    peers = (OURS, NODE, PLAIN, FLOOR)

    def measure(self, bench: Bench, peer: str) -> list[Reading]:
        with bench.server(_RECIPES[peer]) as server, bench.generator(server) as generator:
            ours = peer == OURS
            generator.group("clients", [one.auth for one in strangers(CLIENTS)] if ours else None, greeted=ours)
            generator.open("clients", CLIENTS)
            generator.events("clients", [EVENT])
            generator.flow("clients", 1, bench.durations.warm_up)
            meter = CpuMeter(server.pid)
            happened = generator.flow("clients", 1, bench.durations.load)
            cpu, counted = meter.read(), happened.groups["clients"]
            if counted.refused or counted.acks != counted.sent:
                raise LoadFailed(f"not every event was answered: {counted}")
            return [
                Reading(
                    "event",
                    peer,
                    cpu.seconds / counted.acks * MICRO,
                    "",
                    {"events": counted.acks, **details(happened, cpu)},
                )
            ]
