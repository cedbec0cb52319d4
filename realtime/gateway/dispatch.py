"""From an event on the wire to its handler, and from what the handler gives to the ack.

Admission is synchronous: contract, limit and types are checked in the order of arrival, then the call goes to its lane.
Whatever is refused is answered with a code; nothing a client sends, and nothing a handler raises, gets past here.
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import structlog

from domain.kit.clock import Clock
from domain.kit.errors import Internal, Problem, RateLimited, Unavailable, Unsupported
from domain.kit.ids import new_trace_id
from domain.kit.tasks import TaskOwner
from realtime.gateway.answers import Refusal, body_of, decode_only
from realtime.gateway.client import Client
from realtime.gateway.codes import ABUSED
from realtime.gateway.contracts import Answer, Lane, Limit
from realtime.gateway.events.session import ERROR, ErrorEvent
from realtime.gateway.lanes import LaneLimits, LaneQueue
from realtime.gateway.limits import TokenBucket
from realtime.gateway.metrics import GatewayMetrics
from realtime.gateway.registry import Registry, Route
from realtime.wire.packets import Arguments

_log = structlog.get_logger(__name__)

_LONGEST_ECHO = 100
"""Characters of an unknown event name that are echoed."""
_OK = "ok"
_UNKNOWN = "unknown"
_REFUSALS = Limit(per_second=20.0, burst=1000)


@dataclass(frozen=True)
class DispatchOptions:
    """Bounds for one socket."""

    refusals: Limit = field(default=_REFUSALS)
    """Refused events and unreadable packets; a socket that has more is closed."""
    lane: LaneLimits = field(default_factory=LaneLimits)


class Inbox:
    """Takes the events of one client; made by `Dispatcher.inbox`."""

    def __init__(self, dispatcher: "Dispatcher", client: Client) -> None:
        self.client = client
        self._dispatcher = dispatcher
        self._clock = dispatcher.clock
        self._buckets: dict[str, TokenBucket] = {}
        self._refusals = TokenBucket(dispatcher.options.refusals, self._clock.monotonic())
        self._lanes: dict[Lane, LaneQueue] = {}

    def event(self, name: str, arguments: Arguments, ack_id: int | None) -> None:
        """Admit an event, or refuse it at once."""
        if self.client.closed:
            return
        route = self._dispatcher.registry.find(name)
        if route is None:
            unknown = Unsupported(f"there is no event {name[:_LONGEST_ECHO]!r}; names are `feature:verb`")
            self._refuse(_UNKNOWN, name[:_LONGEST_ECHO], unknown, ack_id)
            return
        try:
            self._take(route)
            payload = decode_only(arguments, route.contract.decoder)
            call = _Call(self, route, payload, ack_id)
            self._lane(route.contract.lane).admit(call.run, arguments.size)
        except Problem as problem:
            self._refuse(name, name, problem, ack_id)

    def fault(self, problem: Problem, ack_id: int | None) -> None:
        """Answer a packet that could not be read."""
        if not self.client.closed:
            self._refuse(_UNKNOWN, None, problem, ack_id)

    def end(self, done: Callable[[], None]) -> None:
        """The client is gone: what waits is dropped, what runs ends first, then `done` is called."""
        left = 1

        def one_ended() -> None:
            nonlocal left
            left -= 1
            if left == 0:
                done()

        for lane in self._lanes.values():
            lane.drop_waiting()
            left += 1
            lane.when_idle(one_ended)
        one_ended()

    def succeed(self, route: Route, answer: object, ack_id: int | None) -> None:
        """Acknowledge; None is an empty object."""
        try:
            if ack_id is not None:
                self.client.socket.acknowledge(ack_id, {} if answer is None else answer)
        except Exception as error:  # noqa: BLE001 - an answer that cannot be encoded is our fault, told like any other
            self.fail(route, error, ack_id)
        else:
            self._dispatcher.metrics.event(route.contract.name, _OK)

    def fail(self, route: Route, error: BaseException, ack_id: int | None) -> None:
        """Answer what a handler raised: a problem as it is, anything else as `internal`, logged with its trace id."""
        name = route.contract.name
        if isinstance(error, Problem):
            self._answer(name, name, error, ack_id, None)
            return
        trace_id = new_trace_id()
        _log.error(
            "handler_failed",
            event_name=name,
            error=type(error).__name__,
            trace_id=trace_id,
            connection=self.client.trace_id,
            exc_info=error,
        )
        self._answer(name, name, Internal("a fault on our side; tell us the trace id"), ack_id, trace_id)

    def _take(self, route: Route) -> None:
        name, now = route.contract.name, self._clock.monotonic()
        bucket = self._buckets.get(name)
        if bucket is None:
            bucket = self._buckets[name] = TokenBucket(route.limit, now)
        if wait := bucket.take(now):
            retry_after_ms = max(1, round(wait * 1000))
            raise RateLimited(f"more {name} than this socket may send", retry_after_ms=retry_after_ms)

    def _lane(self, lane: Lane) -> LaneQueue:
        queue = self._lanes.get(lane)
        if queue is None:
            name = f"{lane.value}:{self.client.trace_id}"
            queue = self._lanes[lane] = LaneQueue(self._dispatcher.owner, name, self._dispatcher.options.lane)
        return queue

    def _refuse(self, metric: str, event: str | None, problem: Problem, ack_id: int | None) -> None:
        self._answer(metric, event, problem, ack_id, None)
        if self._refusals.take(self._clock.monotonic()):
            self.client.close(ABUSED)

    def _answer(
        self, metric: str, event: str | None, problem: Problem, ack_id: int | None, trace_id: str | None
    ) -> None:
        self._dispatcher.metrics.event(metric, problem.code.value)
        body = body_of(problem, trace_id)
        if ack_id is not None:
            self.client.socket.acknowledge(ack_id, Refusal(body))
            return
        self.client.emit(
            ERROR, ErrorEvent(body.code, body.message, event, body.field, body.retry_after_ms, body.trace_id)
        )


class _Call:
    """One event on its way through its handler."""

    __slots__ = ("_ack_id", "_inbox", "_payload", "_route")

    def __init__(self, inbox: Inbox, route: Route, payload: Any, ack_id: int | None) -> None:
        self._inbox = inbox
        self._route = route
        self._payload = payload
        self._ack_id = ack_id

    def run(self) -> Coroutine[Any, Any, None] | None:
        """Call the handler; the rest of its work when it is a coroutine."""
        try:
            result = self._route.handle(self._inbox.client, self._payload)
        except Exception as error:  # noqa: BLE001 - the edge that answers and logs
            self._inbox.fail(self._route, error, self._ack_id)
            return None
        if asyncio.iscoroutine(result):
            return self._finish(result)
        self._settle(result)
        return None

    async def _finish(self, rest: Coroutine[Any, Any, Answer]) -> None:
        try:
            answer = await rest
        except Exception as error:  # noqa: BLE001 - the edge that answers and logs
            self._inbox.fail(self._route, error, self._ack_id)
        else:
            self._settle(answer)

    def _settle(self, answer: Answer) -> None:
        if isinstance(answer, asyncio.Future):
            answer.add_done_callback(self._resolved)
        else:
            self._inbox.succeed(self._route, answer, self._ack_id)

    def _resolved(self, future: "asyncio.Future[Any]") -> None:
        if future.cancelled():
            gone = Unavailable("given up on our side; send it again with the same id", retry_after_ms=1000)
            self._inbox.fail(self._route, gone, self._ack_id)
        elif (error := future.exception()) is not None:
            self._inbox.fail(self._route, error, self._ack_id)
        else:
            self._inbox.succeed(self._route, future.result(), self._ack_id)


class Dispatcher:
    """What all inboxes of a node share."""

    def __init__(
        self, registry: Registry, clock: Clock, owner: TaskOwner, metrics: GatewayMetrics, options: DispatchOptions
    ) -> None:
        self.registry = registry
        self.clock = clock
        self.owner = owner
        self.metrics = metrics
        self.options = options

    def inbox(self, client: Client) -> Inbox:
        """Where the events of this client go."""
        return Inbox(self, client)
