"""Connections to Redis, made for an address of any form. redis-py's own retries are off: a command that was sent twice
must have been meant twice.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Any, TypeVar

from hiredis import pack_command
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as ConnectionLost
from redis.exceptions import RedisError
from redis.maint_notifications import MaintNotificationsConfig

from domain.kit.redis_pipe import Line, OnEnd
from domain.kit.redis_sentinels import Followers, Sentinels
from domain.kit.redis_slots import Command
from domain.kit.redis_urls import Address, BadRedisUrl, RedisUrl, Topology, parse_redis_url
from domain.kit.transports import LocalConnection, TcpConnection, TlsConnection, is_closed_transport

REDIS_FAILURES: tuple[type[Exception], ...] = (RedisError, OSError, TimeoutError)
"""What redis-py raises when Redis is gone, silent, refusing, loading, full or failing over."""

T = TypeVar("T")


class _ToTheMaster:
    """Asks the sentinels for the master each time it connects, and believes it only of one that says so itself."""

    host: str
    port: int

    def __init__(self, *, sentinels: Sentinels, followers: Followers, **options: Any) -> None:
        self.sentinels = sentinels
        self.followers = followers
        super().__init__(**options)

    async def connect_check_health(self, *arguments: Any, **options: Any) -> None:
        if self.is_connected:  # type: ignore[attr-defined]
            return
        fault: Exception | None = None
        async with aclosing(self.sentinels.masters()) as addresses:
            async for self.host, self.port in addresses:
                try:
                    await super().connect_check_health(*arguments, **options)  # type: ignore[misc]
                    await self._insist_on_a_master()
                except REDIS_FAILURES as error:
                    await self.disconnect(nowait=True)  # type: ignore[attr-defined]
                    fault = error
                else:
                    self.followers.joined(self)  # type: ignore[arg-type]
                    return
        raise ConnectionLost(f"the sentinels name no master that answers: {fault}") from fault

    async def _insist_on_a_master(self) -> None:
        if self.followers.was_left((self.host, self.port)):
            raise ConnectionLost("a sentinel still names the master that was replaced")
        await self.send_command("ROLE", check_health=False)  # type: ignore[attr-defined]
        role = (await self.read_response())[0]  # type: ignore[attr-defined]
        if role not in {b"master", "master"}:
            raise ConnectionLost("the sentinels name a replica as the master")


class _TcpToTheMaster(_ToTheMaster, TcpConnection):
    pass


class _TlsToTheMaster(_ToTheMaster, TlsConnection):
    pass


class Maker:
    """Makes connections to what an address names; they are not open yet."""

    def __init__(
        self,
        url: RedisUrl,
        *,
        name: str,
        connect_timeout_seconds: float,
        answer_timeout_seconds: float | None = None,
        protocol: int = 3,
        followers: Followers | None = None,
    ) -> None:
        """`answer_timeout_seconds`: None where each caller has a deadline of its own. Raises BadRedisUrl.

        What is made of sentinels' answers is among `followers`.
        """
        self.url = url
        self.followers = followers or Followers()
        self._kind = _kind_of(url)
        self._probe_kind = TlsConnection if url.tls else TcpConnection
        common = {**_PLAIN, "client_name": name}
        limits = {"socket_timeout": answer_timeout_seconds, "socket_connect_timeout": connect_timeout_seconds}
        self.options: dict[str, Any] = {**url.options, **common, **limits, "protocol": protocol}
        self._probing: dict[str, Any] = {}
        if url.topology is not Topology.ONE:
            # A question about the topology has to leave time for what was to be done.
            limits = dict.fromkeys(limits, connect_timeout_seconds / 2)
            probing = url.sentinel_options if url.topology is Topology.SENTINEL else url.options
            self._probing = _with_shared_tls(self._probe_kind, {**probing, **common, **limits, "protocol": 2})
        elif url.addresses:
            self.options["host"], self.options["port"] = url.addresses[0]
        if url.topology is Topology.SENTINEL:
            self.options["sentinels"] = Sentinels(url.addresses, url.service, self.make_probe)
            self.options["followers"] = self.followers
        self.options = _with_shared_tls(self._kind, self.options)

    @property
    def kind(self) -> type[AbstractConnection]:
        """What is made."""
        return self._kind

    def make(self, address: Address | None = None) -> AbstractConnection:
        """A connection to one server of a cluster, or else to the one that the address names."""
        if address is None:
            return self._kind(**self.options)
        return self._kind(**self.options | {"host": address[0], "port": address[1]})

    def make_probe(self, address: Address) -> AbstractConnection:
        """A connection for a question about the topology, to a sentinel or a server of a cluster."""
        return self._probe_kind(**self._probing | {"host": address[0], "port": address[1]})

    def read_certificates(self) -> None:
        """Read what TLS needs, as the first connections would. Raises BadRedisUrl."""
        for options in (self.options, self._probing):
            if "tls" in options:
                options["tls"].get()


def check_redis_url(text: str) -> None:
    """Raise BadRedisUrl when no connection can come of this address, whatever stands behind it."""
    Maker(parse_redis_url(text), name="check", connect_timeout_seconds=1).read_certificates()


def _with_shared_tls(kind: type[AbstractConnection], options: dict[str, Any]) -> dict[str, Any]:
    """The options, with one TLS context for all connections of this kind. Raises BadRedisUrl."""
    try:
        connection = kind(**options)
    except (TypeError, ValueError, RedisError):
        raise BadRedisUrl("has an option behind its ? that is none, or with a value that it cannot have") from None
    return {**options, "tls": connection.tls} if isinstance(connection, TlsConnection) else options


_PLAIN = {
    "retry": Retry(NoBackoff(), 0),
    "maint_notifications_config": MaintNotificationsConfig(enabled=False),
}


def _kind_of(url: RedisUrl) -> type[AbstractConnection]:
    if not url.addresses:
        return LocalConnection
    if url.topology is Topology.SENTINEL:
        return _TlsToTheMaster if url.tls else _TcpToTheMaster
    return TlsConnection if url.tls else TcpConnection


class Place:
    """The connection to one server: opened when it is needed, and again after a fault.

    Commands are sent in the order of the calls, and no call waits for another one's answers; one that blocks in Redis
    (XREAD, WAIT) holds up those after it.
    """

    def __init__(self, make: Callable[[], AbstractConnection], deadline_seconds: float) -> None:
        self._make = make
        self._deadline_seconds = deadline_seconds
        self._line: Line | None = None
        self._connecting = asyncio.Lock()
        self._before_it = 0
        """Calls that have to wait for a connection, and go before those that come when there is one."""
        self._closed = False

    def begin(self, commands: Sequence[Command]) -> "asyncio.Future[list[Any]] | None":
        """Send now, if that can be; the future has the answers, errors of Redis among them as values."""
        line = self._line
        if line is None or not line.open or self._before_it:
            return None
        return line.begin(packed(commands), len(commands))

    def post(self, commands: bytes, count: int, on_end: OnEnd, note: int) -> bool:
        """Send `count` packed commands now, if that can be, and have `on_end` told of them later."""
        line = self._line
        if line is None or self._before_it:
            return False
        try:
            return line.post(commands, count, on_end, note)
        except RuntimeError as error:
            if not is_closed_transport(error):
                raise
            return False

    async def exchange(self, commands: Sequence[Command]) -> list[Any]:
        """The answers, errors of Redis among them as values. Raises what redis-py raises when they are not known."""
        begun = self.begin(commands)
        if begun is not None:
            return await begun
        async with asyncio.timeout(self._deadline_seconds):
            return await (await self._connect_and_begin(commands))

    async def _connect_and_begin(self, commands: Sequence[Command]) -> "asyncio.Future[list[Any]]":
        self._before_it += 1
        try:
            async with self._connecting:
                line = self._line
                if line is None or not line.open:
                    line = self._line = await self._connect()
                if self._closed:
                    line.close()
                return line.begin(packed(commands), len(commands))
        finally:
            self._before_it -= 1

    async def _connect(self) -> Line:
        connection = self._make()
        try:
            await heeding_cancellation(connection.connect())  # type: ignore[no-untyped-call]
            return Line(connection, self._deadline_seconds)
        except BaseException:
            await connection.disconnect(nowait=True)
            raise

    def close(self) -> None:
        """Give the connection up for good; calls under way fail."""
        self._closed = True
        if self._line is not None:
            self._line.close()


async def heeding_cancellation(work: Awaitable[T]) -> T:
    """What comes of `work`, unless the task was cancelled meanwhile.

    redis-py writes through `asyncio.wait_for`, which on Python 3.11 loses a cancellation that arrives just as the write
    ends (python/cpython#86296); a task that runs for ever would then never end.
    """
    task = asyncio.current_task()
    before = task.cancelling() if task else 0
    try:
        return await work
    finally:
        if task and task.cancelling() > before:
            raise asyncio.CancelledError


def packed(commands: Sequence[Command]) -> bytes:
    """Commands as Redis reads them."""
    if len(commands) == 1:
        return pack_command(commands[0])  # type: ignore[no-any-return, arg-type]
    return b"".join([pack_command(command) for command in commands])  # type: ignore[arg-type]
