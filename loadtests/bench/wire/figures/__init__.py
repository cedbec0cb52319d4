"""The figures: what each one does to a server, and what it reads off it."""

from loadtests.bench.wire.figures.connects import Connects
from loadtests.bench.wire.figures.events import Events
from loadtests.bench.wire.figures.fanout import FanOut
from loadtests.bench.wire.figures.figure import Measurement, TooFast
from loadtests.bench.wire.figures.live_map import LiveMap
from loadtests.bench.wire.figures.memory import Memory
from loadtests.bench.wire.figures.neighbour import Neighbour

MEASUREMENTS: dict[str, type[Measurement]] = {
    "fanout": FanOut,
    "event": Events,
    "connect": Connects,
    "memory": Memory,
    "neighbour": Neighbour,
    "map": LiveMap,
}
"""By the names of the command line; one measurement may give several figures."""

__all__ = ["MEASUREMENTS", "Measurement", "TooFast"]
