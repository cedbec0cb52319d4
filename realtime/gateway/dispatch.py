"""From an event on the wire to its handler, and from what the handler gives to the ack.

Admission is synchronous: contract, limit and types are checked in the order of arrival, then the call goes to its lane.
Whatever is refused is answered with a code; nothing a client sends, and nothing a handler raises, gets past here.
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from functools import partial
from types import CoroutineType
from typing import Any, Final

import msgspec
import structlog

from domain.kit.clock import Clock
from domain.kit.errors import Internal, Problem, RateLimited, Unavailable, Unsupported
from domain.kit.ids import new_trace_id
from domain.kit.tasks import TaskOwner
from realtime.gateway.answers import Refusal, body_of, decode_only
from realtime.gateway.client import Client
from realtime.gateway.codes import ABUSED
from realtime.gateway.contracts import Answer, Followed, Lane, Limit, Result
from realtime.gateway.events.session import ERROR, ErrorEvent
from realtime.gateway.lanes import LaneLimits, LaneQueue
from realtime.gateway.limits import TokenBucket
from realtime.gateway.metrics import GatewayMetrics
from realtime.gateway.registry import Registry, Route
from realtime.wire.interface import Taken
from realtime.wire.packets import Arguments

_log = structlog.get_logger(__name__)

_LONGEST_ECHO = 100
"""Characters of an unknown event name that are echoed."""
_NOT, _DONE, _ANSWERED = Taken.NOT, Taken.DONE, Taken.ANSWERED
_UNKNOWN = "unknown"
_MOST_EARLY = 32
"""Packets that may wait for the greeting; a client that has said more is greeted with what is known."""
_MOST_EARLY_BYTES = 256 << 10
"""Of them: a full `location:batch` and a `session:resume`, which come out of a tunnel together, have some 200 KiB."""
_EMPTY: Final[dict[str, object]] = {}
_REFUSALS = Limit(per_second=20.0, burst=1000)


@dataclass(frozen=True)
class DispatchOptions:
    """Bounds for one socket."""

    refusals: Limit = field(default=_REFUSALS)
    """Refused events and unreadable packets; a socket that has more is closed."""
    lane: LaneLimits = field(default_factory=LaneLimits)


class _Use(TokenBucket):
    """What one client has of a route: how often it may send that event."""

    __slots__ = ("route",)

    def __init__(self, route: Route, now: float) -> None:
        super().__init__(route.limit, now)
        self.route = route


class Inbox:
    """Takes the events of one client; made by `Dispatcher.inbox`."""

    __slots__ = ("_dispatcher", "_early", "_lanes", "_refusals", "_uses", "client", "ready")

    def __init__(self, dispatcher: "Dispatcher", client: Client) -> None:
        self.client = client
        self.ready = False
        """Whether the client was greeted and the features have been told of it; what comes earlier waits."""
        self._early: list[tuple[Callable[[], None], int]] | None = None
        self._dispatcher = dispatcher
        self._uses: dict[bytes, _Use] | None = None
        """The events that the client has sent, by their names as they arrive."""
        self._refusals: TokenBucket | None = None
        self._lanes: dict[Lane, LaneQueue] | None = None
        """The lanes that are busy."""

    def take(self, name: bytes, value: bytes, ack: bytes) -> Taken:
        """See `interface.Inbox`: what `event` does, in the same order and fewer steps, for what nearly every event is.

        That is one without a fault whose lane is idle, and not the client's first of its name.
        """
        use = self._uses.get(name) if self._uses is not None else None
        if use is None or (self._lanes and use.route.lane in self._lanes) or use.take(self._dispatcher.monotonic()):
            return _NOT
        route = use.route
        try:
            payload = route.decode(value)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            use.give_back()
            return _NOT
        try:
            result = route.handle(self.client, payload)
        except Exception as error:  # noqa: BLE001 - the edge that answers and logs
            self._fail(route, error, int(ack) if ack else None)
            return _ANSWERED
        if result is None:
            route.done += 1
            return _DONE
        rest = self._go_on(route, result, int(ack) if ack else None)
        if rest is not None:
            self._begin(route.lane, rest)
        return _ANSWERED

    def event(self, name: str, arguments: Arguments, ack_id: int | None) -> None:
        """Admit an event, or refuse it at once."""
        if self.client.closed:
            return
        route = self._dispatcher.find(name)
        if not self.ready:
            self._wait(route, partial(self.event, name, arguments, ack_id), arguments.size)
            return
        if route is None:
            unknown = Unsupported(f"there is no event {name[:_LONGEST_ECHO]!r}; names are `feature:verb`")
            self._refuse(_UNKNOWN, name[:_LONGEST_ECHO], unknown, ack_id)
            return
        try:
            self._take(route)
            payload = decode_only(arguments, route.contract.decoder)
            lane = self._lanes.get(route.lane) if self._lanes else None
            if lane is not None:
                lane.hold(partial(self._call, route, payload, ack_id), arguments.size)
                return
        except Problem as problem:
            self._refuse(name, name, problem, ack_id)
            return
        rest = self._call(route, payload, ack_id)
        if rest is not None:
            self._begin(route.lane, rest)

    def fault(self, problem: Problem, ack_id: int | None) -> None:
        """Answer a packet that could not be read."""
        if self.client.closed:
            return
        if not self.ready:
            self._wait(None, partial(self.fault, problem, ack_id), 0)
            return
        self._refuse(_UNKNOWN, None, problem, ack_id)

    def begin(self) -> None:
        """The client was greeted: what it said before that is heard now, in order."""
        early, self._early = self._early, None
        for work, _ in early or ():
            work()

    def _wait(self, route: Route | None, work: Callable[[], None], size: int) -> None:
        """Do this behind the greeting; what is urgent, or too much (`size` is in bytes), brings that about."""
        if self._early is None:
            self._early = []
        self._early.append((work, size))
        urgent = route is not None and route.lane is Lane.SOS
        waiting = sum(size for _, size in self._early)
        if urgent or len(self._early) > _MOST_EARLY or waiting > _MOST_EARLY_BYTES:
            self._dispatcher.hurry(self.client)

    @property
    def idle(self) -> bool:
        """Whether no handler of the client runs, or waits to."""
        return not self._lanes

    def end(self, done: Callable[[], None]) -> None:
        """The client is gone: what waits is dropped, what runs ends first, then `done` is called."""
        for lane in (self._lanes or {}).values():
            lane.drop_waiting()
        self.when_idle(done)

    def when_idle(self, done: Callable[[], None]) -> None:
        """Call `done` when what runs and what waits behind it has ended; at once when there is nothing."""
        left = 1

        def one_ended() -> None:
            nonlocal left
            left -= 1
            if left == 0:
                done()

        for lane in (self._lanes or {}).values():
            left += 1
            lane.when_over(one_ended)
        one_ended()

    # A call, from its handler to its ack

    def _call(self, route: Route, payload: Any, ack_id: int | None) -> Coroutine[Any, Any, None] | None:
        """Call the handler; the rest of its work when it is a coroutine."""
        try:
            result = route.handle(self.client, payload)
        except Exception as error:  # noqa: BLE001 - the edge that answers and logs
            self._fail(route, error, ack_id)
            return None
        return self._go_on(route, result, ack_id)

    def _go_on(self, route: Route, result: Result, ack_id: int | None) -> Coroutine[Any, Any, None] | None:
        """From what a handler gave at once; the rest of its work when that is a coroutine."""
        if isinstance(result, CoroutineType):
            return self._finish(route, result, ack_id)
        self._settle(route, result, ack_id)
        return None

    async def _finish(self, route: Route, rest: Coroutine[Any, Any, Answer], ack_id: int | None) -> None:
        try:
            answer = await rest
        except Exception as error:  # noqa: BLE001 - the edge that answers and logs
            self._fail(route, error, ack_id)
        else:
            self._settle(route, answer, ack_id)

    def _settle(self, route: Route, answer: Answer, ack_id: int | None) -> None:
        if isinstance(answer, asyncio.Future):
            answer.add_done_callback(partial(self._resolved, route, ack_id))
        else:
            self._succeed(route, answer, ack_id)

    def _resolved(self, route: Route, ack_id: int | None, future: "asyncio.Future[Any]") -> None:
        if future.cancelled():
            gone = Unavailable("given up on our side; send it again with the same id", retry_after_ms=1000)
            self._fail(route, gone, ack_id)
        elif (error := future.exception()) is not None:
            self._fail(route, error, ack_id)
        else:
            self._succeed(route, future.result(), ack_id)

    def _succeed(self, route: Route, answer: object, ack_id: int | None) -> None:
        """Acknowledge; None is an empty object."""
        then = None
        if type(answer) is Followed:
            answer, then = answer
        try:
            if ack_id is not None:
                self.client.socket.acknowledge(ack_id, _EMPTY if answer is None else answer)
        except Exception as error:  # noqa: BLE001 - an answer that cannot be encoded is our fault, told like any other
            self._fail(route, error, ack_id)
        else:
            route.done += 1
        if then is not None:
            then()

    def _fail(self, route: Route, error: BaseException, ack_id: int | None) -> None:
        """Answer what a handler raised: a problem as it is, anything else as `internal`, logged with its trace id."""
        name = route.name
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

    # Bounds

    def _take(self, route: Route) -> None:
        now = self._dispatcher.monotonic()
        if self._uses is None:
            self._uses = {}
        use = self._uses.get(route.key)
        if use is None:
            use = self._uses[route.key] = _Use(route, now)
        if wait := use.take(now):
            retry_after_ms = max(1, round(wait * 1000))
            raise RateLimited(f"more {route.name} than this socket may send", retry_after_ms=retry_after_ms)

    def _begin(self, lane: Lane, rest: Coroutine[Any, Any, None]) -> None:
        """The lane is busy until this coroutine, and what waits for it, has ended."""
        if self._lanes is None:
            self._lanes = {}
        self._lanes[lane] = LaneQueue(
            rest, self._dispatcher.owner, lane.value, self._dispatcher.options.lane, partial(self._idle_again, lane)
        )

    def _idle_again(self, lane: Lane, queue: LaneQueue) -> None:
        if self._lanes is not None and self._lanes.get(lane) is queue:
            del self._lanes[lane]

    def _refuse(self, metric: str, event: str | None, problem: Problem, ack_id: int | None) -> None:
        self._answer(metric, event, problem, ack_id, None)
        now = self._dispatcher.monotonic()
        if self._refusals is None:
            self._refusals = TokenBucket(self._dispatcher.options.refusals, now)
        if self._refusals.take(now):
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


class Dispatcher:
    """What all inboxes of a node share."""

    def __init__(
        self, registry: Registry, clock: Clock, owner: TaskOwner, metrics: GatewayMetrics, options: DispatchOptions
    ) -> None:
        self.find = registry.find
        self.hurry: Callable[[Client], None] = lambda client: None
        """Called to have a client greeted now."""
        self.monotonic = clock.monotonic
        self.owner = owner
        self.metrics = metrics
        self.options = options
        metrics.watch(registry)

    def inbox(self, client: Client) -> Inbox:
        """Where the events of this client go."""
        return Inbox(self, client)
