"""Levels of a node for `/metrics`, read from its parts at the moment of collection: ages, queues, what is open.

Nothing here waits: each value is one that a part holds already. Counters and durations are in the parts' own metrics.
"""

import asyncio
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy.pool import QueuePool

if TYPE_CHECKING:
    from server.wiring import ServerNode


class NodeLevels(Collector):
    """Registered once for a node."""

    def __init__(self, node: "ServerNode") -> None:
        self._node = node

    def collect(self) -> Iterable[Metric]:
        """What Prometheus asks for."""
        yield from self._sockets()
        yield from self._bus()
        yield from self._nodes()
        yield from self._streams()
        yield from self._hub()
        yield from self._tracks()
        yield from self._process()

    def _sockets(self) -> Iterator[Metric]:
        engine = self._node.wire.engine
        waiting, unsent = engine.waiting()
        yield _gauge("sockets_waiting", "Sockets for which something waits because they do not read.", waiting)
        yield _gauge("sockets_unsent_bytes", "Bytes that wait for them.", unsent)
        refused = CounterMetricFamily(
            "throttlecove_connections_refused", "Connections not let in, by reason.", labels=["reason"]
        )
        for reason in ("stopping", "node", "strangers", "address"):
            refused.add_metric([reason], engine.doors.refused[reason])
        yield refused

    def _bus(self) -> Iterator[Metric]:
        bus, control = self._node.stores.bus, self._node.stores.control
        yield _gauge(
            "bus_heartbeat_age_seconds", "Since this node last heard itself through Redis.", bus.heard_seconds_ago()
        )
        yield _gauge("bus_connected", "1 while this node hears the bus.", bus.connected)
        yield _gauge("bus_subscriptions", "Channels that this node hears.", bus.subscriptions)
        yield _gauge("bus_connections", "Connections that hear: on a cluster one for each master.", bus.connections)
        yield CounterMetricFamily(
            "throttlecove_bus_losses",
            "How often a connection that hears was lost, or a channel moved away from one.",
            value=bus.losses,
        )
        yield from self._rooms()
        yield _gauge(
            "control_age_seconds", "Since the control log was last read to its end.", control.heard_seconds_ago()
        )
        yield _gauge("control_untold", "Announcements that other nodes have not been told yet.", control.untold)

    def _streams(self) -> Iterator[Metric]:
        cursors, hints = self._node.cursors, self._node.stores.hints
        yield _gauge("cursors", "Durable streams that this node follows.", len(cursors))
        yield _gauge("cursors_behind", "Those with a gap that is not filled yet.", len(cursors.behind))
        yield _gauge("cursors_unplaced", "Those of which nobody has said where they stand.", len(cursors.unplaced))
        yield _gauge("hints_connected", "1 while this node hears hints of durable events.", hints.connected)
        yield _gauge("hints_heartbeat_age_seconds", "The same for these hints.", hints.heard_seconds_ago())
        yield _gauge("hints_subscriptions", "Streams of which this node hears hints.", hints.subscriptions)
        yield CounterMetricFamily(
            "throttlecove_hints_losses", "How often the connection that hears hints was lost.", value=hints.losses
        )

    def _rooms(self) -> Iterator[Metric]:
        rooms = self._node.stores.rooms
        yield _gauge("rooms_heartbeat_age_seconds", "The same for what is emitted to rooms.", rooms.heard_seconds_ago())
        yield _gauge("rooms_connected", "1 while this node hears what others emit to rooms.", rooms.connected)
        yield _gauge("rooms_subscriptions", "Rooms and namespaces that this node hears.", rooms.subscriptions)
        yield CounterMetricFamily(
            "throttlecove_rooms_losses",
            "How often something emitted to rooms may have been missed.",
            value=rooms.losses,
        )

    def _nodes(self) -> Iterator[Metric]:
        yield _gauge("draining", "1 while this node sends its clients away.", self._node.wire.engine.doors.shut)
        if (nodes := self._node.stores.register.nodes) is not None:
            yield _gauge("nodes", "Nodes that are up, this one included; not known while Redis is away.", nodes)

    def _hub(self) -> Iterator[Metric]:
        levels = self._node.hub.levels()
        yield _gauge("hub_riders", "Riders whose dot this node moves.", levels.riders)
        yield _gauge("hub_channels", "Channels of which this node knows positions.", levels.channels)
        yield _gauge("hub_topics", "Topics with listeners on this node.", levels.topics)
        yield _gauge("hub_listeners", "Sockets that hear a topic.", levels.listeners)
        yield _gauge("hub_slow_listeners", "Listeners that do not keep up just now.", levels.slow_listeners)
        yield _gauge("hub_unpublished", "Items that the bus has not taken yet.", levels.unpublished)
        yield _gauge("hub_out_of_step", "Channels that wait for other nodes' positions.", levels.out_of_step)

    def _tracks(self) -> Iterator[Metric]:
        yield _gauge(
            "recorder_pending_fixes", "Fixes accepted and not yet on disk in Redis.", self._node.recorder.pending
        )
        stream = self._node.stream_watch.levels
        if stream is None:
            return
        yield _gauge("track_stream_bytes", "Size of the track stream.", stream.bytes)
        yield _gauge("track_stream_lag_entries", "Entries of the track stream not yet stored.", stream.lag.entries)
        yield _gauge("track_stream_lag_seconds", "Age of the oldest entry not yet stored.", stream.lag.oldest_seconds)

    def _process(self) -> Iterator[Metric]:
        yield _gauge("tasks", "Tasks of the event loop.", len(asyncio.all_tasks()))
        pool = self._node.stores.engine.pool
        if isinstance(pool, QueuePool):
            yield _gauge("database_connections_in_use", "Connections to Postgres at work.", pool.checkedout())


def _gauge(name: str, meaning: str, value: float) -> Metric:
    return GaugeMetricFamily(f"throttlecove_{name}", meaning, value=value)
