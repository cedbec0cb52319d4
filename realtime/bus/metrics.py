"""What operators see of the bus."""

from prometheus_client import CollectorRegistry, Counter, Histogram


class BusMetrics:
    """Counters of one node; ages and states are read from the bus at collection, by the server's `NodeLevels`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.failures = Counter(
            "throttlecove_bus_failures", "What the bus could not do, by what.", ["what"], registry=registry
        )
        self.batches_heard = Counter(
            "throttlecove_bus_batches_heard", "Batches of live rows from other nodes.", registry=registry
        )
        self.round_trip_seconds = Histogram(
            "throttlecove_bus_round_trip_seconds",
            "From a node through Redis to itself.",
            buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2),
            registry=registry,
        )
