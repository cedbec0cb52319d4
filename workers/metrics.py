"""What a worker reports of itself to Prometheus. The registry is passed in: nothing here is global."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

TRACK_DELETED = "track_deleted"
"""Why a fix is dropped: its rider deleted the track before it was stored."""


class WorkerMetrics:
    """The metrics of one worker process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.fixes_stored = Counter("throttlecove_fixes_stored", "Fixes that are new in Postgres.", registry=registry)
        self.fixes_dropped = Counter(
            "throttlecove_fixes_dropped", "Fixes that nobody wants any more.", ["reason"], registry=registry
        )
        self.entry_bytes = Counter(
            "throttlecove_track_entry_bytes", "Bytes of track stream entries that were stored.", registry=registry
        )
        self.batch_seconds = Histogram(
            "throttlecove_track_batch_seconds",
            "Time from the decoding of a batch to its acknowledgement, retries included.",
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
            registry=registry,
        )
        self.dead_letters = Counter(
            "throttlecove_track_dead_letters", "Records that could not be stored.", ["reason"], registry=registry
        )
        self.store_failures = Counter(
            "throttlecove_track_store_failures", "Attempts to store a batch that failed.", ["error"], registry=registry
        )
        self.lag_entries = Gauge(
            "throttlecove_track_stream_lag_entries", "Entries of the track stream not yet stored.", registry=registry
        )
        self.lag_seconds = Gauge(
            "throttlecove_track_stream_lag_seconds", "Age of the oldest entry not yet stored.", registry=registry
        )
        self.tracks_finished = Counter(
            "throttlecove_tracks_finished", "Tracks whose line and figures were computed.", registry=registry
        )
        self.finish_seconds = Histogram(
            "throttlecove_track_finish_seconds", "Time to compute and write one track.", registry=registry
        )
