"""What operators see of the hub."""

from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Histogram

_TICK_BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2)


@dataclass(frozen=True)
class HubLevels:
    """How much there is of everything right now."""

    riders: int
    """Local riders with a live place."""
    channels: int
    topics: int
    listeners: int
    slow_listeners: int
    unpublished: int
    """Items that the bus has not taken yet."""
    out_of_step: int
    """Channels with listeners whose other nodes' positions are not known yet."""


class HubMetrics:
    """Counters of one node; levels (riders, topics, listeners) are read at collection, by the server's `NodeLevels`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.tick_seconds = Histogram(
            "throttlecove_hub_tick_seconds",
            "From the beginning of a tick until its last frame was handed over.",
            buckets=_TICK_BUCKETS,
            registry=registry,
        )
        self.ticks_missed = Counter(
            "throttlecove_hub_ticks_missed", "Ticks left out because the one before took too long.", registry=registry
        )
        self.frames_encoded = Counter(
            "throttlecove_hub_frames_encoded", "Frames encoded, once each.", registry=registry
        )
        self.frames_handed = Counter("throttlecove_hub_frames_handed", "Frames handed to listeners.", registry=registry)
        self.frames_skipped = Counter(
            "throttlecove_hub_frames_skipped",
            "Frames not handed to a slow listener, which gets a snapshot instead.",
            registry=registry,
        )
        self.rows_published = Counter(
            "throttlecove_hub_rows_published", "Items that the bus has taken.", registry=registry
        )
        self.publish_failures = Counter(
            "throttlecove_hub_publish_failures", "Publications not known to have happened.", registry=registry
        )
        self.superseded = Counter(
            "throttlecove_hub_superseded", "Riders that another node was found to have taken over.", registry=registry
        )
