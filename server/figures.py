"""How a node is, as it tells the others, and those who ask `python -m server nodes`."""

import math

from realtime.bus.nodes import Figures
from realtime.bus.redis_bus import RedisBus
from realtime.gateway.gateway import Gateway
from realtime.gateway.streams.cursors import Cursors
from realtime.hub.hub import Hub
from realtime.wire.server import Wire


def figures_of(wire: Wire, gateway: Gateway, hub: Hub, bus: RedisBus, cursors: Cursors) -> Figures:
    """The figures of this moment, from what the parts hold already."""
    heard_seconds_ago = bus.heard_seconds_ago()
    return Figures(
        sockets=len(gateway),
        riders=hub.levels().riders,
        subscriptions=bus.subscriptions,
        heard_ms=round(heard_seconds_ago * 1000) if math.isfinite(heard_seconds_ago) else None,
        gaps_filled=cursors.gap_events,
        draining=wire.engine.doors.shut,
    )
