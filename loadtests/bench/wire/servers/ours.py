"""`python -m loadtests.bench.wire.servers.ours rooms|gateway PORT EVENT`: the wire without the rest of a node.

`rooms` runs the same handlers as plain python-socketio does. `gateway` has one event with a contract, a limit that is
never reached and a handler that does nothing: what Node's peer has, and what of ours stands before a handler.
"""

import json
import sys
from collections.abc import Iterable, Sequence
from uuid import UUID

import uvicorn
import uvloop
from prometheus_client import CollectorRegistry

from domain.accounts.tokens import TokenVerifier
from domain.kit.clock import SystemClock
from domain.kit.tasks import TaskOwner
from loadtests.bench.wire.accounts import node_keys
from loadtests.bench.wire.servers.handlers import attach
from realtime.gateway.client import Client
from realtime.gateway.contracts import Contract, Limit, Payload, Promise, handles
from realtime.gateway.gateway import Gateway, GatewayOptions, Hooks
from realtime.gateway.metrics import GatewayMetrics
from realtime.gateway.revocations import HeardRevocations
from realtime.wire.options import WireOptions
from realtime.wire.server import Wire, uvicorn_options

_OPTIONS = WireOptions(sockets_per_address=20_000)


class BenchEvent(Payload, frozen=True):
    """What clients send."""

    kind: str
    body: str
    count: int
    at: int


BENCH_EVENT = Contract("bench:event", BenchEvent, Promise.NONE, Limit(per_second=1e6, burst=1_000_000))


class EmptyHandlers:
    """One handler, which does nothing."""

    @handles(BENCH_EVENT)
    def event(self, _client: Client, _payload: BenchEvent) -> None:
        """An empty ack."""


class _NeverRevoked:
    fresh = True


async def _nobody(_session_id: UUID) -> bool:
    return False


async def _serve(what: str, port: int, payload: object) -> None:
    tasks = TaskOwner("bench")
    wire = Wire(_OPTIONS)
    if what == "gateway":
        wire.serve(bench_gateway([EmptyHandlers()], tasks))
    else:
        attach(wire, payload)
    config = uvicorn.Config(
        wire.app(),
        host="127.0.0.1",
        port=port,
        backlog=4096,
        log_level="warning",
        **uvicorn_options(wire.engine),
    )
    await uvicorn.Server(config).serve()


def bench_gateway(handlers: Iterable[object], tasks: TaskOwner, hooks: Sequence[Hooks] = ()) -> Gateway:
    """A gateway that knows no revoked session."""
    clock = SystemClock()
    return Gateway(
        handlers,
        verifier=TokenVerifier(node_keys(), clock),
        revocations=HeardRevocations([_NeverRevoked()], _nobody),
        clock=clock,
        owner=tasks,
        metrics=GatewayMetrics(CollectorRegistry()),
        options=GatewayOptions(),
        hooks=hooks,
    )


def main() -> None:
    """Serve until killed."""
    uvloop.run(_serve(sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3])))


if __name__ == "__main__":
    main()
