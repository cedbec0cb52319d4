"""Connections that are lost while they are written to, told apart from faults of a program.

asyncio's transports swallow a write after the peer's reset; uvloop's raise a bare RuntimeError, between the reset and
the moment in which the connection's owner hears of it. For redis-py and asyncpg that is an error nobody foresaw.
"""

import ssl
from collections.abc import Iterable, Mapping
from typing import Any

from redis.asyncio.connection import Connection, SSLConnection, UnixDomainSocketConnection
from redis.exceptions import ConnectionError as ConnectionLost
from redis.exceptions import ReadOnlyError

from domain.kit.redis_tls import TlsContext


def is_closed_transport(error: BaseException) -> bool:
    """Whether this is uvloop's refusal to write to a transport that is closed already."""
    return isinstance(error, RuntimeError) and "handler is closed" in str(error)


class _LossIsAnError:
    """Has redis-py's own error for a lost connection raised where it is lost.

    That is also where the server has become a replica: who connects anew may find the master, by whatever name.
    """

    async def send_packed_command(self, command: bytes | str | Iterable[bytes], check_health: bool = True) -> None:
        try:
            await super().send_packed_command(command, check_health)  # type: ignore[misc]
        except RuntimeError as error:
            if not is_closed_transport(error):
                raise
            raise ConnectionLost("the connection was closed by the server") from error

    async def read_response(self, *arguments: Any, **options: Any) -> Any:
        try:
            return await super().read_response(*arguments, **options)  # type: ignore[misc]
        except ReadOnlyError as error:
            await self.disconnect(nowait=True)  # type: ignore[attr-defined]
            raise ConnectionLost("the server has become a replica") from error


class TcpConnection(_LossIsAnError, Connection):
    """To a host and port."""


class TlsConnection(_LossIsAnError, SSLConnection):
    """The same through TLS."""

    def __init__(self, *, tls: TlsContext | None = None, **options: Any) -> None:
        """`tls` is shared with other connections of the same options."""
        super().__init__(**options)
        self.tls = tls or TlsContext(self.ssl_context)

    def _connection_arguments(self) -> Mapping[str, Any]:
        plain: Mapping[str, Any] = super(SSLConnection, self)._connection_arguments()
        return {**plain, "ssl": self.tls.get()}

    def _error_message(self, exception: BaseException) -> str:
        if isinstance(exception, ssl.SSLCertVerificationError):
            return f"the certificate of {self._host_error()} is refused: {exception.verify_message}"
        return str(super()._error_message(exception))


class LocalConnection(_LossIsAnError, UnixDomainSocketConnection):
    """To a Unix socket."""
