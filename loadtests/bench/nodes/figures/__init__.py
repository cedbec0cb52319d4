"""The figures: what each one does to some nodes, and what it reads off them."""

from collections.abc import Callable

from loadtests.bench.nodes.figures.across import Across
from loadtests.bench.nodes.figures.crowd import Crowd
from loadtests.bench.nodes.figures.cuts import Cuts
from loadtests.bench.nodes.figures.idle_node import IdleNode
from loadtests.bench.nodes.figures.restart import Restart
from loadtests.bench.nodes.plan import Plan
from loadtests.bench.wire.figures import Measurement

MEASUREMENTS: dict[str, Callable[[Plan], Measurement]] = {
    "across": Across,
    "idle-node": IdleNode,
    "crowd": Crowd,
    "cuts": Cuts,
    "restart": Restart,
}
"""By the names of the command line."""

__all__ = ["MEASUREMENTS"]
