"""How this server speaks to Redis: short timeouts, no hidden retries, and one error for "not known to have happened"."""

from dataclasses import dataclass


@dataclass(frozen=True)
class BusOptions:
    """Where Redis is and how long to wait for it."""

    redis_url: str
    timeout_seconds: float = 1.0
    """For connecting and for each answer: a paused Redis is noticed within twice this."""
    heartbeat_seconds: float = 0.5
    """How often a node speaks to itself through Redis."""
    deaf_seconds: float = 2.0
    """A listener that has not heard itself for so long reconnects and reads everything again."""
    reconnect_seconds: float = 0.1
    """The pause between attempts to reconnect."""
    keep_seconds: int = 300
    """How long a channel's rows are kept after the last was written."""
