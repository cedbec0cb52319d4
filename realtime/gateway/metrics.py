"""What operators see of the gateway: sockets, events by outcome, and why sockets ended."""

from collections import Counter as Tally
from collections.abc import Iterable, Iterator
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

OK = "ok"
"""The outcome of an event that went well."""


class Counted(Protocol):
    """Something that counts the events of one name that went well (`registry.Route`)."""

    @property
    def name(self) -> str:
        """The event's."""
        ...

    @property
    def done(self) -> int:
        """How many."""
        ...


class EventCounts(Collector):
    """Events by name and outcome, counted in plain numbers: a labelled Counter takes a lock and ten times as long."""

    def __init__(self) -> None:
        self._tally: Tally[tuple[str, str]] = Tally()
        self._counted: tuple[Counted, ...] = ()

    def watch(self, counted: Iterable[Counted]) -> None:
        """Tell of what these count, too."""
        self._counted = (*self._counted, *counted)

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
        for counted in self._counted:
            if counted.done:
                family.add_metric((counted.name, OK), counted.done)
        yield family


class GatewayMetrics:
    """Prometheus metrics, registered once in the registry that is passed in."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.sockets = Gauge("throttlecove_sockets", "Signed-in sockets open on this node", registry=registry)
        self.refused = Counter("throttlecove_connects_refused", "CONNECTs refused", ["code"], registry=registry)
        self.ended = Counter("throttlecove_sockets_ended", "Signed-in sockets ended", ["reason"], registry=registry)
        events = EventCounts()
        registry.register(events)
        self.watch = events.watch
        self.event = events.count
        """Count an event that was refused; `outcome` is the error code, `name` one of a contract or `unknown`."""
