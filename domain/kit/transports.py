"""Connections that are lost while they are written to, told apart from faults of a program.

asyncio's transports swallow a write after the peer's reset; uvloop's raise a bare RuntimeError, between the reset and
the moment in which the connection's owner hears of it. For redis-py and asyncpg that is an error nobody foresaw.
"""

from collections.abc import Iterable

from redis.asyncio.connection import Connection, ConnectionPool, SSLConnection, UnixDomainSocketConnection
from redis.exceptions import ConnectionError as ConnectionLost


def is_closed_transport(error: BaseException) -> bool:
    """Whether this is uvloop's refusal to write to a transport that is closed already."""
    return isinstance(error, RuntimeError) and "handler is closed" in str(error)


class _LossIsAnError:
    """Turns that refusal into redis-py's own error for a lost connection."""

    async def send_packed_command(self, command: bytes | str | Iterable[bytes], check_health: bool = True) -> None:
        try:
            await super().send_packed_command(command, check_health)  # type: ignore[misc]
        except RuntimeError as error:
            if not is_closed_transport(error):
                raise
            raise ConnectionLost("the connection was closed by the server") from error


class _Plain(_LossIsAnError, Connection):
    pass


class _Tls(_LossIsAnError, SSLConnection):
    pass


class _Local(_LossIsAnError, UnixDomainSocketConnection):
    pass


def recognise_losses(pool: ConnectionPool) -> None:
    """Let the connections that this pool will make raise redis-py's ConnectionError when they are lost."""
    kinds = {Connection: _Plain, SSLConnection: _Tls, UnixDomainSocketConnection: _Local}
    pool.connection_class = kinds[pool.connection_class]
