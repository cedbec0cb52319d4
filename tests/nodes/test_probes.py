"""What machines and operators are told of all nodes behind a port, whichever they ask."""

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.parser import text_string_to_metric_families

from domain.kit.clock import SystemClock
from domain.kit.tasks import TaskOwner
from server.health import Check, Finding, Health, Status
from server.nodes.place import Place, names_of
from server.nodes.probes import JoinedProbes, answers_of
from server.nodes.questions import Answering, ask
from server.probes import NodeProbes

NAMES = names_of("one", 3)
ODD = 'a "b" {c} d\u2028e\x0b'


class Told:
    """A node's probes, and what they find."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.finding = Finding()
        self.registry = CollectorRegistry()
        self.health = Health([Check("redis", self._look), Check("database", self._look)], SystemClock(), "1.2.3")
        self.own = NodeProbes(self.health, self.registry)
        self.answering = Answering(place.questions_of(place.own), answers_of(self.own))
        Gauge("sockets", "Open.", registry=self.registry).set(NAMES.index(place.own))
        Counter("events", 'With "quotes" and\nlines.', ["event"], registry=self.registry).labels(ODD).inc()
        Histogram("seconds", "How long.", registry=self.registry).observe(0.3)

    async def _look(self) -> Finding:
        return self.finding

    def joined(self, tasks: TaskOwner, patience_seconds: float = 10.0) -> JoinedProbes:
        return JoinedProbes(self.own, self.place, tasks, patience_seconds=patience_seconds)


@pytest.fixture
async def nodes(tmp_path: Path, faultless: None) -> AsyncIterator[list[Told]]:
    every = [Told(Place(tmp_path, NAMES, name)) for name in NAMES]
    for each in every:
        await each.answering.open()
    yield every
    for each in every:
        each.answering.close()


async def test_metrics_of_all_are_one_valid_exposition(nodes: list[Told]) -> None:
    async with TaskOwner("test") as tasks:
        text = (await nodes[0].joined(tasks).metrics()).decode()
    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")].count("sockets") == 1
    assert len({line for line in text.splitlines() if line.startswith("#")}) == text.count("\n#") + 1
    assert {(one.labels["node"], one.value) for one in families["sockets"].samples} == {
        ("one.0", 0.0),
        ("one.1", 1.0),
        ("one.2", 2.0),
    }
    events = [one for one in families["events"].samples if one.name == "events_total"]
    assert [one.labels for one in events] == [{"node": name, "event": ODD} for name in NAMES]
    assert families["seconds"].type == "histogram"
    assert {one.labels["node"]: one.value for one in families["throttlecove_node_up"].samples} == dict.fromkeys(
        NAMES, 1
    )


async def test_who_does_not_answer_is_away_and_nobody_waits_for_it(nodes: list[Told]) -> None:
    nodes[1].answering.close()
    nodes[2].answering.close()
    with socket.socket(socket.AF_UNIX) as silent:
        path = Path(nodes[2].place.questions_of("one.2"))
        path.unlink(missing_ok=True)
        silent.bind(str(path))
        silent.listen()  # it stands still: connections wait, and none is answered
        async with TaskOwner("test") as tasks, asyncio.timeout(10):
            joined = nodes[0].joined(tasks, patience_seconds=0.05)
            text = (await joined.metrics()).decode()
            serving, ready = await joined.ready()
            health = await joined.health()
    ups = {family.name: family for family in text_string_to_metric_families(text)}["throttlecove_node_up"]
    assert {one.labels["node"]: one.value for one in ups.samples} == {"one.0": 1, "one.1": 0, "one.2": 0}
    assert (serving, ready["status"], ready["draining"]) == (True, "degraded", False)
    assert [node["status"] for node in ready["nodes"].values()] == ["healthy", "unhealthy", "unhealthy"]
    assert (health["status"], health["nodes"]["one.0"]["version"]) == ("degraded", "1.2.3")


async def test_it_is_ready_while_any_node_can_serve(nodes: list[Told]) -> None:
    async with TaskOwner("test") as tasks:
        joined = nodes[0].joined(tasks)
        nodes[0].health.draining = True
        nodes[1].finding = Finding(Status.DEGRADED, "look at it")
        serving, body = await joined.ready()
        assert (serving, body["status"], body["draining"]) == (True, "degraded", False)
        assert body["nodes"]["one.1"]["checks"]["redis"]["detail"] == "look at it"
        for node in nodes:
            node.health.draining = True
        serving, body = await joined.ready()
        assert (serving, body["status"], body["draining"]) == (False, "unhealthy", True)


@pytest.mark.parametrize("question", ["", "nothing", "x" * 1000, "health\nmetrics"])
async def test_what_nobody_understands_gets_no_answer(nodes: list[Told], question: str) -> None:
    answer = await ask(nodes[0].place.questions_of("one.0"), question)
    assert (answer is None) == (question != "health\nmetrics")
    assert b'"version":"1.2.3"' in (await ask(nodes[0].place.questions_of("one.0"), "health") or b"")
