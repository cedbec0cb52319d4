"""Durations and bounds of the wire; every one has a default that suits production."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class WireOptions:
    """Units are in the names."""

    ping_interval_seconds: float = 25.0
    ping_timeout_seconds: float = 20.0
    connect_within_seconds: float = 10.0
    """A socket without an admitted CONNECT is closed after this."""
    close_within_seconds: float = 0.5
    """What a peer gets to read the last bytes before its transport is cut."""
    upgrade_within_seconds: float = 10.0
    """From the first frame to the last of an upgrade from long-polling."""
    head_within_seconds: float = 10.0
    """From the opening of a TCP connection, or the first byte of a later request, to the end of the request's head."""
    head_bytes: int = 64 * 1024
    """Larger heads of HTTP requests, whatever they are for, are refused with 431."""
    event_bytes: int = 512 * 1024
    """Larger events are refused with `too_large`; the connection stays."""
    auth_bytes: int = 16 * 1024
    frame_bytes: int = 1 << 20
    """Larger frames, and larger bodies of long-polling requests, close the connection."""
    queue_bytes: int = 1 << 20
    """Unsent bytes at which a socket is closed and told to reconnect and resume."""
    queue_packets: int = 4096
    """Unsent packets at which the same happens."""
    queue_seconds: float = 30.0
    """How long something durable may wait before the same happens, up to a quarter more."""
    ahead_bytes: int = 16 * 1024
    """Bytes given to the transport, and kept unsent by the kernel, before the earlier ones have left."""
    sockets: int = 18_000
    """Open at once on this node."""
    sockets_per_address: int = 20
    sockets_unauthenticated: int = 2_000
    """Open at once without an admitted CONNECT."""
    allowed_origins: Sequence[str] | None = None
    """Origins of browsers that may connect; None is this server's own, `*` is any. Apps send no origin."""
    trusted_proxies: str = "127.0.0.1"
    """Addresses whose X-Forwarded-For is believed, separated by commas; `*` is any."""
    compression: bool = False
    """Whether clients may compress what they send (permessage-deflate, without a memory from message to message)."""
    node_name: str = ""
    """Session ids begin with it and a full stop, so that a proxy knows whose they are; a node alone needs none."""
