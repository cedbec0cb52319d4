"""The figures of several nodes, and their goals. Smaller is better in every one."""

from loadtests.bench.wire.results import NODE, OURS, SHARDED, Figure, Goal

PEERS = (OURS, NODE, SHARDED)
"""Ours, and Node with either Redis adapter: classic (goals are against this one), and over sharded pub/sub."""

_NOTHING = 0.01
"""As a share of what a node spends that hears everything: what is below is taken for noise."""

FIGURES = (
    Figure("across-publish", "publish to another node", "µs/event", (Goal(NODE, 0.5),)),
    Figure("across-receive", "receive, and deliver to 10", "µs/event", (Goal(NODE, 0.5),)),
    Figure("across-publish-flow", "publish, back to back", "µs/event", ()),
    Figure("across-receive-flow", "receive, back to back", "µs/event", ()),
    Figure("idle-node", "message of no use to a node", "µs/message", (Goal(NODE, _NOTHING, within_noise=True),)),
    Figure("crowd-p99", "crowd: position seen, p99", "ms", (Goal(None, 300),)),
    Figure("crowd-lost", "crowd: sockets lost", "sockets", (Goal(None, 0),)),
    Figure("crowd-growth", "crowd: growth of the node", "% memory", (Goal(None, 2),)),
    Figure("cuts-missing", "cuts: durable events missing", "%", (Goal(None, 0),)),
    Figure("cuts-twice", "cuts: twice on a connection", "events", (Goal(None, 0),)),
    Figure("cuts-p99", "cuts: recovery after return, p99", "ms", (Goal(None, 1000),)),
    Figure("restart-missing", "restart: durable events missing", "%", (Goal(None, 0),)),
    Figure("restart-twice", "restart: twice on a connection", "events", (Goal(None, 0),)),
    Figure("restart-away", "restart: longest absence", "s", (Goal(None, 5),)),
)
