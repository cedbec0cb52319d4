"""What operators see of durable streams on a node."""

from prometheus_client import CollectorRegistry, Counter, Histogram


class StreamMetrics:
    """Counters of one node; how many streams are followed is read from the cursors at collection."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.gap_events = Counter(
            "throttlecove_cursor_gap_events",
            "Events that no hint brought in time and that were read from Postgres.",
            registry=registry,
        )
        self.restarts = Counter(
            "throttlecove_cursor_restarts",
            "Streams that began anew: another epoch, or history that was pruned.",
            registry=registry,
        )
        self.resumed = Counter(
            "throttlecove_streams_resumed",
            "Streams named in session:resume, by outcome.",
            ["outcome"],
            registry=registry,
        )
        self.resume_seconds = Histogram(
            "throttlecove_resume_seconds",
            "From session:resume to its answer.",
            buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5),
            registry=registry,
        )
