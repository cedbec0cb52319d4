"""The signed-in clients of this node: who may connect, where events go, and how sessions end.

It is the wire's endpoint. Features join in with handlers (see `contracts.handles`) and with hooks for the beginning and
the end of a client. Who hears what is the hub's business.
"""

import sys
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, cast
from uuid import UUID

import msgspec
import structlog

from domain.kit.clock import Clock
from domain.kit.errors import Problem, RateLimited
from domain.kit.tasks import TaskOwner
from realtime.gateway.client import Client
from realtime.gateway.codes import FAULTY, SESSION_REVOKED
from realtime.gateway.contracts import Limit
from realtime.gateway.dispatch import Dispatcher, DispatchOptions, Inbox
from realtime.gateway.events.session import SESSION_READY, Limits, Rate, SessionReady, StreamHead
from realtime.gateway.metrics import GatewayMetrics
from realtime.gateway.registry import Registry
from realtime.gateway.sessions import (
    Credentials,
    Doorkeeper,
    RecentlyRevoked,
    Revocations,
    SessionHandlers,
    TokenEnds,
    Verifier,
)
from realtime.wire.interface import Inbox as WireInbox
from realtime.wire.interface import Socket
from realtime.wire.packets import Arguments

_log = structlog.get_logger(__name__)


class Hooks(Protocol):
    """What a feature may want to know of clients; called synchronously, and whatever it raises closes that client."""

    def on_connect(self, client: Client) -> None:
        """A client is ready: it was sent `session:ready`, and its events come from now on."""
        ...

    def on_disconnect(self, client: Client) -> None:
        """A client is gone and none of its handlers runs any more.

        Every hook hears this of every client that was ready, also when an `on_connect` before its own failed.
        """
        ...


class OwnStreams(Protocol):
    """Joins clients to the durable streams that they hear from the start (`streams.greetings.Greetings`)."""

    def begin(self, client: Client, greet: Callable[[Client, Mapping[str, StreamHead]], None]) -> None:
        """Join the client, and call `greet` once, now or soon, with where its streams stand."""
        ...

    def hurry(self, client: Client) -> None:
        """Have it greeted now, with what is known."""
        ...

    def end(self, client: Client) -> None:
        """The client is gone; also called for one that `begin` was not called for."""
        ...


@dataclass(frozen=True)
class GatewayOptions:
    """Durations and bounds."""

    event_bytes: int = 512 * 1024
    batch_fixes: int = 1000
    send_interval_ms: int = 5000
    """The interval told to clients when they connect."""
    sockets_per_user: int = 20
    warn_seconds: float = 60.0
    """How long before a token's end `auth:expiring` is sent."""
    check_seconds: float = 0.5
    """How often the ends of tokens are looked at."""
    revocation_memory_seconds: float = 3600.0
    """How long a revocation heard is remembered when it does not say itself; longer than an access token lives."""
    limits: Mapping[str, Limit] = field(default_factory=dict)
    """Limits by event name that replace those of the contracts."""
    dispatch: DispatchOptions = field(default_factory=DispatchOptions)


class Gateway:
    """The wire's endpoint, and the register of clients by socket, user and session."""

    def __init__(
        self,
        handlers: Iterable[object],
        *,
        verifier: Verifier,
        revocations: Revocations,
        clock: Clock,
        owner: TaskOwner,
        metrics: GatewayMetrics,
        options: GatewayOptions,
        hooks: Sequence[Hooks] = (),
        streams: OwnStreams | None = None,
    ) -> None:
        """`streams`: where clients join the streams that they hear from the start; without it there are none."""
        self._clock = clock
        self._metrics = metrics
        self._options = options
        self._hooks = tuple(hooks)
        self._streams = streams
        self._recent = RecentlyRevoked(clock)
        self._doorkeeper = Doorkeeper(verifier, revocations, self._recent)
        self._ends = TokenEnds(clock, options.warn_seconds)
        self.registry = Registry([SessionHandlers(self._doorkeeper, self._ends), *handlers], options.limits)
        self._dispatcher = Dispatcher(self.registry, clock, owner, metrics, options.dispatch)
        if streams is not None:
            self._dispatcher.hurry = streams.hurry
        self._limits = cast(Limits, msgspec.Raw(msgspec.json.encode(_limits(options, self.registry))))
        """Written once for all greetings: it is the largest part of them, and always the same."""
        self._inboxes: dict[str, Inbox] = {}
        self._users = _Index()
        self._sessions = _Index()

    # What the wire calls

    def admit(self, socket: Socket, auth: Arguments) -> Awaitable[None] | None:
        """Check the token of a CONNECT and register the client. Raises Problem.

        None when that is done; else what is to be awaited, which raises Problem too.
        """
        try:
            credentials = self._doorkeeper.check(auth)
            asked = self._doorkeeper.refuse_revoked(credentials.identity)
            if asked is not None:
                return self._admit_after(asked, socket, credentials)
            self._register(socket, credentials)
        except Problem as problem:
            self._metrics.refused.labels(problem.code.value).inc()
            raise
        return None

    async def _admit_after(self, asked: Awaitable[None], socket: Socket, credentials: Credentials) -> None:
        try:
            await asked
            self._register(socket, credentials)
        except Problem as problem:
            self._metrics.refused.labels(problem.code.value).inc()
            raise

    def opened(self, socket: Socket) -> None:
        """Greet the client and tell the features, as soon as it is known where its streams stand."""
        client = self._inboxes[socket.sid].client
        if self._streams is None:
            self._greet(client, {})
        else:
            self._streams.begin(client, self._greet)

    def _greet(self, client: Client, streams: Mapping[str, StreamHead]) -> None:
        inbox = self._inboxes.get(client.id)
        if inbox is None:
            return
        client.emit(SESSION_READY, self._greeting(client, streams))
        self._ends.watch(client)
        inbox.ready = True
        self._metrics.sockets.inc()
        user_id = str(client.identity.user_id)
        _log.info("client_connected", connection=client.trace_id, user_id=user_id, app=client.app)
        for hooks in self._hooks:
            if client.closed:
                break
            try:
                hooks.on_connect(client)
            except Exception:  # noqa: BLE001 - the edge that logs
                _log.exception("connect_hook_failed", connection=client.trace_id)
                client.close(FAULTY)
        inbox.begin()

    def inbox_of(self, socket: Socket) -> WireInbox:
        """Where the client's usual events go."""
        return self._inboxes[socket.sid]

    def event(self, socket: Socket, name: str, arguments: Arguments, ack_id: int | None) -> None:
        """Hand an event to the client's inbox."""
        self._inboxes[socket.sid].event(name, arguments, ack_id)

    def fault(self, socket: Socket, problem: Problem, ack_id: int | None) -> None:
        """Answer a packet that could not be read."""
        self._inboxes[socket.sid].fault(problem, ack_id)

    def closed(self, socket: Socket, reason: str) -> None:
        """Forget the client; the features hear of it once its running handlers have ended."""
        inbox = self._inboxes.pop(socket.sid)
        client = inbox.client
        if self._streams is not None:
            self._streams.end(client)
        self._forget(client)
        if inbox.ready:
            self._metrics.sockets.dec()
            self._metrics.ended.labels(reason).inc()
            _log.info("client_disconnected", connection=client.trace_id, reason=reason)
            inbox.end(lambda: self._tell_disconnected(client))

    # What the rest of the node calls

    async def run(self) -> None:
        """Watch over the ends of tokens until cancelled."""
        while True:
            await self._clock.sleep(self._options.check_seconds)
            self._ends.check()
            self._recent.forget_ended()

    def session_revoked(self, session_id: UUID, expires_at_ms: int | None = None) -> None:
        """Close the sockets of a session now, and let it in no more while its access tokens live."""
        memory_ms = round(self._options.revocation_memory_seconds * 1000)
        self._recent.add(session_id, max(expires_at_ms or 0, self._clock.epoch_ms() + memory_ms))
        for client in self._sessions.get(session_id, ()):
            client.close(SESSION_REVOKED)

    def live_sessions(self) -> frozenset[UUID]:
        """The sessions that have a socket here, for whoever checks them against the database."""
        return frozenset(self._sessions)

    def greeted(self) -> list[Client]:
        """The clients that have been sent `session:ready`."""
        return [inbox.client for inbox in self._inboxes.values() if inbox.ready]

    def join(self, hooks: Hooks) -> None:
        """Have somebody more hear of clients that come and go from now on."""
        self._hooks = (*self._hooks, hooks)

    def is_idle(self, client: Client) -> bool:
        """Whether no handler of the client runs, or waits to."""
        inbox = self._inboxes.get(client.id)
        return inbox is None or inbox.idle

    def when_idle(self, client: Client, done: Callable[[], None]) -> None:
        """Call `done` once no handler of the client runs any more; at once when none does."""
        inbox = self._inboxes.get(client.id)
        if inbox is None:
            done()
        else:
            inbox.when_idle(done)

    def clients_of(self, user_id: UUID) -> list[Client]:
        """The clients of a rider on this node, one for each device that is connected."""
        return list(self._users.get(user_id, ()))

    def __iter__(self) -> Iterator[Client]:
        return iter([inbox.client for inbox in self._inboxes.values()])

    def __len__(self) -> int:
        return len(self._inboxes)

    def _register(self, socket: Socket, credentials: Credentials) -> None:
        identity, wanted = credentials
        if len(self._users.get(identity.user_id, ())) >= self._options.sockets_per_user:
            raise RateLimited("too many sockets of this rider are open", retry_after_ms=60_000)
        app = wanted.app and sys.intern(wanted.app)
        client = Client(socket, identity, app=app, protocol=wanted.protocol)
        self._inboxes[client.id] = self._dispatcher.inbox(client)
        self._users.add(identity.user_id, client)
        self._sessions.add(identity.session_id, client)

    def _forget(self, client: Client) -> None:
        self._ends.forget(client)
        self._users.remove(client.identity.user_id, client)
        self._sessions.remove(client.identity.session_id, client)

    def _greeting(self, client: Client, streams: Mapping[str, StreamHead]) -> SessionReady:
        return SessionReady(
            user_id=client.identity.user_id,
            rider=client.identity.rider,
            server_time=self._clock.epoch_ms(),
            expires_at=client.identity.expires_at_ms,
            send_interval_ms=self._options.send_interval_ms,
            limits=self._limits,
            streams=dict(streams),
        )

    def _tell_disconnected(self, client: Client) -> None:
        for hooks in self._hooks:
            try:
                hooks.on_disconnect(client)
            except Exception:  # noqa: BLE001 - the edge that logs
                _log.exception("disconnect_hook_failed", connection=client.trace_id)


def _limits(options: GatewayOptions, registry: Registry) -> Limits:
    rates = {route.contract.name: Rate(route.limit.per_second, route.limit.burst) for route in registry}
    return Limits(options.event_bytes, options.batch_fixes, rates)


class _Index(dict[UUID, tuple[Client, ...]]):
    """Clients by user or session. Nearly always there is one: a tuple is the smallest thing that holds it."""

    def add(self, key: UUID, client: Client) -> None:
        self[key] = (*self.get(key, ()), client)

    def remove(self, key: UUID, client: Client) -> None:
        if left := tuple(other for other in self.get(key, ()) if other is not client):
            self[key] = left
        else:
            self.pop(key, None)
