"""Health as operators read it: `/health` says that the process lives, `/ready` whether it can serve, and what is wrong.

Each check has a name, a status, a latency and, when something is wrong, a sentence that says what to do. A node stays
ready while it can do some of its work (the outage table in the documentation); it is not ready when it can do none.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from domain.kit.clock import Clock
from domain.kit.errors import Problem

CHECK_TIMEOUT_SECONDS = 3.0
_DRAINING = "this node is stopping and lets nobody in: send clients to another one"


class Status(StrEnum):
    """What a check, or all of them together, say."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"


@dataclass(frozen=True)
class Finding:
    """What one check found; `detail` says what to do when it is not healthy."""

    status: Status = Status.HEALTHY
    detail: str | None = None


@dataclass(frozen=True)
class Check:
    """A named check; `failures` are the exceptions that mean `unhealthy` rather than a fault of the check."""

    name: str
    run: Callable[[], Awaitable[Finding]]
    failures: tuple[type[Exception], ...] = (Problem,)


class Health:
    """Runs the checks and sums them up."""

    def __init__(self, checks: Sequence[Check], clock: Clock, version: str) -> None:
        self._checks = checks
        self._clock = clock
        self._version = version
        self._began = clock.monotonic()
        self.draining = False
        self.broken = False
        """A part of the node has failed: it stops, and its exit status says so."""

    def alive(self) -> dict[str, Any]:
        """That the process lives, its version and how long it has been up, in seconds."""
        uptime = round(self._clock.monotonic() - self._began, 3)
        return {"status": Status.HEALTHY, "version": self._version, "uptime_seconds": uptime}

    async def ready(self) -> tuple[bool, dict[str, Any]]:
        """Whether this node can serve, and each check's status and latency in milliseconds."""
        results = await asyncio.gather(*(self._run(check) for check in self._checks))
        found = {check.name: result for check, result in zip(self._checks, results, strict=True)}
        unhealthy = {name for name, result in found.items() if result["status"] == Status.UNHEALTHY}
        # Either store alone keeps a part of the service going; without both, or while draining, go elsewhere.
        serving = not self.draining and not self.broken and not {"database", "redis"} <= unhealthy
        worst = [result["status"] for result in found.values()]
        status = (
            Status.UNHEALTHY
            if not serving
            else Status.HEALTHY
            if all(one == Status.HEALTHY for one in worst)
            else Status.DEGRADED
        )
        body = {"status": status, "version": self._version, "draining": self.draining, "checks": found}
        return serving, body | ({"detail": _DRAINING} if self.draining else {})

    async def _run(self, check: Check) -> dict[str, Any]:
        began = self._clock.monotonic()
        try:
            finding = await asyncio.wait_for(check.run(), CHECK_TIMEOUT_SECONDS)
        except TimeoutError:
            finding = Finding(Status.UNHEALTHY, f"no answer within {CHECK_TIMEOUT_SECONDS:g} s")
        except check.failures as error:
            finding = Finding(Status.UNHEALTHY, str(error) or type(error).__name__)
        elapsed = round((self._clock.monotonic() - began) * 1000, 1)
        return {**{k: v for k, v in asdict(finding).items() if v is not None}, "latency_ms": elapsed}
