"""The hub's settings, with the defaults of the settings page."""

from dataclasses import dataclass


@dataclass(frozen=True)
class HubOptions:
    """Durations, sizes and limits of the hub."""

    tick_seconds: float = 0.2
    slice_seconds: float = 0.005
    """A tick lets the loop turn after working this long."""
    age_limit_seconds: float = 300.0
    """Positions and removals older than this are forgotten."""
    crowd_riders: int = 50
    """Where so many riders are on one topic, and only move, its listeners hear of it every other tick."""
    slow_packets: int = 32
    """A listener with more packets waiting is passed over, and gets a snapshot when it has written half of them."""
    listen_seconds: float = 1.0
    """How long a new listener waits for the other nodes' positions before it is shown this node's."""
    stall_seconds: float = 2.0
    """After not having run for this long, a node asks whether its riders are still its own before it publishes."""
