"""What operators see of the counts for zoomed-out viewers."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)


class DensityMetrics:
    """Metrics of one node."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.riders = Gauge("throttlecove_density_riders", "Public riders that this node counts.", registry=registry)
        self.viewers = Gauge("throttlecove_density_viewers", "Zoomed-out viewers on this node.", registry=registry)
        self.viewports = Gauge(
            "throttlecove_density_viewports", "Different viewports that they look at.", registry=registry
        )
        self.seconds = Histogram(
            "throttlecove_density_seconds",
            "From counting until the last viewer was sent the counts, Redis included.",
            buckets=_SECONDS,
            registry=registry,
        )
        self.failures = Counter(
            "throttlecove_density_failures", "Exchanges of counts that Redis did not confirm.", registry=registry
        )
        self.frames_encoded = Counter(
            "throttlecove_density_frames_encoded", "Frames of counts encoded, once a viewport.", registry=registry
        )
        self.frames_handed = Counter(
            "throttlecove_density_frames_handed", "Changed frames of counts handed to viewers.", registry=registry
        )
        self.frames_skipped = Counter(
            "throttlecove_density_frames_skipped",
            "Frames of counts not handed to a slow viewer, which gets the newest later.",
            registry=registry,
        )
