"""Probes of all nodes behind one port, whichever of them is asked: the others are asked over their Unix sockets.

Who does not answer soon after this node itself counts as away. The machine lives while any of its nodes
answers, and is ready while any of them can serve: the kernel gives a node that has gone no connections, so taking the
whole machine out for one that starts again would do the harm it is meant to prevent.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from domain.kit.tasks import TaskOwner
from server.health import Status
from server.nodes.exposition import join
from server.nodes.place import Place
from server.nodes.questions import Answers, ask
from server.probes import Probes

PATIENCE_SECONDS = 1.0
"""For siblings, from this node's own answer on."""
_AWAY = {"status": Status.UNHEALTHY, "detail": "it does not answer: it starts, has ended, or stands still"}

Said = dict[str, bytes | None]
"""By node, in their order; None is no answer."""


class JoinedProbes:
    """The answers of a node and its siblings."""

    def __init__(
        self, own: Probes, place: Place, tasks: TaskOwner, *, patience_seconds: float = PATIENCE_SECONDS
    ) -> None:
        self._own = own
        self._patience_seconds = patience_seconds
        self._place = place
        self._tasks = tasks

    async def health(self) -> dict[str, Any]:
        """That this process lives, and how each node does."""
        nodes = _bodies(await self._gather("health", lambda: _health(self._own)))
        return {**await self._own.health(), "status": _sum(nodes), "nodes": nodes}

    async def ready(self) -> tuple[bool, dict[str, Any]]:
        """Whether any of the nodes can serve, and what each of them found."""
        nodes = _bodies(await self._gather("ready", lambda: _ready(self._own)))
        serving = any(node["status"] != Status.UNHEALTHY for node in nodes.values())
        status = _sum(nodes) if serving else Status.UNHEALTHY
        draining = all(node.get("draining", False) for node in nodes.values())
        version = nodes[self._place.own]["version"]
        return serving, {"status": status, "version": version, "draining": draining, "nodes": nodes}

    async def metrics(self) -> bytes:
        """The metrics of all nodes, with a label that says whose each is."""
        return join(await self._gather("metrics", self._own.metrics))

    async def _gather(self, question: str, own: Callable[[], Awaitable[bytes]]) -> Said:
        asked = {
            name: self._tasks.start(ask(self._place.questions_of(name), question), "probe")
            for name in self._place.others
        }
        try:
            said: Said = {self._place.own: await own()}
            if asked:
                await asyncio.wait(asked.values(), timeout=self._patience_seconds)
        finally:
            for task in asked.values():
                task.cancel()
        said |= {name: task.result() for name, task in asked.items() if task.done() and not task.cancelled()}
        return {name: said.get(name) for name in self._place.names}


def answers_of(own: Probes) -> Answers:
    """What siblings may ask a node."""
    return {"health": lambda: _health(own), "ready": lambda: _ready(own), "metrics": own.metrics}


async def _health(own: Probes) -> bytes:
    return msgspec.json.encode(await own.health())


async def _ready(own: Probes) -> bytes:
    _, body = await own.ready()
    return msgspec.json.encode(body)


def _bodies(said: Said) -> dict[str, dict[str, Any]]:
    return {name: _AWAY if answer is None else msgspec.json.decode(answer) for name, answer in said.items()}


def _sum(nodes: dict[str, dict[str, Any]]) -> Status:
    """Healthy only when all are."""
    healthy = all(node["status"] == Status.HEALTHY for node in nodes.values())
    return Status.HEALTHY if healthy else Status.DEGRADED
