"""A node as operators see it: what `/ready` and `/metrics` say at one moment."""

import time
from dataclasses import dataclass

import httpx
from prometheus_client.parser import text_string_to_metric_families

from loadtests.stress.system import Node

ANSWER_SECONDS = 6.0
"""Every check has three seconds; a busy machine may take as long again."""
_PREFIX = "throttlecove_"
_OPEN_FILES = "process_open_fds"


@dataclass(frozen=True)
class Seen:
    """One look, asked for at this time of the monotonic clock."""

    asked_at: float
    status: int
    checks: dict[str, str]
    metrics: dict[str, float]
    """Values without labels, by name without the prefix."""

    def is_healthy(self, check: str) -> bool:
        """Whether the node says that this is well."""
        return self.checks.get(check) == "healthy"

    @property
    def ailing(self) -> list[str]:
        """The checks that are not healthy."""
        return sorted(name for name, status in self.checks.items() if status != "healthy")


async def look_at(http: httpx.AsyncClient, node: Node) -> Seen:
    """Ask a node. Raises httpx.TransportError when it does not answer."""
    asked_at = time.monotonic()
    ready = await http.get(f"{node.url}/ready", timeout=ANSWER_SECONDS)
    metrics = await metrics_of(http, node)
    checks = {name: str(found["status"]) for name, found in ready.json()["checks"].items()}
    return Seen(asked_at, ready.status_code, checks, metrics)


async def metrics_of(http: httpx.AsyncClient, node: Node) -> dict[str, float]:
    """The node's metrics that have no labels. Raises httpx.TransportError."""
    text = (await http.get(f"{node.url}/metrics", timeout=ANSWER_SECONDS)).text
    return {
        sample.name.removeprefix(_PREFIX): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if not sample.labels and (sample.name.startswith(_PREFIX) or sample.name == _OPEN_FILES)
    }
