"""The benchmark of several nodes: its arithmetic, its devices' accounts, and one short load over two nodes of ours."""

import asyncio
import os
from typing import Any
from uuid import uuid4

import pytest

from loadtests.bench.nodes.client import Client
from loadtests.bench.nodes.device import Device
from loadtests.bench.nodes.figures.across import Across
from loadtests.bench.nodes.figures.idle_node import Point, fitted
from loadtests.bench.nodes.figures.restart import Balancer
from loadtests.bench.nodes.plan import Plan
from loadtests.bench.nodes.results import FIGURES, PEERS
from loadtests.bench.nodes.traffic import percentile
from loadtests.bench.private_stack import Addresses
from loadtests.bench.wire.accounts import Rider
from loadtests.bench.wire.bench import QUICK, Bench, Server
from loadtests.bench.wire.measuring import Cores
from loadtests.bench.wire.report import table
from loadtests.bench.wire.results import NODE, OURS, Reading, Results
from loadtests.bench.wire.workspace import workspace
from server.stack import RedisServer
from tests.support import eventually

SHORT = Plan(
    load=0.3, warm_up=0.2, idle_load=0.3, crowd_minutes=1, crowd_idle=0, cuts=1, between_restarts=1
)  # fmt: skip


def test_the_slope_is_that_of_the_line_and_its_noise_that_of_what_is_off_it() -> None:
    exact = [Point(rate, 0.001 + 20e-6 * rate) for rate in (0, 500, 2000)]
    slope, noise = fitted(exact)
    assert slope == pytest.approx(20e-6)
    assert noise == pytest.approx(0, abs=1e-12)
    slope, noise = fitted([Point(rate, 0.001 + off) for rate in (0, 500, 2000) for off in (1e-4, -1e-4)])
    assert abs(slope) < noise


@pytest.mark.parametrize(("slope", "noise", "reached"), [(0.3, 0.5, True), (0.1, 0.05, True), (5, 0.5, False)])
def test_a_slope_within_its_noise_is_none(slope: float, noise: float, reached: bool) -> None:
    found = Results([Reading("idle-node", OURS, slope, noise=noise), Reading("idle-node", NODE, 23.0)], FIGURES)
    assert [one.reached for one in found.verdicts()] == [reached]


def test_a_goal_of_nothing_is_missed_by_one() -> None:
    for lost, reached in ((0, True), (1, False)):
        found = Results([Reading("cuts-twice", OURS, lost)], FIGURES)
        assert [one.reached for one in found.verdicts()] == [reached]
        assert any(line.startswith("cuts: twice on a connection") for line in table(found, {}, PEERS))


def test_percentiles() -> None:
    assert percentile([], 0.99) == 0
    assert percentile([3.0], 0.99) == 3
    assert percentile([float(value) for value in range(1, 102)], 0.99) == 100


class _Line:
    """A device and what it says; the test is the server."""

    def __init__(self) -> None:
        self.device = Device(Rider(uuid4(), 1, "{}"), lambda: 1)
        self.said: list[tuple[str, Any]] = []
        self.come_back()

    def come_back(self) -> None:
        device, loop = self.device, asyncio.get_running_loop()
        device._end, device._level = loop.create_future(), loop.create_future()
        device._on_connection, device._held = set(), []
        client = device._client = Client(device, 1)
        client.emit = lambda event, payload, on_answer: self.said.append((event, (payload, on_answer)))  # type: ignore[method-assign]

    def ready(self, head: int) -> None:
        self.device.heard("session:ready", {"streams": {self.device.stream: {"epoch": "one", "head": head}}})

    def event(self, seq: int) -> None:
        self.device.heard("bench:message", {"stream": self.device.stream, "seq": seq})

    def answer(self, *, recovered: bool, head: int, seqs: tuple[int, ...] = ()) -> None:
        _, (_, on_answer) = self.said.pop()
        events = [["bench:message", {"stream": self.device.stream, "seq": seq}] for seq in seqs]
        told = {"recovered": recovered, "epoch": "one", "head": head, "events": events}
        on_answer({"streams": {self.device.stream: told}})


async def test_a_device_has_what_came_by_itself_and_what_its_resume_brought() -> None:
    line = _Line()
    line.ready(head=4)
    line.event(5)
    assert (line.device.first, line.device.received, line.device._level.done()) == (4, {5}, True)

    line.come_back()
    line.ready(head=7)
    (_, (wanted, _)) = line.said[-1]
    assert wanted == {"streams": {line.device.stream: {"epoch": "one", "seq": 5}}}
    line.event(8)  # before the answer, which goes on behind it
    assert not line.device._level.done()
    line.answer(recovered=True, head=8, seqs=(6, 7))
    assert (line.device.received, line.device.seq) == ({5, 6, 7, 8}, 8)
    assert line.device._level.done()
    assert (line.device.account.twice, line.device.account.unproven) == (0, 0)


async def test_a_device_knows_what_came_twice_and_what_was_not_proved() -> None:
    line = _Line()
    line.ready(head=0)
    line.event(1)
    line.event(1)
    line.come_back()
    line.ready(head=9)
    line.answer(recovered=False, head=9)
    line.event(10)
    assert (line.device.account.twice, line.device.account.unproven) == (1, 1)
    assert line.device.received == {1, 10}


async def test_a_refused_resume_is_asked_again() -> None:
    line = _Line()
    line.ready(head=0)
    line.come_back()
    line.ready(head=1)
    _, (_, on_answer) = line.said.pop()
    on_answer({"error": {"code": "unavailable"}})
    await eventually(lambda: line.said)
    line.answer(recovered=True, head=1, seqs=(1,))
    assert line.device.account.errors == {"unavailable": 1}
    assert line.device.received == {1}


def test_devices_are_sent_to_nodes_that_are_ready() -> None:
    servers = [Server(None, port) for port in (1, 2)]  # type: ignore[arg-type]
    balancer = Balancer(servers)
    assert [balancer.port(number) for number in range(4)] == [1, 2, 1, 2]
    balancer._serving = servers[1:]
    assert {balancer.port(number) for number in range(4)} == {2}
    balancer._serving = []
    assert {balancer.port(number) for number in range(4)} == {1, 2}


def test_what_one_node_emits_another_delivers(own_redis: RedisServer) -> None:
    every = frozenset(os.sched_getaffinity(0))
    with workspace() as built:
        bench = Bench(
            built, Cores(every, every), Addresses("postgresql://nobody@127.0.0.1:1/none", own_redis.url), QUICK
        )
        readings = Across(SHORT).measure(bench, OURS)
    assert [one.figure for one in readings] == [figure.name for figure in FIGURES[:4]]
    assert all(one.value and one.value > 5 for one in readings)
    paced = readings[0].details
    assert paced["events"] == 15
