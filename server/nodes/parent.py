"""The parent of several nodes behind one port: starts them, starts again what has ended, and ends them together.

Promises: the port is this parent's from before the first node starts until after the last has ended; a first node that
cannot begin ends everything before the others are started, so that what it says is said once; later a node that ends is
started again, after pauses that grow, and the others go on. SIGTERM and Ctrl-C are passed on, and no node outlives the
parent. It has no part in what nodes do, and opens no connection.
"""

import asyncio
import contextlib
import functools
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from server.nodes.child import Child
from server.nodes.place import too_long

FIRST_PAUSE_SECONDS = 0.25
"""Before a node that has ended is started again; each further pause is twice as long."""
_LONGEST_PAUSE_SECONDS = 30.0
_STEADY_SECONDS = 60.0
"""Who has served for so long begins with the first pause again."""
_MOST_FAILURES = 3
"""Beginnings of one node that fail in a row, while none of the others serves: it is of no use to go on."""
_SIGNALS = (signal.SIGTERM, signal.SIGINT)

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Family:
    """What a parent is told."""

    names: Sequence[str]
    command: Callable[[str, Path, int], Sequence[str]]
    """The command of a node: its name, the directory it shares with its siblings, the descriptor of its lifeline."""
    limit_seconds: float
    """What a node takes to end at the most."""


def run(family: Family) -> int:
    """Run until a signal ends it: 0 when all nodes then end well, 1 when one does not, or cannot be begun."""
    with tempfile.TemporaryDirectory(prefix="throttlecove-nodes-") as directory:
        if too_long(Path(directory)):
            sys.stderr.write(f"the path {directory} is too long for sockets in it: set TMPDIR to a shorter one\n")
            return 1
        return asyncio.run(Parent(family, Path(directory)).run())


class Parent:
    """Runs once, in the main thread: signals are its own meanwhile."""

    def __init__(self, family: Family, directory: Path, *, first_pause_seconds: float = FIRST_PAUSE_SECONDS) -> None:
        """The nodes of a family, which find one another in `directory`."""
        self._limit_seconds = family.limit_seconds
        self._first_pause_seconds = first_pause_seconds
        self._children = [Child(name, functools.partial(family.command, name, directory)) for name in family.names]
        self._stop = asyncio.Event()
        self._failed = False

    @property
    def running(self) -> int:
        """How many nodes have a process."""
        return sum(child.runs for child in self._children)

    @property
    def serving(self) -> int:
        """How many nodes listen."""
        return sum(child.serves for child in self._children)

    async def run(self) -> int:
        """The exit status: see `run` of this module."""
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.add_signal_handler(number, self._signalled, number)
        try:
            keeping = await self._serve()
            await self._end()
            await asyncio.gather(*keeping)
        finally:
            for number in _SIGNALS:
                loop.remove_signal_handler(number)
        return 0 if all(child.ended_well for child in self._children) and not self._failed else 1

    async def _serve(self) -> list[asyncio.Task[None]]:
        """Until a signal comes, or it is of no use to go on; what then still looks after the nodes."""
        if not await self._all_begin():
            return []
        keeping = [asyncio.create_task(self._keep(child), name=child.name) for child in self._children]
        stopped = asyncio.create_task(self._stop.wait(), name="stop")
        await asyncio.wait((stopped, *keeping), return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        return keeping

    def _signalled(self, number: int) -> None:
        self._stop.set()
        for child in self._children:
            child.send(number)

    # Beginning

    async def _all_begin(self) -> bool:
        """Start one, and then the others, which would fail as it does."""
        first, *others = self._children
        for group in ([first], others):
            if self._stop.is_set():
                return False
            begun = await asyncio.gather(*(child.begin() for child in group))
            for child, serves in zip(group, begun, strict=True):
                if not serves:
                    return self._give_up(child)
        _log.info("nodes_listen", nodes=len(self._children))
        return True

    def _give_up(self, child: Child) -> bool:
        if not self._stop.is_set():
            self._failed = True
            sys.stderr.write(f"node {child.name} {child.end}: no node is left running, see above for its reason\n")
        return False

    # While they serve

    async def _keep(self, child: Child) -> None:
        """Start a node again whenever it ends, until all are to end."""
        pause, failures = self._first_pause_seconds, 0
        while True:
            served_seconds = await child.ended()
            if self._stop.is_set():
                return
            failures = 0 if served_seconds else failures + 1
            if failures >= _MOST_FAILURES and not self.serving:
                self._give_up(child)
                self._signalled(signal.SIGTERM)
                return
            if served_seconds >= _STEADY_SECONDS:
                pause = self._first_pause_seconds
            _log.error("node_ended", name=child.name, how=child.end, starts_again_in_seconds=pause)
            if await self._stops_within(pause):
                self._failed = True
                return
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
            if await child.begin():
                _log.info("node_listens_again", name=child.name, pid=child.pid)
            elif self._stop.is_set():
                self._failed = True
            if self._stop.is_set():
                child.stop()  # there may have been no process yet that could be told

    async def _stops_within(self, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), seconds)
        return self._stop.is_set()

    # Ending

    async def _end(self) -> None:
        """See all of them to their ends."""
        self._stop.set()
        told = [child for child in self._children if child.runs]
        for child in told:
            child.stop()
        ended = asyncio.gather(*(child.ended() for child in self._children))
        try:
            await asyncio.wait_for(ended, self._limit_seconds)
        except TimeoutError:
            for child in self._children:
                child.send(signal.SIGKILL)
            await asyncio.gather(*(child.ended() for child in self._children))
        for child in told:
            if not child.ended_well:
                _log.error("node_ended", name=child.name, how=child.end)
