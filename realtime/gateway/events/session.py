"""The Session events: signing in at CONNECT, what the server says then, fresh tokens, faults that belong to no ack."""

from typing import Annotated, Any, TypeAlias
from uuid import UUID

from msgspec import UNSET, Meta, UnsetType

from domain.streams.rules import LONGEST_NAME
from realtime.gateway.contracts import Contract, Emission, Limit, Payload, Promise, Reply
from realtime.gateway.events.location import MapWatch, MapWatched, RidersWatch

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


class SessionStreams(Reply, frozen=True):
    """`session:streams`: where streams stand, said when that does not follow from the events that were sent.

    A stream begins that `session:ready` had to leave out, or one begins anew: its epoch changed, or what is missing
    cannot be had any more. Compare as after `session:ready`, and resume those of which you have another position.
    """

    streams: dict[str, StreamHead]


class Position(Payload, frozen=True):
    """What a client has of a stream: everything up to `seq` of this epoch."""

    epoch: Annotated[str, Meta(max_length=100)]
    seq: Annotated[int, Meta(ge=0, le=2**53 - 1)]


StreamName: TypeAlias = Annotated[str, Meta(min_length=3, max_length=LONGEST_NAME)]


class WatchAgain(Payload, frozen=True):
    """What to watch again, as `map:watch` and `riders:watch` would."""

    map: MapWatch | None = None
    riders: RidersWatch | None = None


class SessionResume(Payload, frozen=True):
    """Go on with streams where an earlier connection ended; at most 256 of them in one call.

    Those not named go on from the head told in `session:ready`. While the answer is on its way nothing of the streams
    named is sent.
    """

    streams: Annotated[dict[StreamName, Position], Meta(max_length=256)]
    watch: WatchAgain | None = None


class StreamResumed(Reply, frozen=True):
    """What became of one stream; what follows `head` is sent after this answer.

    `recovered`: the `events` are all that were missed, in order, each with its name and its payload. Otherwise
    continuity cannot be proved (another epoch, a number ahead of the head, history that was pruned, more than 1,000
    events or too many bytes): forget what you have of the stream, take the `snapshot` and go on from `head`.
    """

    recovered: bool
    epoch: str
    head: int
    events: list[tuple[str, Any]] | UnsetType = UNSET
    snapshot: Any = UNSET


class WatchedAgain(Reply, frozen=True):
    """The answers of `map:watch` and `riders:watch`."""

    map: MapWatched | None = None


class SessionResumed(Reply, frozen=True):
    """The ack of `session:resume`: for each stream named what was missed, or what it has come to."""

    streams: dict[str, StreamResumed]
    watch: WatchedAgain | None = None


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


SESSION_RESUME = Contract("session:resume", SessionResume, Promise.DURABLE, Limit(1.0, 10), SessionResumed)
AUTH_REFRESH = Contract("auth:refresh", AuthRefresh, Promise.NONE, Limit(0.5, 5), AuthRefreshed)

SESSION_READY = Emission("session:ready", SessionReady, Promise.NONE)
SESSION_DRAIN = Emission("session:drain", SessionDrain, Promise.NONE)
SESSION_STREAMS = Emission("session:streams", SessionStreams, Promise.NONE)
AUTH_EXPIRING = Emission("auth:expiring", AuthExpiring, Promise.NONE)
ERROR = Emission("error", ErrorEvent, Promise.NONE)
