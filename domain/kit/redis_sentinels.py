"""Which Redis is the master, as sentinels know it: all are asked side by side, so that any of them may be down.

What they say can be old. Whoever connects asks the server itself for its role, and takes the next answer if it is none.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any
from weakref import WeakSet

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as ConnectionLost
from redis.exceptions import RedisError

from domain.kit.redis_urls import Address
from domain.kit.tasks import TaskOwner


class Sentinels:
    """The sentinels of one service."""

    def __init__(
        self, addresses: Sequence[Address], service: str, make: Callable[[Address], AbstractConnection]
    ) -> None:
        """`make` gives a connection to a sentinel; its timeouts bound how long one is waited for."""
        self._addresses = addresses
        self._service = service
        self._make = make

    async def masters(self) -> AsyncGenerator[Address, None]:
        """What they take for the master, as the answers come, each address once. Raises ConnectionLost if none says."""
        said: set[Address] = set()
        faults: list[str] = []
        async with TaskOwner("sentinels") as owner:
            asking = [owner.start(self._ask(address), "ask") for address in self._addresses]
            for answer in asyncio.as_completed(asking):
                master = await answer
                if isinstance(master, Exception):
                    faults.append(str(master))
                elif master not in said:
                    said.add(master)
                    yield master
        if not said:
            raise ConnectionLost(f"no sentinel names a master: {'; '.join(sorted(faults))}")

    async def _ask(self, address: Address) -> Address | Exception:
        connection = self._make(address)
        try:
            await connection.connect()  # type: ignore[no-untyped-call]
            await connection.send_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._service)
            answer = await connection.read_response()
        except (RedisError, OSError) as error:
            return error
        finally:
            await connection.disconnect(nowait=True)
        if answer is None:
            return ConnectionLost(f"{address[0]}:{address[1]} does not watch {self._service}")
        return answer[0].decode(), int(answer[1])


class Followers:
    """The connections of a process to the master, which leave it together once there is another one."""

    def __init__(self) -> None:
        self._connections: WeakSet[AbstractConnection] = WeakSet()
        self._master: Address | None = None
        self._former: set[Address] = set()

    def joined(self, connection: AbstractConnection) -> None:
        """One more, to whom `host` and `port` of it say."""
        self._connections.add(connection)

    def was_left(self, server: Address) -> bool:
        """Whether it has been replaced: it may say that it is a master, because nobody has told it yet."""
        return server in self._former

    def follow(self, master: Address) -> int:
        """End the connections to any other server, as a loss would; answers how many."""
        if self._master is not None:
            self._former.add(self._master)
        self._master = master
        self._former.discard(master)
        writers = [_writer(each) for each in self._connections if (each.host, each.port) != master]  # type: ignore[attr-defined]
        late = [writer for writer in writers if writer is not None]
        for writer in late:
            writer.transport.abort()
        return len(late)


def _writer(connection: AbstractConnection) -> Any:
    """None while it is not open."""
    return connection._writer
