"""`python -m loadtests.bench.wire.servers.plain PORT EVENT`: python-socketio on uvicorn, as documented."""

import json
import sys

import socketio
import uvicorn

from loadtests.bench.wire.servers.handlers import attach


def main() -> None:
    """Serve until killed."""
    port, payload = int(sys.argv[1]), json.loads(sys.argv[2])
    server = socketio.AsyncServer(async_mode="asgi")
    attach(server, payload)
    uvicorn.run(
        socketio.ASGIApp(server),
        host="127.0.0.1",
        port=port,
        loop="uvloop",
        http="httptools",
        ws="websockets-sansio",
        backlog=4096,
        log_level="warning",
        # The others do not compress either: every message would be a frame of its own kind for each listener.
        ws_per_message_deflate=False,
    )


if __name__ == "__main__":
    main()
