"""Options of python-socketio's server that this one does not take, and what there is in their place."""

from collections.abc import Mapping
from dataclasses import fields
from difflib import get_close_matches
from typing import Final

from realtime.wire.options import WireOptions

_INSTEAD: Final = {
    "cors_allowed_origins": "use WireOptions(allowed_origins=[…])",
    "max_http_buffer_size": "use WireOptions(frame_bytes=…)",
    "ping_interval": "use WireOptions(ping_interval_seconds=…)",
    "ping_timeout": "use WireOptions(ping_timeout_seconds=…)",
    "websocket_compression": "use WireOptions(compression=…)",
    "http_compression": "long-polling is not compressed; for WebSockets there is WireOptions(compression=…)",
    "compression_threshold": "long-polling is not compressed; for WebSockets there is WireOptions(compression=…)",
    "transports": "long-polling and WebSocket are both served",
    "allow_upgrades": "long-polling and WebSocket are both served",
    "cookie": "no cookie is set",
    "cors_credentials": "there are no cookies to be sent",
    "logger": "it logs through structlog, as realtime.wire",
    "engineio_logger": "it logs through structlog, as realtime.wire",
    "monitor_clients": "clients are always monitored",
    "async_mode": "it is an ASGI application",
    "client_manager": "other nodes are reached through `nodes`",
    "serializer": "each client has the format of its CONNECT, JSON or msgpack",
    "json": "each client has the format of its CONNECT, JSON or msgpack",
    "always_connect": "what a connect handler emits follows the answer to CONNECT",
    "async_handlers": "handlers of one client run one at a time",
}
_OURS: Final = tuple(field.name for field in fields(WireOptions))
_TAKEN: Final = ("endpoint", "nodes", "namespaces")


def refuse(given: Mapping[str, object]) -> None:
    """Raises TypeError for the first of these options, with what to use instead."""
    for name in given:
        raise TypeError(f"{name!r} is not an option of this server: {_INSTEAD.get(name) or _hint(name)}")


def _hint(name: str) -> str:
    if name in _OURS:
        return f"use WireOptions({name}=…)"
    like = get_close_matches(name, (*_INSTEAD, *_OURS, *_TAKEN), n=1)
    if not like:
        return "see realtime.wire.options"
    (meant,) = like
    return f"did you mean {meant!r}? ({_INSTEAD.get(meant) or 'see realtime.wire.options'})"
