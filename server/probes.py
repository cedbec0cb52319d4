"""What operators and machines ask a node: whether it lives, whether it can serve, and its metrics."""

from typing import Any, Protocol

from prometheus_client import CollectorRegistry, generate_latest

from server.health import Health


class Probes(Protocol):
    """The answers, of one node or of all that share a port."""

    async def health(self) -> dict[str, Any]:
        """That it lives."""
        ...

    async def ready(self) -> tuple[bool, dict[str, Any]]:
        """Whether it can serve, and what was found."""
        ...

    async def metrics(self) -> bytes:
        """All metrics, in Prometheus' text format."""
        ...


class NodeProbes:
    """The answers of one node."""

    def __init__(self, health: Health, registry: CollectorRegistry) -> None:
        self._health = health
        self._registry = registry

    async def health(self) -> dict[str, Any]:
        """That the process lives, its version and how long it has been up, in seconds."""
        return self._health.alive()

    async def ready(self) -> tuple[bool, dict[str, Any]]:
        """Whether the node can serve, and each check."""
        return await self._health.ready()

    async def metrics(self) -> bytes:
        """All metrics of the process."""
        return generate_latest(self._registry)
