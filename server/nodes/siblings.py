"""What one node of several has of the others: a way to give them connections, to be given some, and to be asked."""

from prometheus_client import CollectorRegistry

from domain.kit.tasks import TaskOwner
from server.nodes.giving import Giver, Handovers
from server.nodes.lifeline import Lifeline
from server.nodes.options import ChildOptions
from server.nodes.probes import JoinedProbes, answers_of
from server.nodes.questions import Answering
from server.nodes.taking import Protocols, Taker
from server.probes import Probes


class Siblings:
    """Made before the node's application is; works from `begin`, once the port is open, to `end`."""

    def __init__(self, child: ChildOptions, registry: CollectorRegistry, tasks: TaskOwner) -> None:
        self._place = child.place
        self._lifeline = Lifeline(child.lifeline)
        self._tasks = tasks
        self._handovers = Handovers(registry)
        self.giver = Giver(child.place, self._handovers)
        self._taker: Taker | None = None
        self._answering: Answering | None = None
        self._own: Probes | None = None

    def probes(self, own: Probes) -> Probes:
        """Those of all nodes; `own` are this node's, which siblings are answered with."""
        self._own = own
        return JoinedProbes(own, self._place, self._tasks)

    async def begin(self, protocols: Protocols) -> None:
        """Let siblings in, and tell the parent that this node listens. Raises OSError."""
        self._taker = Taker(self._place.connections_of(self._place.own), protocols, self._tasks, self._handovers)
        self._taker.open()
        if self._own is not None:
            self._answering = Answering(self._place.questions_of(self._place.own), answers_of(self._own))
            await self._answering.open()
        self._lifeline.listens()

    def end(self) -> None:
        """This node is about to close its connections: siblings answer for it from now on."""
        if self._taker is not None:
            self._taker.close()
        if self._answering is not None:
            self._answering.close()
        self.giver.close()
        if self._lifeline.orphaned:
            self._place.leave()
