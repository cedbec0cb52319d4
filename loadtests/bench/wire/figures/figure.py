"""What all measurements have in common."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from loadtests.bench.wire.bench import Bench
from loadtests.bench.wire.generator import Happened
from loadtests.bench.wire.measuring import CpuTime
from loadtests.bench.wire.results import Reading

MICRO = 1e6


class TooFast(Exception):
    """A server did not sustain a rate that all have to: the measurement begins again at a lower one."""


class Measurement(ABC):
    """A way to measure; made once for a run."""

    peers: ClassVar[Sequence[str]]
    """The servers that take part, in the order of a round."""
    once: ClassVar[bool] = False
    """Whether one round tells all, because nothing in it depends on time, or it is long."""
    shares_cores: ClassVar[bool] = False
    """Whether nothing has a core of its own."""

    @abstractmethod
    def measure(self, bench: Bench, peer: str) -> list[Reading]:
        """Start the server, load it, read the figures, end it. Raises TooFast, LoadFailed or DidNotStart."""

    def slow_down(self) -> str:
        """Go on at a lower rate, after TooFast; says which. Raises TooFast when there is none."""
        raise TooFast("there is no lower rate")


def details(happened: Happened, cpu: CpuTime) -> dict[str, object]:
    """What a load came to, for the JSON."""
    return {
        "seconds": round(happened.seconds, 3),
        "server_cpu_share": round(cpu.seconds / happened.seconds, 3),
        "server_kernel_share": round(cpu.kernel_share, 3),
        "generator_cpu_share": round(happened.cpu_seconds / happened.seconds, 3),
        "generator_lag_ms": happened.lag_ms,
        "latency_us": happened.latency_us,
    }
