"""The figures of several nodes, and their goals."""

from loadtests.bench.wire.results import NODE, OURS, SHARDED, Figure, Goal

PEERS = (OURS, NODE, SHARDED)
"""Ours, and Node with either Redis adapter: classic (goals are against this one), and over sharded pub/sub."""

FIGURES = (
    Figure("across-publish", "publish to another node", "µs/event", (Goal(NODE, 0.5),)),
    Figure("across-receive", "receive, and deliver to 10", "µs/event", (Goal(NODE, 0.5),)),
    Figure("across-publish-flow", "publish, back to back", "µs/event", ()),
    Figure("across-receive-flow", "receive, back to back", "µs/event", ()),
)
