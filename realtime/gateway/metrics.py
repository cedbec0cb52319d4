"""What operators see of the gateway: sockets, events by outcome, and why sockets ended."""

from prometheus_client import CollectorRegistry, Counter, Gauge


class GatewayMetrics:
    """Prometheus metrics, registered once in the registry that is passed in."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.sockets = Gauge("throttlecove_sockets", "Signed-in sockets open on this node", registry=registry)
        self.events = Counter(
            "throttlecove_events", "Events from clients by outcome", ["event", "outcome"], registry=registry
        )
        self.refused = Counter("throttlecove_connects_refused", "CONNECTs refused", ["code"], registry=registry)
        self.ended = Counter("throttlecove_sockets_ended", "Signed-in sockets ended", ["reason"], registry=registry)

    def event(self, name: str, outcome: str) -> None:
        """Count an event; `outcome` is `ok` or an error code, `name` one of a contract or `unknown`."""
        self.events.labels(name, outcome).inc()
