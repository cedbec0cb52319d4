"""Cuts: 2,000 devices in tunnels. Each is cut off for 2 s every 15 s, by a TCP reset, while its rider's stream goes on.

A hundred riders with 20 devices each; a process beside the node appends an event to each rider's stream every second.
After each return a device resumes. What it has in the end is compared with what Postgres has. One whole node; it, the
writer, Postgres, Redis and the devices share two cores.
"""

import asyncio

import uvloop

from loadtests.bench.nodes.device import Tunnels
from loadtests.bench.nodes.plan import Plan
from loadtests.bench.nodes.traffic import DEVICES, RIDERS, Traffic, percentile
from loadtests.bench.wire.accounts import make_riders
from loadtests.bench.wire.bench import Bench
from loadtests.bench.wire.figures import Measurement
from loadtests.bench.wire.measuring import CpuMeter
from loadtests.bench.wire.peers import OUR_NODE
from loadtests.bench.wire.results import OURS, Reading

_TUNNELS = Tunnels(stays=13.0, away=2.0)


class Cuts(Measurement):
    """The figures `cuts-…`."""

    peers = (OURS,)
    once = True
    shares_cores = True

    def __init__(self, plan: Plan) -> None:
        self._plan = plan

    def measure(self, bench: Bench, peer: str) -> list[Reading]:
        riders = make_riders(bench.stack.database_url, RIDERS, DEVICES)
        with bench.server(OUR_NODE) as server:
            traffic = Traffic(bench, riders, lambda _: server.port)
            meter = CpuMeter(server.pid)
            uvloop.run(self._drive(traffic))
            share = meter.read().seconds / self._plan.cuts
        accounts = [device.account for device in traffic.devices]
        recoveries = [took for account in accounts for took in account.recoveries]
        note = f"{len(recoveries):,} returns, node {share:.0%} of a core"
        return [
            Reading("cuts-missing", peer, traffic.missing_percent(), note, traffic.told()),
            Reading("cuts-twice", peer, sum(account.twice for account in accounts)),
            Reading("cuts-p99", peer, percentile(recoveries, 0.99) * 1000),
        ]

    async def _drive(self, traffic: Traffic) -> None:
        for device in traffic.devices:
            device.tunnels = _TUNNELS
        async with traffic.running():
            await asyncio.sleep(self._plan.cuts)
