"""How this server speaks to Redis: short timeouts, no hidden retries, one error for all that means "not known".

redis-py's own retries are off: a command that was sent twice must have been meant twice. Scripts live in `.lua` files
and are loaded when Redis does not know them.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any, TypeAlias, TypeVar

from hiredis import pack_command
from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError
from redis.maint_notifications import MaintNotificationsConfig

from domain.kit.errors import Unavailable
from domain.kit.transports import recognise_losses
from realtime.bus.pipe import Line

REDIS_FAILURES: tuple[type[Exception], ...] = (RedisError, OSError, TimeoutError)
"""What redis-py raises when Redis is gone, silent, refusing, loading, full or failing over."""
RETRY_AFTER_MS = 1000
_IN_ONE_COMMAND = 64
"""Things in one call of a script: so many keep Redis from others for a fraction of a millisecond."""

T = TypeVar("T")

Command: TypeAlias = tuple[str | bytes | int | float, ...]


@dataclass(frozen=True)
class BusOptions:
    """Where Redis is and how long to wait for it."""

    redis_url: str
    timeout_seconds: float = 1.0
    """For connecting and for each answer: a paused Redis is noticed within twice this."""
    heartbeat_seconds: float = 0.5
    """How often a node speaks to itself through Redis."""
    deaf_seconds: float = 2.0
    """A node that has not heard itself for so long reconnects and reads everything again."""
    reconnect_seconds: float = 0.1
    """The pause between attempts to reconnect."""
    keep_seconds: int = 300
    """How long a channel's rows are kept after the last was written."""


class Script:
    """A Lua file beside this module; its keys and arguments are listed on its top."""

    def __init__(self, name: str) -> None:
        self.text = resources.files(__package__).joinpath(f"{name}.lua").read_text("utf-8")
        self.sha = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()

    def call(self, keys: Sequence[str], *arguments: str | bytes | int | float) -> Command:
        """The command that runs it."""
        return ("EVALSHA", self.sha, len(keys), *keys, *arguments)


def create_client(options: BusOptions, *, name: str, timeout_seconds: float | None = None, protocol: int = 3) -> Redis:
    """A redis-py client that answers in bytes, never retries by itself and gives up after the timeout."""
    timeout = timeout_seconds or options.timeout_seconds
    client = Redis.from_url(
        options.redis_url,
        protocol=protocol,
        client_name=name,
        socket_timeout=timeout,
        socket_connect_timeout=options.timeout_seconds,
        retry=Retry(NoBackoff(), 0),
        maint_notifications_config=MaintNotificationsConfig(enabled=False),
    )
    recognise_losses(client.connection_pool)
    return client


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


class RedisLink:
    """Commands to Redis on one connection: each call ends within `deadline_seconds`, with the answers or Unavailable.

    Commands are sent in the order of the calls, and no call waits for another one's answers; one that blocks in Redis
    (XREAD, WAIT) holds up those after it.
    """

    def __init__(
        self,
        options: BusOptions,
        *,
        name: str,
        scripts: Sequence[Script] = (),
        deadline_seconds: float | None = None,
    ) -> None:
        self._deadline_seconds = deadline_seconds or 2 * options.timeout_seconds
        self._client = create_client(options, name=name, timeout_seconds=self._deadline_seconds)
        self._scripts = {script.sha: script for script in scripts}
        self._line: Line | None = None
        self._connecting = asyncio.Lock()
        self._before_it = 0
        """Calls that have to wait for a connection, and go before those that come when there is one."""

    async def call(self, *command: str | bytes | int | float) -> Any:
        """The answer to one command. Raises Unavailable."""
        (answer,) = await self.batch([command])
        return answer

    def together(self, things: Iterable[str], *, name: Callable[[str], str]) -> list[list[str]]:
        """These things in groups of which each may be in one command; `name` gives a key or channel of each.

        A script that is called for each rider costs more in the calling than in the script.
        """
        wanted = list(things)
        return [wanted[begin : begin + _IN_ONE_COMMAND] for begin in range(0, len(wanted), _IN_ONE_COMMAND)]

    async def batch(self, commands: Sequence[Command]) -> list[Any]:
        """The answers to commands sent together; not a transaction.

        Raises Unavailable when any of them failed or its outcome is not known; the others may have happened.
        """
        if not commands:
            return []
        try:
            answers = await self._ask(commands)
            if any(isinstance(answer, NoScriptError) for answer in answers):
                answers = await self._load_and_ask(commands)
        except REDIS_FAILURES as error:
            raise unavailable(error) from error
        for answer in answers:
            if isinstance(answer, Exception):
                raise unavailable(answer) from answer
        return answers

    async def _ask(self, commands: Sequence[Command]) -> list[Any]:
        packed, line = b"".join([pack_command(command) for command in commands]), self._line  # type: ignore[arg-type]
        if line is not None and line.open and not self._before_it:
            return await line.begin(packed, len(commands))
        async with asyncio.timeout(self._deadline_seconds):
            return await (await self._connect_and_begin(packed, len(commands)))

    async def _connect_and_begin(self, packed: bytes, count: int) -> "asyncio.Future[list[Any]]":
        self._before_it += 1
        try:
            async with self._connecting:
                line = self._line
                if line is None or not line.open:
                    line = self._line = await self._connect()
                return line.begin(packed, count)
        finally:
            self._before_it -= 1

    async def _connect(self) -> Line:
        connection: AbstractConnection = self._client.connection_pool.make_connection()  # type: ignore[no-untyped-call]
        try:
            await heeding_cancellation(connection.connect())  # type: ignore[no-untyped-call]
            return Line(connection, self._deadline_seconds)
        except BaseException:
            await connection.disconnect(nowait=True)
            raise

    async def _load_and_ask(self, commands: Sequence[Command]) -> list[Any]:
        async with asyncio.timeout(self._deadline_seconds):
            await self._ask([("SCRIPT", "LOAD", script.text) for script in self._scripts.values()])
            return await self._ask(commands)

    async def aclose(self) -> None:
        """Close the connection."""
        if self._line is not None:
            self._line.close()
        await self._client.aclose()


def unavailable(error: Exception) -> Unavailable:
    """The answer to give when Redis failed with `error`."""
    return Unavailable(f"Redis did not confirm it ({type(error).__name__})", retry_after_ms=RETRY_AFTER_MS)
