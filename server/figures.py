"""How a node is, as it tells the others, and those who ask `python -m server nodes`."""

import math
from collections.abc import Sequence
from typing import Protocol

from realtime.bus.nodes import Figures
from realtime.gateway.gateway import Gateway
from realtime.gateway.streams.cursors import Cursors
from realtime.hub.hub import Hub
from realtime.wire.server import Wire


class Hearing(Protocol):
    """What hears other nodes on connections of its own: the live map's bus, rooms, hints of streams."""

    @property
    def subscriptions(self) -> int:
        """Channels that it wishes to hear."""
        ...

    def heard_seconds_ago(self) -> float:
        """The age of the last heartbeat that came through Redis and back; infinite before the first."""
        ...


def figures_of(wire: Wire, gateway: Gateway, hub: Hub, ears: Sequence[Hearing], cursors: Cursors) -> Figures:
    """The figures of this moment, from what the parts hold already; of the ears' ages the highest."""
    heard_seconds_ago = max(ear.heard_seconds_ago() for ear in ears)
    return Figures(
        sockets=len(gateway),
        riders=hub.levels().riders,
        subscriptions=sum(ear.subscriptions for ear in ears),
        heard_ms=round(heard_seconds_ago * 1000) if math.isfinite(heard_seconds_ago) else None,
        gaps_filled=cursors.gap_events,
        draining=wire.engine.doors.shut,
    )
