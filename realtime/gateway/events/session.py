"""The Session events: signing in at CONNECT, what the server says then, fresh tokens, faults that belong to no ack."""

from typing import Annotated, TypeAlias
from uuid import UUID

from msgspec import Meta

from realtime.gateway.contracts import Contract, Emission, Limit, Payload, Promise, Reply

Token: TypeAlias = Annotated[str, Meta(min_length=1, max_length=4096)]
"""An access token (JWT) from `POST /v1/auth/login` or `/refresh`."""


class ConnectAuth(Payload, frozen=True):
    """The `auth` object of a Socket.IO CONNECT."""

    token: Token
    device_id: Annotated[str, Meta(min_length=1, max_length=200)]
    """The device the token was issued to."""
    protocol: Annotated[int, Meta(ge=1, le=1)] = 1
    """Version of the live contract that the client speaks."""
    app: Annotated[str, Meta(max_length=200)] | None = None
    """Name and version of the app, for people who look into faults."""


class Rate(Reply, frozen=True):
    """How often one socket may send an event."""

    per_second: float
    burst: int


class Limits(Reply, frozen=True):
    """What a client may ask of this server."""

    event_bytes: int
    """Largest event."""
    batch_fixes: int
    """Most fixes in one `location:batch`."""
    rates: dict[str, Rate]
    """By event name."""


class StreamHead(Reply, frozen=True):
    """Where a durable stream stands: events after `head` are coming."""

    epoch: str
    head: int


class SessionReady(Reply, frozen=True):
    """`session:ready`: the first event on every connection."""

    user_id: UUID
    rider: int
    """The short number that stands for this rider in frames."""
    server_time: int
    """Milliseconds since the epoch, UTC."""
    expires_at: int
    """When the access token ends, in milliseconds since the epoch."""
    send_interval_ms: int
    limits: Limits
    streams: dict[str, StreamHead]


class AuthRefresh(Payload, frozen=True):
    """`auth:refresh`: go on with a newer token of the same rider and session."""

    token: Token


class AuthRefreshed(Reply, frozen=True):
    """The ack of `auth:refresh`."""

    expires_at: int
    """When the new token ends, in milliseconds since the epoch."""


class AuthExpiring(Reply, frozen=True):
    """`auth:expiring`: refresh the token, or the socket is closed when it ends."""

    expires_at: int
    """In milliseconds since the epoch."""


class SessionDrain(Reply, frozen=True):
    """`session:drain`: this server is about to stop; nothing is lost, and other servers let you in.

    Connect again once the time is up, from the beginning (the old connection may stay until the new one stands), and
    resume there. Who does nothing is closed a moment later with `stopping`, and comes back as after any close.
    """

    reconnect_after_ms: int
    """Milliseconds from now, drawn by lot for each client, so that not all come at once."""


class ErrorEvent(Reply, frozen=True):
    """`error`: a fault that belongs to no ack, or (with `reconnect`) why the socket is being closed."""

    code: str
    message: str
    event: str | None = None
    """The event at fault, when it had a name."""
    field: str | None = None
    retry_after_ms: int | None = None
    trace_id: str | None = None
    reconnect: str | None = None
    """`at_once`, `later` or `never`: set when the server closes the socket."""


AUTH_REFRESH = Contract("auth:refresh", AuthRefresh, Promise.NONE, Limit(0.5, 5), AuthRefreshed)

SESSION_READY = Emission("session:ready", SessionReady, Promise.NONE)
SESSION_DRAIN = Emission("session:drain", SessionDrain, Promise.NONE)
AUTH_EXPIRING = Emission("auth:expiring", AuthExpiring, Promise.NONE)
ERROR = Emission("error", ErrorEvent, Promise.NONE)
