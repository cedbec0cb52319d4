"""uvicorn's server with one more step at its end, so that open sockets do not hold it up."""

from collections.abc import Callable
from socket import socket

import uvicorn


class WireServer(uvicorn.Server):
    """Calls `before_shutdown` (the wire's `stop`, a drain) before uvicorn waits for its connections."""

    def __init__(self, config: uvicorn.Config, before_shutdown: Callable[[], None]) -> None:
        super().__init__(config)
        self._before_shutdown = before_shutdown

    async def shutdown(self, sockets: list[socket] | None = None) -> None:
        """Stop the wire, then shut down as uvicorn does."""
        self._before_shutdown()
        await super().shutdown(sockets)
