"""Chat-like traffic: a process that appends to a hundred streams, and two thousand devices that follow them."""

import asyncio
import contextlib
import statistics
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence

import asyncpg

from domain.kit.tasks import TaskOwner
from loadtests.bench.nodes.device import Device
from loadtests.bench.wire.accounts import Rider
from loadtests.bench.wire.bench import Bench
from loadtests.bench.wire.generator import LoadFailed

RIDERS, DEVICES = 100, 20
EVENTS_PER_SECOND = 1.0
"""On each stream."""
_AT_ONCE = 100
_CONNECT_SECONDS = 20.0
_LEVEL_SECONDS = 20.0
"""For the last events to reach everybody; whoever has them not by then lacks them."""
_LOOK_SECONDS = 0.05


class Traffic:
    """The devices and what became of them."""

    def __init__(self, bench: Bench, riders: Sequence[Rider], port: Callable[[int], int]) -> None:
        """`port` says where the device of a number connects now."""
        self.devices = [Device(rider, lambda number=number: port(number)) for number, rider in enumerate(riders)]  # type: ignore[misc]
        self.heads: dict[str, int] = {}
        """Where the streams ended."""
        self._bench = bench

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Everybody is connected and events are written, from the first to the last line of the block.

        At its end nothing is written any more, and everybody has had time to have everything. Raises LoadFailed.
        """
        async with TaskOwner("devices") as owner:
            await self._connect(owner)
            with self._writer():
                yield
            self.heads = await self._ends()
            for device in self.devices:
                device.tunnels = None
            await _until(lambda: all(self.lacks(device) == 0 for device in self.devices), _LEVEL_SECONDS)

    def lacks(self, device: Device) -> int:
        """Events of its stream that the device should have, and has not."""
        first = device.first or 0
        head = self.heads.get(device.stream, 0)
        return max(0, head - first) - len(device.received)

    @property
    def expected(self) -> int:
        """Deliveries that there should be."""
        return sum(self.heads.get(device.stream, 0) - (device.first or 0) for device in self.devices)

    def missing_percent(self) -> float:
        """Of all deliveries that there should be. Raises LoadFailed when there should be none."""
        if not self.expected:
            raise LoadFailed("nothing was written to the streams")
        return 100 * sum(self.lacks(device) for device in self.devices) / self.expected

    def told(self) -> dict[str, object]:
        """What else is to be said, for the JSON."""
        accounts = [device.account for device in self.devices]
        errors: Counter[str] = Counter()
        for account in accounts:
            errors.update(account.errors)
        return {
            "devices": len(self.devices),
            "events": sum(self.heads.values()),
            "deliveries_expected": self.expected,
            "deliveries_by_resume": sum(account.recovered for account in accounts),
            "returns": sum(len(account.recoveries) for account in accounts),
            "returns_not_proved": sum(account.unproven for account in accounts),
            "recovery_ms": _percentiles([took for account in accounts for took in account.recoveries]),
            "absence_ms": _percentiles([took for account in accounts for took in account.absences]),
            "errors": dict(errors),
        }

    async def _connect(self, owner: TaskOwner) -> None:
        for begin in range(0, len(self.devices), _AT_ONCE):
            some = self.devices[begin : begin + _AT_ONCE]
            for device in some:
                owner.start(device.run(), "device")
            await _until(lambda: all(device.first is not None for device in some), _CONNECT_SECONDS)  # noqa: B023
            if not all(device.first is not None for device in some):
                raise LoadFailed(f"not everybody was let in: {self.told()['errors']}")

    @contextlib.contextmanager
    def _writer(self) -> Iterator[None]:
        names = self._bench.workspace.directory / "streams"
        names.write_text("\n".join(sorted({device.stream for device in self.devices})))
        command = [sys.executable, "-m", "loadtests.bench.nodes.writer", str(names), str(EVENTS_PER_SECOND)]
        with self._bench.process("writer", lambda *_: command, {}, self._bench.cores.others) as (child, _):
            yield
            child.check()

    async def _ends(self) -> dict[str, int]:
        connection = await asyncpg.connect(self._bench.stack.database_url)
        try:
            rows = await connection.fetch("SELECT id, head FROM streams")
        finally:
            await connection.close()
        return {row["id"]: row["head"] for row in rows}


async def _until(holds: Callable[[], bool], seconds: float) -> None:
    """Wait for it, at most so long."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while not holds():  # noqa: ASYNC110 - of thousands of devices none knows when the last one is ready
                await asyncio.sleep(_LOOK_SECONDS)


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which this share of them is; 0 of none."""
    if len(values) < 2:
        return max(values, default=0.0)
    return statistics.quantiles(values, n=1000, method="inclusive")[round(share * 1000) - 1]


def _percentiles(seconds: Sequence[float]) -> dict[str, float]:
    return {
        "p50": round(percentile(seconds, 0.5) * 1000, 1),
        "p99": round(percentile(seconds, 0.99) * 1000, 1),
        "max": round(max(seconds, default=0.0) * 1000, 1),
    }
