"""What operators see of the gateway: sockets, events by outcome, and why sockets ended."""

from collections import Counter as Tally
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector


class EventCounts(Collector):
    """Events by name and outcome, counted in plain numbers: a labelled Counter takes a lock and ten times as long."""

    def __init__(self) -> None:
        self._tally: Tally[tuple[str, str]] = Tally()

    def count(self, name: str, outcome: str) -> None:
        """One more. Called from the event loop only."""
        self._tally[name, outcome] += 1

    def collect(self) -> Iterator[CounterMetricFamily]:
        """What Prometheus is told."""
        family = CounterMetricFamily(
            "throttlecove_events", "Events from clients by outcome", labels=["event", "outcome"]
        )
        for labels, number in list(self._tally.items()):
            family.add_metric(labels, number)
        yield family


class GatewayMetrics:
    """Prometheus metrics, registered once in the registry that is passed in."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.sockets = Gauge("throttlecove_sockets", "Signed-in sockets open on this node", registry=registry)
        self.refused = Counter("throttlecove_connects_refused", "CONNECTs refused", ["code"], registry=registry)
        self.ended = Counter("throttlecove_sockets_ended", "Signed-in sockets ended", ["reason"], registry=registry)
        events = EventCounts()
        registry.register(events)
        self.event = events.count
        """Count an event; `outcome` is `ok` or an error code, `name` one of a contract or `unknown`."""
